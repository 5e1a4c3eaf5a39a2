"""`python -m k8s.runtimes.images stage NAME FOLDER`: a build context; then `podman build -t NAME FOLDER`, or docker."""

import argparse
import sys
from pathlib import Path

from k8s.runtimes.images.contents import IMAGES, bundled_uv, stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m k8s.runtimes.images", description=__doc__)
    parser.add_argument("verb", choices=["stage"])
    parser.add_argument("name", choices=sorted(IMAGES))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    stage(IMAGES[arguments.name], arguments.folder, bundled_uv())
    return 0


if __name__ == "__main__":
    sys.exit(main())
