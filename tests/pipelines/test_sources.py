"""The ways in which people name and store pairs: read, or answered with the setting for it."""

import re

import numpy as np
import pytest
from PIL import Image

from pipelines.doctor.doctor import diagnose
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import open_dataset
from pipelines.schema import DataError
from pipelines.sources import decoding, guessing

SIZE = (16, 24)
COLORS = np.uint8([(70, 130, 180), (107, 142, 35), (152, 76, 0)])


def label_map(index):
    return np.random.default_rng(index).integers(0, 3, SIZE).astype(np.uint8)


@pytest.fixture
def make(tmp_path):
    """Writes pairs under given names, and returns their folder."""

    def make(*names, save_map=Image.Image.save, **options):
        root = tmp_path / "source"
        for index, (image, label) in enumerate(names):
            for name in (image, label):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
            photograph = Image.fromarray(COLORS[label_map(index)])
            # Whatever the ending says, as for .jfif, is JPEG; Pillow does not know all of them.
            known = Image.registered_extensions().get((root / image).suffix.lower())
            photograph.save(root / image, known or "JPEG")
            save_map(Image.fromarray(label_map(index)), root / label, **options)
        return root

    return make


def prepared(source, tmp_path, **options):
    options = {"num_classes": 3, "on_progress": lambda *_: None} | options
    summary = prepare("paired_folder", source_dir=source, data_dir=tmp_path / "data", **options)
    records = open_dataset("paired_folder", tmp_path / "data").as_dataset(split="train")
    return summary, {r["name"].decode(): r for r in records.as_numpy_iterator()}


def assert_read(records, names):
    assert sorted(records) == sorted(names)
    for index, name in enumerate(names):
        np.testing.assert_array_equal(records[name]["label"][..., 0], label_map(index))
        assert records[name]["image"].shape == (*SIZE, 3)


@pytest.mark.parametrize(
    "ending", ["jfif", "JPG", "jpeg", "PNG", "bmp", "gif", "tif", "webp", "ppm", "tga", "avif"]
)
def test_photographs_of_many_types(make, tmp_path, ending):
    source = make(*[(f"train_img/{i}.{ending}", f"train_label/{i}.png") for i in range(2)])
    summary, records = prepared(source, tmp_path)
    assert_read(records, ["0", "1"])
    assert summary["left_out"] == []
    if ending in ("PNG", "bmp", "tif", "ppm", "tga"):
        for index in range(2):
            np.testing.assert_array_equal(records[str(index)]["image"], COLORS[label_map(index)])


def test_heic_is_read_with_its_extra_or_said_to_need_it(make, tmp_path, monkeypatch):
    heif = pytest.importorskip("pi_heif", reason="pi-heif is in the extra heic")
    del heif
    source = make(("train_img/0.jpg", "train_label/0.png"))
    # pi-heif reads alone: this is the smallest box that tells the type.
    (source / "train_img" / "0.jpg").unlink()
    (source / "train_img" / "0.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1")
    with pytest.raises(DataError, match=r"0\.heic: "):
        prepared(source, tmp_path)

    monkeypatch.setattr(decoding, "_formats", lambda: ("PNG", "JPEG"))
    with pytest.raises(DataError, match=r"0\.heic: \.heic needs another package; pip install"):
        prepared(source, tmp_path)


def test_masks_as_arrays(make, tmp_path):
    def save(image, path):
        np.save(path, np.asarray(image).astype(np.int64))

    source = make(
        *[(f"train_img/{i}.jpg", f"train_label/{i}.npy") for i in range(2)], save_map=save
    )
    assert_read(prepared(source, tmp_path)[1], ["0", "1"])


def test_folders_in_folders(make, tmp_path):
    names = [f"day{i}/{i}" for i in range(3)]
    source = make(*[(f"train_img/{name}.jpg", f"train_label/{name}.png") for name in names])
    assert_read(prepared(source, tmp_path)[1], names)


def test_what_is_left_out_is_counted_and_named(make, tmp_path):
    source = make(("train_img/0.jpg", "train_label/0.png"))
    (source / "train_img" / "0.json").write_text("{}")
    (source / "test_img").mkdir()
    (source / "test_img" / "1.jpg").write_bytes(b"x")
    (source / ".DS_Store").write_bytes(b"x")
    (source / "classes.txt").write_text("a\nb\nc\n")
    summary, _ = prepared(source, tmp_path)
    assert summary["left_out"] == ["test_img/1.jpg", "train_img/0.json"]
    found = diagnose("paired_folder", source, num_classes=3).findings
    assert [(finding.kind, finding.num) for finding in found if finding.kind == "left out"] == [
        ("left out", 2)
    ]
    # What was prepared into the source folder itself is none of it.
    prepare("paired_folder", source_dir=source, data_dir=source / "data", num_classes=3)
    again = prepare("paired_folder", source_dir=source, data_dir=source / "data", num_classes=3)
    assert again["left_out"] == summary["left_out"]


STORED = {
    "suffix": ("train_img/{}.jpg", "train_label/{}_segmentation.png"),
    "prefixes": ("train_img/img_{}.jpg", "train_label/mask_{}.png"),
    "splits below": ("images/train/{}.jpg", "labels/train/{}.png"),
    "splits above": ("train/images/{}.jpg", "train/masks/{}.png"),
    "ADE20K": ("images/training/{}.jpg", "annotations/training/{}.png"),
    "VOC": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    "side by side": ("{}.jpg", "{}.png"),
    "side by side, suffix": ("all/{}.jpg", "all/{}_mask.png"),
    "side by side, PNG": ("all/{}.png", "all/{}_label.png"),
    "Supervisely": ("ds0/img/{}.jpg", "ds0/masks_machine/{}.png"),
    "Cityscapes": (
        "leftImg8bit/train/ulm/{}_leftImg8bit.png",
        "gtFine/train/ulm/{}_gtFine_labelIds.png",
    ),
    "days": ("pictures/day1/{}.jpg", "masks/day1/{}.png"),
}


@pytest.mark.parametrize("case", STORED)
def test_other_layouts_are_answered_with_the_flags_that_read_them(make, tmp_path, case):
    image, label = STORED[case]
    names = [f"p{i}" for i in range(3)]
    source = make(*[(image.format(name), label.format(name)) for name in names])
    with pytest.raises(DataError, match=r"if these are the photographs and their maps") as raised:
        prepared(source, tmp_path)
    told = dict(re.findall(r"--(\w+_files)='([^']+)'", str(raised.value)))
    _, records = prepared(source, tmp_path, **told)
    assert_read({name.rpartition("/")[2]: record for name, record in records.items()}, names)


def test_instances_and_validation_of_other_layouts_are_found(make, tmp_path):
    source = make(
        ("images/train/a.jpg", "masks/train/a.png"), ("images/valid/b.jpg", "masks/valid/b.png")
    )
    for split, name in (("train", "a"), ("valid", "b")):
        (source / "instances" / split).mkdir(parents=True)
        Image.new("RGB", SIZE[::-1]).save(source / "instances" / split / f"{name}.png")
    names = [path.relative_to(source).as_posix() for path in source.rglob("*.*")]
    told = guessing.guess_patterns(names)
    assert told == {
        "image": "images/{split}/*",
        "label": "masks/{split}/*",
        "instance": "instances/{split}/*",
    }
    summary, records = prepared(
        source, tmp_path, **{f"{kind}_files": pattern for kind, pattern in told.items()}
    )
    assert summary["num_examples"] == {"train": 1, "val": 1}
    assert "instance" in records["a"]


def save_colors(image, path):
    Image.fromarray(COLORS[np.asarray(image)]).save(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_cvat_label_maps_are_palettes(make, tmp_path, encoding):
    source = make(("train_img/0.jpg", "train_label/0.png"), save_map=save_colors)
    lines = ["# label:color_rgb:parts:actions"]
    lines += [f"thing {i}:{r},{g},{b}::" for i, (r, g, b) in enumerate(COLORS.tolist())]
    path = source / "labelmap.txt"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    with pytest.raises(DataError, match="RGB colour mask where ids are expected; pass --palette="):
        prepared(source, tmp_path)
    _, records = prepared(source, tmp_path, palette=path, num_classes=None)
    assert_read(records, ["0"])
    metadata = open_dataset("paired_folder", tmp_path / "data").info.metadata
    assert metadata["class_names"] == ["thing 0", "thing 1", "thing 2"]


def test_the_colours_of_voc_for_any_number_of_classes(make, tmp_path):
    # Entries 0 to 3 of the VOC colour map, from its definition, and what it draws borders in.
    voc = np.uint8([(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)])

    def save(image, path):
        colors = voc[np.asarray(image) + 1]
        colors[0, 0] = (224, 224, 192)
        Image.fromarray(colors).save(path)

    source = make(("train_img/0.jpg", "train_label/0.png"), save_map=save)
    _, records = prepared(source, tmp_path, palette="voc", num_classes=4)
    expected = label_map(0) + 1
    expected[0, 0] = 4
    np.testing.assert_array_equal(records["0"]["label"][..., 0], expected)


def test_palette_indices_as_ids(make, tmp_path):
    def save(image, path):
        image = image.convert("P")
        image.putpalette(COLORS.tobytes())
        image.save(path)

    source = make(("train_img/0.jpg", "train_label/0.png"), save_map=save)
    with pytest.raises(DataError, match=r"--palette=indices if its palette indices are the ids"):
        prepared(source, tmp_path)
    assert_read(prepared(source, tmp_path, palette="indices")[1], ["0"])


def test_transparent_pixels_have_no_colour(make, tmp_path):
    def save(image, path):
        alpha = np.full(SIZE, 255, np.uint8)
        alpha[0] = 0
        alpha[1] = 128
        colors = np.dstack([COLORS[np.asarray(image)], alpha])
        Image.fromarray(colors).save(path)

    source = make(("train_img/0.jpg", "train_label/0.png"), save_map=save)
    palette = tmp_path / "palette.txt"
    palette.write_text("".join(f"{i} {r} {g} {b}\n" for i, (r, g, b) in enumerate(COLORS)))
    said = r"48 of 384 pixels are transparent .*; pass --off_palette=unknown"
    with pytest.raises(DataError, match=said):
        prepared(source, tmp_path, palette=palette)
    finding = diagnose("paired_folder", source, palette=palette).findings[0]
    assert finding.kind == "transparent mask"
    assert "--palette=" not in finding.remedy
    summary, records = prepared(source, tmp_path, palette=palette, off_palette="unknown")
    assert summary["num_off_palette"] == 48
    expected = label_map(0)
    expected[:2] = 3
    np.testing.assert_array_equal(records["0"]["label"][..., 0], expected)


MANIFESTS = {
    "separators": "image;label;split\nimg\\É 1.JPG;label\\é 1.png;Training\n",
    "tabs": "Image\tLabel\tSplit\nimg/é 1.jpg\tlabel/é 1.png\ttrain\n\n",
    "quotes": "image,label,split\n\"img/é 1.jpg\", 'label/é 1.png',train\n",
    "decomposed": "image,label,split\nimg/e\u0301 1.jpg,./label/e\u0301 1.png,train\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("case", MANIFESTS)
def test_manifests_of_other_systems(make, tmp_path, case, encoding):
    source = make(("img/é 1.jpg", "label/é 1.png"))
    path = source / "list.csv"
    path.write_bytes(MANIFESTS[case].replace("\n", "\r\n").encode(encoding))
    summary = prepare("manifest", source_dir=path, data_dir=tmp_path / "data", num_classes=3)
    assert summary["num_examples"] == {"train": 1}
    (record,) = open_dataset("manifest", tmp_path / "data").as_dataset(split="train")
    np.testing.assert_array_equal(record["label"][..., 0], label_map(0))


def test_manifests_with_paths_from_home(make, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    source = make(("img/1.jpg", "label/1.png"))
    path = source / "list.csv"
    path.write_text(f"image,label,split\n~/source/img/1.jpg,{source / 'label' / '1.png'},train\n")
    summary = prepare("manifest", source_dir=path, data_dir=tmp_path / "data", num_classes=3)
    assert summary["num_examples"] == {"train": 1}
