"""Every builder on a tiny tree with the layout, names, bit depths and modes of the real one."""

import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from source_trees import (
    ADE_VALUES,
    CITY_SIZE,
    COCO_VALUES,
    ade20k,
    cityscapes,
    coco_stuff_official,
    coco_stuff_raw,
    facades,
    ids,
    manifest,
    paired_folder,
    photo,
    save,
)

from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import label_set, open_dataset, read_skipped
from pipelines.schema import DataError
from pipelines.sources.builders.outdoor_scenes import is_outdoor


def raises(*parts):
    """One line that holds all of the parts, in this order."""
    return pytest.raises(DataError, match=r"\A[^\n]*" + r"[^\n]*".join(map(re.escape, parts)))


def records(dataset, data_dir, split="train"):
    builder = open_dataset(dataset, data_dir)
    decoders = {"image": tfds.decode.SkipDecoding()}
    found = builder.as_dataset(split=split, decoders=decoders).as_numpy_iterator()
    return {record["name"].decode(): record for record in found}


@pytest.mark.parametrize("layout", [coco_stuff_official, coco_stuff_raw])
def test_coco_stuff(tmp_path, layout):
    source = layout(tmp_path / "source")
    summary = prepare("coco_stuff", source_dir=source, data_dir=tmp_path / "data")
    assert summary["num_examples"] == {"train": 3, "val": 1}
    found = label_set(open_dataset("coco_stuff", tmp_path / "data"))
    with_instance = layout is coco_stuff_official
    assert (found.num_ids, found.has_instance) == (183, with_instance)
    # The paper's input: 182 classes, unknown and the instance edges.
    assert found.num_ids + with_instance in (183, 184)
    record = records("coco_stuff", tmp_path / "data")[f"{1:012d}"]
    expected = ids(1, COCO_VALUES)
    np.testing.assert_array_equal(record["label"][..., 0], np.where(expected == 255, 182, expected))
    (image,) = source.rglob(f"train*/{1:012d}.jpg")
    assert record["image"] == image.read_bytes()
    if with_instance:
        np.testing.assert_array_equal(record["instance"][..., 0], ids(1, [0, 7, 400], np.uint16))


def test_coco_stuff_says_what_is_missing(tmp_path):
    source = coco_stuff_raw(tmp_path / "source")
    shutil.rmtree(source / "stuffthingmaps")
    with raises("stuffthingmaps/train2017: no such folder; what is wanted: {train,val}_"):
        prepare("coco_stuff", source_dir=source, data_dir=tmp_path / "data")


def test_ade20k(tmp_path):
    source = ade20k(tmp_path / "source")
    summary = prepare("ade20k", source_dir=source, data_dir=tmp_path / "data")
    assert summary["num_examples"] == {"train": 4, "val": 2}
    assert label_set(open_dataset("ade20k/all", tmp_path / "data")).num_ids == 151
    record = records("ade20k", tmp_path / "data")["ADE_train_00000001"]
    file_ids = ids(0, ADE_VALUES).astype(int)
    np.testing.assert_array_equal(
        record["label"][..., 0], np.where(file_ids == 0, 150, file_ids - 1)
    )


def test_ade20k_with_the_ids_of_its_files(tmp_path):
    source = ade20k(tmp_path / "source")
    prepare("ade20k", source_dir=source, data_dir=tmp_path / "data", config="all_file_ids")
    found = label_set(open_dataset("ade20k", tmp_path / "data"))
    assert (found.num_ids, found.class_names[:2]) == (151, ("unknown", "wall"))
    record = records("ade20k", tmp_path / "data")["ADE_train_00000001"]
    np.testing.assert_array_equal(record["label"][..., 0], ids(0, ADE_VALUES))


def test_ade20k_outdoor(tmp_path):
    source = ade20k(tmp_path / "source")
    summary = prepare("ade20k", source_dir=source, data_dir=tmp_path / "data", config="outdoor")
    assert summary["num_examples"] == {"train": 3, "val": 1}
    assert sorted(records("ade20k/outdoor", tmp_path / "data")) == [
        f"ADE_train_{i:08d}" for i in (1, 3, 4)
    ]
    (source / "sceneCategories.txt").unlink()
    with raises(
        "sceneCategories.txt: cannot be read (No such file or directory); config outdoor needs"
    ):
        prepare("ade20k", source_dir=source, data_dir=tmp_path / "other", config="outdoor")
    with raises("config: 'indoor' received; give one of all, outdoor"):
        prepare("ade20k", source_dir=source, data_dir=tmp_path / "other", config="indoor")


@pytest.mark.parametrize(
    ("scene", "expected"),
    [("street", 1), ("garage/outdoor", 1), ("balcony exterior", 1), ("bedroom", 0), ("misc", 0)],
)
def test_outdoor_scenes(scene, expected):
    assert is_outdoor(scene) == bool(expected)


def test_cityscapes(tmp_path):
    source = cityscapes(tmp_path / "source")
    summary = prepare(
        "cityscapes", source_dir=source, data_dir=tmp_path / "data", config="1024x2048"
    )
    assert summary["num_examples"] == {"train": 4, "val": 2}
    found = label_set(open_dataset("cityscapes", tmp_path / "data"))
    assert (found.num_ids, found.has_instance, found.class_names[34]) == (35, True, "license plate")
    record = records("cityscapes", tmp_path / "data")["aachen/aachen_000001_000019"]
    file_ids = ids(1, [0, 7, 26, 33, 255], size=CITY_SIZE)
    np.testing.assert_array_equal(record["label"][..., 0], np.where(file_ids == 255, 34, file_ids))
    instance = ids(1, [7, 26000, 26001], np.uint16, size=CITY_SIZE)
    np.testing.assert_array_equal(record["instance"][..., 0], instance)
    image = source / "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png"
    assert record["image"] == image.read_bytes()


def test_cityscapes_is_scaled_by_default(tmp_path):
    source = cityscapes(tmp_path / "source")
    prepare("cityscapes", source_dir=source, data_dir=tmp_path / "data")
    builder = open_dataset("cityscapes/256x512", tmp_path / "data")
    record = next(iter(builder.as_dataset(split="val").as_numpy_iterator()))
    assert record["image"].shape == (256, 512, 3)
    # 8 times as large: every pixel becomes a block of 8 by 8.
    seed = int(record["name"].decode().split("_")[1])
    file_ids = ids(seed, [0, 7, 26, 33, 255], size=CITY_SIZE)
    expected = np.where(file_ids == 255, 34, file_ids).repeat(8, 0).repeat(8, 1)
    np.testing.assert_array_equal(record["label"][..., 0], expected)


def test_cityscapes_from_its_colours(tmp_path):
    source = cityscapes(tmp_path / "source")
    prepare(
        "cityscapes",
        source_dir=source,
        data_dir=tmp_path / "data",
        config="1024x2048",
        palette="cityscapes",
    )
    record = records("cityscapes", tmp_path / "data")["ulm/ulm_000000_000019"]
    file_ids = ids(0, [0, 7, 26, 33, 255], size=CITY_SIZE)
    # Licence plates have the colour of cars.
    np.testing.assert_array_equal(record["label"][..., 0], np.where(file_ids == 255, 26, file_ids))


def test_facades(tmp_path):
    source = facades(tmp_path / "source")
    summary = prepare("facades", source_dir=source, data_dir=tmp_path / "data")
    # 13 pictures in the shares 400 : 100 : 106 of 606.
    assert summary["num_examples"] == {"train": 9, "val": 2, "test": 2}
    found = {}
    for split in summary["num_examples"]:
        found |= records("facades", tmp_path / "data", split)
    assert len(found) == 13
    np.testing.assert_array_equal(found["cmp_x0002"]["label"][..., 0], ids(2, range(1, 13)) - 1)
    # The same through the colours of the palette.
    prepare("facades", source_dir=source, data_dir=tmp_path / "colours", palette="facades")
    for name, record in records("facades", tmp_path / "colours").items():
        np.testing.assert_array_equal(record["label"], found[name]["label"])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_manifest(tmp_path, suffix):
    source = manifest(tmp_path).with_suffix(suffix)
    summary = prepare("manifest", source_dir=source, data_dir=tmp_path / "data")
    assert summary["num_examples"] == {"train": 3, "val": 1}
    assert label_set(open_dataset("manifest", tmp_path / "data")).class_names == ("a", "b", "c")
    record = records("manifest", tmp_path / "data")["photos/2"]
    expected = ids(2, [0, 1, 2, 255])
    np.testing.assert_array_equal(record["label"][..., 0], np.where(expected == 255, 3, expected))
    assert record["image"] == (tmp_path / "photos" / "2.jpg").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.txt", "", "list.txt received; what is wanted: a .csv, .tsv or .jsonl file"),
        ("bad.csv", "image,label,split\nphotos/0.jpg,,train\n", "bad.csv: line 2 has no label"),
        ("bad.csv", "image,label,split\na,b,c,d\n", "bad.csv: line 2 has 'another column'"),
        ("bad.csv", "image,label,split\na,b,dav\n", "line 2 has split 'dav'; give one of train"),
        ("bad.jsonl", "[1]\n", "bad.jsonl: line 1 is no JSON object of texts"),
        ("bad.jsonl", "\n{", "bad.jsonl: line 2 is no JSON object of texts"),
        ("bad.csv", "image,label,split\n", "bad.csv: no usable example of split train"),
        (
            "bad.csv",
            "image,label,split\nphotos/9.jpg,masks/m0.png,train\n",
            "9.jpg: no such file, though line 2 of",
        ),
        (
            "bad.csv",
            "image,label,split\n" + "photos/0.jpg,masks/m0.png,train\n" * 2,
            "has the same name as line 2",
        ),
    ],
)
def test_bad_manifests(tmp_path, name, content, said):
    manifest(tmp_path)
    (tmp_path / name).write_text(content)
    with raises(said):
        prepare("manifest", source_dir=tmp_path / name, data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()


LAYOUTS = {
    "paired_folder": (paired_folder, {}, "train_img/1.jpg", "train_label/1.png", None),
    "manifest": (manifest, {}, "photos/1.jpg", "masks/m1.png", None),
    "coco_stuff": (
        coco_stuff_official,
        {},
        f"train_img/{1:012d}.jpg",
        f"train_label/{1:012d}.png",
        f"train_inst/{1:012d}.png",
    ),
    "ade20k": (
        ade20k,
        {},
        "images/training/ADE_train_00000002.jpg",
        "annotations/training/ADE_train_00000002.png",
        None,
    ),
    "cityscapes": (
        cityscapes,
        {"config": "1024x2048"},
        "leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png",
        "gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png",
        "gtFine/train/ulm/ulm_000001_000019_gtFine_instanceIds.png",
    ),
    "facades": (facades, {}, "base/cmp_b0002.jpg", "base/cmp_b0002.png", None),
}


def jpeg(path):
    save(photo(0, CITY_SIZE), path.with_suffix(".tmp.jpg"), quality=50)
    path.with_suffix(".tmp.jpg").rename(path)


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


NOISE = np.random.default_rng(0).integers(0, 256, (8, 12)).astype(np.uint8)

# What is done to a file, which it is done to, and what it is called.
BAD = {
    "truncated image": (truncate, "image", "truncated"),
    "empty image": (lambda path: path.write_bytes(b""), "image", "empty file"),
    "transparent image": (lambda p: Image.new("RGBA", (12, 8)).save(p, "PNG"), "image", "mode"),
    "truncated label": (truncate, "label", "truncated"),
    "empty label": (lambda path: path.write_bytes(b""), "label", "empty file"),
    "size": (lambda p: save(np.ones((5, 5), np.uint8), p), "label", "5x5 pixels"),
    "id": (lambda p: save(np.full_like(NOISE, 200), p), "label", "label ids 200 in 96 pixels"),
    "colours": (lambda p: save(photo(1), p), "label", "RGB colour mask"),
    "jpeg": (jpeg, "label", "JPEG mask"),
    "instance": (jpeg, "instance", "JPEG mask"),
    "missing image": (lambda path: path.unlink(), "image", ""),
    "missing label": (lambda path: path.unlink(), "label", ""),
}


@pytest.mark.parametrize("dataset", LAYOUTS)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_through_every_builder(tmp_path, dataset, case):
    make, kwargs, image, label, instance = LAYOUTS[dataset]
    source = make(tmp_path / "source" if dataset != "manifest" else tmp_path)
    root = tmp_path / "source" if dataset != "manifest" else tmp_path
    spoil, kind, said = BAD[case]
    relative = {"image": image, "label": label, "instance": instance}[kind]
    if relative is None:
        pytest.skip("has no instance maps")
    path = root / relative
    spoil(path)
    named = path.name if said else path.stem.split("_gtFine")[0].split("_leftImg8bit")[0]
    # Where pictures and maps are told apart by their suffix, the wrong one is no counterpart.
    with raises(named, said):
        prepare(dataset, source_dir=source, data_dir=tmp_path / "data", **kwargs)
    assert not (tmp_path / "data").exists()

    kept = prepare(
        dataset, source_dir=source, data_dir=tmp_path / "data", on_bad_file="skip", **kwargs
    )
    assert sum(kept["skipped"].values()) >= 1
    listed = read_skipped(open_dataset(dataset, tmp_path / "data").data_path)
    if said:
        assert [entry["file"] for entry in listed] == [str(path)]
    again = prepare(
        dataset, source_dir=source, data_dir=tmp_path / "data", on_bad_file="skip", **kwargs
    )
    assert again["already_prepared"]
    assert again["num_examples"] == kept["num_examples"]


def test_options_that_a_data_set_does_not_take(tmp_path):
    source = ade20k(tmp_path / "source")
    with raises("num_classes: 7 received, but ade20k takes none"):
        prepare("ade20k", source_dir=source, data_dir=tmp_path / "data", num_classes=7)
    with raises("source_dir: ", "received, but landscapes is drawn"):
        prepare("landscapes", source_dir=source, data_dir=tmp_path / "data")
