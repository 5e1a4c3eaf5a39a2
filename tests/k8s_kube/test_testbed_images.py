"""Images for the node, made without a builder."""

import hashlib
import json
import tarfile
from pathlib import Path

from k8s.runtimes.images.contents import digest
from k8s.testbed.images import Layer, pack


def test_an_image_says_of_each_blob_what_it_is_and_leaves_out_what_the_node_holds(tmp_path: Path) -> None:
    (tmp_path / "system.tar").write_bytes(b"debian")
    (tmp_path / "ours.tar").write_bytes(b"freehold")
    system, ours = Layer.of(tmp_path / "system.tar"), Layer.of(tmp_path / "ours.tar")
    pack("docker.io/freehold/x:1", [system, ours], tmp_path / "image.tar", held=[f"sha256:{system.digest}"])
    with tarfile.open(tmp_path / "image.tar") as archive:
        read = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    blobs = {name.rpartition("/")[2]: content for name, content in read.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in blobs.items())
    (named,) = json.loads(read["index.json"])["manifests"]
    assert named["annotations"] == {"io.containerd.image.name": "docker.io/freehold/x:1"}
    manifest = json.loads(blobs[named["digest"].removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    both = [f"sha256:{layer.digest}" for layer in (system, ours)]
    assert [layer["digest"] for layer in manifest["layers"]] == config["rootfs"]["diff_ids"] == both
    assert (system.digest in blobs, ours.digest in blobs) == (False, True)


def test_the_same_content_has_the_same_name_wherever_it_was_compiled(tmp_path: Path) -> None:
    for folder, compiled in (("a", b"in a"), ("b", b"in b")):
        (tmp_path / folder / "__pycache__").mkdir(parents=True)
        (tmp_path / folder / "main.py").write_text("x = 1\n")
        (tmp_path / folder / "__pycache__" / "main.pyc").write_bytes(compiled)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    (tmp_path / "b" / "main.py").write_text("x = 2\n")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
