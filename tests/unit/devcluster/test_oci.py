"""Archives that containerd takes: complete descriptions, and the blobs that were asked for."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from diffrun_devcluster import oci


def files_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened.getmembers()}  # type: ignore[union-attr]


def base() -> oci.Image:
    image = oci.Image().with_layer(b"dependencies", "deps")
    image.config["config"] = {"Env": ["PATH=/bin"], "User": "65532:65532"}
    return image


def test_a_thin_archive_names_all_layers_and_holds_the_new_one(tmp_path: Path) -> None:
    image = base().with_layer(b"code", "COPY code")
    archive = tmp_path / "image.tar"
    oci.write_archive(archive, "docker.io/diffrun/worker:1", image, [b"code"])

    files = files_of(archive)
    index = json.loads(files["index.json"])["manifests"][0]
    assert index["annotations"]["io.containerd.image.name"] == "docker.io/diffrun/worker:1"
    manifest = json.loads(files["blobs/sha256/" + index["digest"].removeprefix("sha256:")])
    assert [layer["digest"] for layer in manifest["layers"]] == [
        oci.digest_of(b"dependencies"),
        oci.digest_of(b"code"),
    ]
    blobs = {name for name in files if name.startswith("blobs/")}
    assert len(blobs) == 3  # the manifest, the configuration and one layer
    for name in blobs:
        assert name == "blobs/sha256/" + hashlib.sha256(files[name]).hexdigest()


def test_a_layer_on_top_keeps_the_configuration_and_leaves_the_image_below_alone() -> None:
    below = base()
    above = below.with_layer(b"code", "COPY code")
    assert above.config["config"]["User"] == "65532:65532"
    assert len(above.config["rootfs"]["diff_ids"]) == 2
    assert len(below.config["rootfs"]["diff_ids"]) == len(below.layers) == 1


def test_an_image_survives_its_notes() -> None:
    assert oci.Image.from_json(base().to_json()) == base()


def test_an_image_is_found_in_a_layout_by_its_name(tmp_path: Path) -> None:
    oci.write_archive(tmp_path / "image.tar", "name", base(), [b"dependencies"])
    with tarfile.open(tmp_path / "image.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    index = json.loads((tmp_path / "index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "name"}
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert oci.read_layout(tmp_path, "name") == base()


def test_the_same_tree_gives_the_same_layer_whenever_it_was_written(tmp_path: Path) -> None:
    layers = []
    for name in ("one", "two"):
        tree = tmp_path / name
        (tree / "package").mkdir(parents=True)
        (tree / "package" / "module.py").write_text("x = 1\n")
        (tree / "package" / "module.py").touch()
        layers.append(oci.tree_layer(tree, "opt/diffrun/app"))
    assert layers[0] == layers[1]
    with tarfile.open(fileobj=io.BytesIO(layers[0])) as layer:
        assert layer.getnames() == [
            "opt",
            "opt/diffrun",
            "opt/diffrun/app",
            "opt/diffrun/app/package",
            "opt/diffrun/app/package/module.py",
        ]
        assert all(member.uid == 0 and member.mtime == 0 for member in layer.getmembers())
