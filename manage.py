#!/usr/bin/env python
"""Django's command line; `manage.py up` runs everything on one machine."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said before anything is imported that an older one could not read
    sys.exit(f"freehold: Python 3.11 or newer is needed, this is {sys.version.split()[0]}.")


def main() -> None:
    if sys.argv[1:2] == ["up"]:
        # Straight on, without Django: the supervisor stays small.
        from provider.up.command import main as up

        sys.exit(up(sys.argv[2:]))
    from provider.up.attach import adopt_environment

    adopt_environment()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
