"""`python -m provider.gate.serve`: write the proxy's configuration from the environment, then become the proxy."""

import os

from provider.gate import config


def main() -> None:
    file = config.write(config.from_environment())
    os.execvp("haproxy", ["haproxy", "-db", "-f", str(file)])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
