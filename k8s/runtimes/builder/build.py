"""Build every micro of a project: /plan.json and /src in, /out/manifest.json and /out/<micro>/ out.

The last line on failure is a sentence for the developer, and the exit status is not 0.
"""

import argparse
import importlib
import json
import shutil
import sys
from pathlib import Path

if not __package__:  # started as a script, from wherever this folder is mounted (PEP 366)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    __package__ = Path(__file__).resolve().parent.name
    importlib.import_module(__package__)

from .micros import build_micro  # noqa: E402
from .work import BuildFailed, Micro, Workspace, say  # noqa: E402


def main() -> int:
    arguments = _arguments()
    plan = json.loads(arguments.plan.read_text())
    folders = (arguments.src.resolve(), arguments.out.resolve(), arguments.cache.resolve())
    work = Workspace(*folders, arguments.uv.resolve(), plan.get("as_of"))
    try:
        manifest = [build_micro(work, Micro.read(entry)) for entry in plan["micros"]]
    except BuildFailed as failure:
        say(f"Build failed: {failure}")
        return 1
    except OSError as error:
        say(f"Build failed: {error.strerror or error} {error.filename or ''}".rstrip())
        return 1
    finally:
        shutil.rmtree(work.scratch, ignore_errors=True)
    (work.out / "manifest.json").write_text(json.dumps({"micros": manifest}, indent=1, sort_keys=True) + "\n")
    say(f"Total Size {work.total_bytes / 1_000_000:.1f} MB")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build the micros of one project.")
    parser.add_argument("--src", type=Path, default=Path("/src"))
    parser.add_argument("--out", type=Path, default=Path("/out"))
    parser.add_argument("--cache", type=Path, default=Path("/cache"))
    parser.add_argument("--plan", type=Path, default=Path("/plan.json"))
    parser.add_argument("--uv", type=Path, default=Path("/opt/freehold/bin/uv"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
