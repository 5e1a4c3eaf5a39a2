"""A real single-node Kubernetes for tests: `python -m k8s.testbed build|up|image|down`."""

import argparse
import sys
from pathlib import Path

from k8s.testbed import building, images, node
from k8s.testbed.images import Layer
from k8s.testbed.place import here


def main() -> int:
    arguments = _arguments()
    place = here()
    if arguments.verb == "build":
        building.build(place)
    elif arguments.verb == "up":
        print(node.up(place, control_plane_only=arguments.control_plane_only))  # noqa: T201 - its answer
    elif arguments.verb == "image":
        images.load(place, arguments.name, [Layer.of(arguments.rootfs)], arguments.entrypoint)
    else:
        node.down(place, wipe=arguments.wipe)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m k8s.testbed", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="make what a cluster needs, once per machine (6 to 10 minutes)")
    up = verbs.add_parser("up", help="start the cluster and print the path of its admin kubeconfig")
    up.add_argument("--control-plane-only", action="store_true")
    image = verbs.add_parser("image", help="give the node an image made of a root file system")
    image.add_argument("name")
    image.add_argument("rootfs", type=Path)
    image.add_argument("entrypoint", nargs="*")
    down = verbs.add_parser("down", help="stop the pods and daemons that `up` started")
    down.add_argument("--wipe", action="store_true", help="forget all state, volumes included")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
