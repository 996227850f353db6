import io
import re
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import label_set, open_dataset
from pipelines.schema import DataError


def raises(*parts):
    """One line that holds all of the parts, in this order."""
    return pytest.raises(DataError, match=r"\A[^\n]*" + r"[^\n]*".join(map(re.escape, parts)))


@pytest.fixture
def source(tmp_path, make_source):
    return make_source(tmp_path / "source", num_train=5, num_val=2)


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def prepare_source(source, data_dir, **kwargs):
    return prepare(
        "paired_folder", source_dir=source, data_dir=data_dir, **({"num_classes": 7} | kwargs)
    )


def stored(data_dir, split="train"):
    """The records by name, with images still encoded."""
    builder = open_dataset("paired_folder", data_dir)
    decoders = {"image": tfds.decode.SkipDecoding()}
    records = builder.as_dataset(split=split, decoders=decoders).as_numpy_iterator()
    return {record["name"].decode(): record for record in records}


def test_what_goes_in_comes_out(source, data_dir):
    summary = prepare_source(source, data_dir)
    assert summary["path"] == str(data_dir / "paired_folder" / "1.0.0")
    assert summary["num_examples"] == {"train": 5, "val": 2}
    assert summary["num_shards"] == {"train": 1, "val": 1}
    assert summary["num_bytes"] > 0
    assert not summary["already_prepared"]
    for split, count in summary["num_examples"].items():
        records = stored(data_dir, split)
        assert sorted(records) == [f"{i:03d}" for i in range(count)]
        for name, record in records.items():
            assert record["image"] == (source / f"{split}_img" / f"{name}.png").read_bytes()
            label = np.asarray(Image.open(source / f"{split}_label" / f"{name}.png"))
            assert (label == 255).any()
            np.testing.assert_array_equal(record["label"][..., 0], np.where(label == 255, 7, label))
            instance = np.asarray(Image.open(source / f"{split}_inst" / f"{name}.png"))
            assert record["instance"].dtype == np.uint16
            np.testing.assert_array_equal(record["instance"][..., 0], instance)


def test_labels_of_16_bits(tmp_path, data_dir, make_source):
    source = make_source(tmp_path / "source", num_train=1)
    label = np.random.default_rng(0).integers(0, 300, (12, 16)).astype(np.uint16)
    label[0, :2] = 65535, 255
    Image.fromarray(label).save(source / "train_label" / "000.png")
    prepare_source(source, data_dir, num_classes=300)
    expected = np.where(label == 65535, 300, label)
    np.testing.assert_array_equal(stored(data_dir)["000"]["label"][..., 0], expected)


def test_real_pairs_bit_by_bit(coco_stuff_sample, data_dir):
    prepare_source(coco_stuff_sample, data_dir, num_classes=182)
    records = stored(data_dir)
    assert len(records) == 13
    for name, record in records.items():
        source_image = coco_stuff_sample / "train_img" / f"{name}.jpg"
        assert record["image"] == source_image.read_bytes()
        label = np.asarray(Image.open(coco_stuff_sample / "train_label" / f"{name}.png"))
        np.testing.assert_array_equal(record["label"][..., 0], np.where(label == 255, 182, label))
        instance = np.asarray(Image.open(coco_stuff_sample / "train_inst" / f"{name}.png"))
        np.testing.assert_array_equal(record["instance"][..., 0], instance)
        # Both decode with libjpeg-turbo's accurate integer transform: no difference is allowed.
        decoded = tf.io.decode_jpeg(record["image"], channels=3, dct_method="INTEGER_ACCURATE")
        pillow = np.asarray(Image.open(source_image).convert("RGB"))
        np.testing.assert_array_equal(decoded, pillow)


def test_label_set_survives(source, data_dir):
    prepare_source(source, data_dir, class_names="abcdefg")
    found = label_set(open_dataset("paired_folder", data_dir))
    assert found.class_names == tuple("abcdefg")
    assert (found.num_classes, found.num_ids, found.has_instance) == (7, 8, True)
    assert found.palette[7] == (0, 0, 0)


def test_opening_needs_no_builder_module(source, data_dir, monkeypatch):
    prepare_source(source, data_dir)
    monkeypatch.setitem(sys.modules, "pipelines.sources.builders.paired_folder", None)
    assert open_dataset("paired_folder", data_dir).info.splits["train"].num_examples == 5


def test_same_source_gives_the_same_bytes(source, tmp_path):
    shards = []
    for name in ("a", "b"):
        prepare_source(source, tmp_path / name)
        shards.append(
            [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.tfrecord*"))]
        )
    assert len(shards[0]) == 2
    assert shards[0] == shards[1]


def test_nothing_but_the_data_set_is_written(source, data_dir, capsys):
    prepare_source(source, data_dir, on_progress=lambda *_: None)
    assert [path.name for path in data_dir.iterdir()] == ["paired_folder"]
    assert [path.name for path in (data_dir / "paired_folder").iterdir()] == ["1.0.0"]
    assert capsys.readouterr().out == ""


def test_what_a_caller_prints_meanwhile_is_seen(source, data_dir, capsys):
    prepare_source(source, data_dir, on_progress=lambda split, done, total: print(split, done))
    printed = capsys.readouterr().out.splitlines()
    assert printed == [*(f"train {i}" for i in range(1, 6)), "val 1", "val 2"]


def test_progress(source, data_dir, capsys):
    calls = []
    prepare_source(source, data_dir, on_progress=lambda *call: calls.append(call))
    assert calls == [("train", i, 5) for i in range(1, 6)] + [("val", i, 2) for i in (1, 2)]
    shutil.rmtree(data_dir)
    prepare_source(source, data_dir)
    assert "5/5" in capsys.readouterr().err


def test_already_prepared_is_left_alone(source, data_dir):
    prepare_source(source, data_dir)
    before = {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")}
    summary = prepare_source(source, data_dir)
    assert summary["already_prepared"]
    assert summary["num_examples"] == {"train": 5, "val": 2}
    assert {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")} == before


def test_already_prepared_from_another_source(source, data_dir, make_source):
    prepare_source(source, data_dir)
    path = data_dir / "paired_folder" / "1.0.0"
    remedy = "pass --overwrite to prepare it anew, or give another --data_dir"
    with raises(f"{path}: prepared with 7 classes, not 9; {remedy}"):
        prepare_source(source, data_dir, num_classes=9)
    with raises(f"{path}: prepared with other class_names; {remedy}"):
        prepare_source(source, data_dir, class_names="abcdefg")
    for name in ("train_inst", "val_inst"):
        shutil.rmtree(source / name)
    with raises(f"{path}: prepared with other has_instance; {remedy}"):
        prepare_source(source, data_dir)
    make_source(source, num_train=6, num_val=2)
    with raises(
        f"{path}: prepared with 5 train + 2 val examples, but the source now has "
        f"6 train + 2 val; {remedy}"
    ):
        prepare_source(source, data_dir)


def save(array, path, **options):
    Image.fromarray(array).save(path, **options)


def jpeg_bytes(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG")
    return buffer.getvalue()


IDS = np.zeros((12, 16), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8)

# Each writes one bad file over the last file of the last split, when much has been written.
BAD_FILES = {
    "label size": ("label", lambda p: save(IDS[:, :-1], p), "15x12 pixels"),
    "instance size": ("inst", lambda p: save(IDS[1:], p), "16x11 pixels"),
    "id outside": ("label", lambda p: save(IDS + 9, p), "label ids 9 in 192 pixels"),
    "colour mask": ("label", lambda p: save(NOISE, p), "RGB colour mask"),
    "alpha mask": ("label", lambda p: Image.new("RGBA", (16, 12), "red").save(p), "RGBA colour"),
    "palette mask": ("label", lambda p: Image.new("P", (16, 12)).save(p), "palette PNG"),
    "jpeg instance": ("inst", lambda p: p.write_bytes(jpeg_bytes(NOISE)), "JPEG mask"),
    "jpeg mask": ("label", lambda p: p.write_bytes(jpeg_bytes(NOISE)), "JPEG mask"),
    "truncated mask": ("label", lambda p: p.write_bytes(p.read_bytes()[:80]), "truncated"),
    "truncated png": ("img", lambda p: p.write_bytes(p.read_bytes()[:50]), "truncated"),
    "truncated jpeg": ("img", lambda p: p.write_bytes(jpeg_bytes(NOISE)[:-40]), "truncated"),
    "empty image": ("img", lambda p: p.write_bytes(b""), "empty file"),
    "empty mask": ("label", lambda p: p.write_bytes(b""), "empty file"),
    "image mode": ("img", lambda p: Image.new("RGBA", (16, 12)).save(p), "mode RGBA"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_leaves_nothing_behind(source, data_dir, case):
    kind, spoil, said = BAD_FILES[case]
    path = source / f"val_{kind}" / "001.png"
    spoil(path)
    with raises(f"{path}: ", said):
        prepare_source(source, data_dir)
    assert not data_dir.exists()


def test_a_failure_leaves_other_data_sets_alone(source, data_dir):
    (data_dir / "other").mkdir(parents=True)
    (source / "val_label" / "001.png").write_bytes(b"")
    with raises("empty file"):
        prepare_source(source, data_dir)
    assert [path.name for path in data_dir.rglob("*")] == ["other"]


def test_an_interruption_leaves_nothing_behind(source, data_dir):
    def interrupt(split, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_source(source, data_dir, on_progress=interrupt)
    assert not data_dir.exists()


def test_data_dir_cannot_be_written(source, data_dir):
    data_dir.write_text("a file")
    with raises(f"data_dir: {data_dir} cannot be written", "give another --data_dir"):
        prepare_source(source, data_dir)
    assert data_dir.read_text() == "a file"


def test_bad_arguments(data_dir):
    with raises("dataset: 'mnist' received; give one of paired_folder, manifest, coco_stuff"):
        prepare("mnist", data_dir=data_dir)
    with raises("source_dir: not given; pass --source_dir=DIR with these files"):
        prepare("paired_folder", data_dir=data_dir)


def test_open_what_is_not_prepared(data_dir):
    for dataset, flags in (
        ("landscapes", "--dataset=landscapes"),
        ("landscapes/128x128", "--dataset=landscapes --config_name=128x128"),
    ):
        with raises(
            f"data_dir: no {dataset} prepared in {data_dir}; run the command prepare "
            f"{flags} --data_dir={data_dir}"
        ):
            open_dataset(dataset, data_dir)


def test_open_takes_the_latest_version_and_one_configuration(source, data_dir):
    prepare_source(source, data_dir)
    version = data_dir / "paired_folder" / "1.0.0"
    version.rename(version.with_name("1.9.0"))
    shutil.copytree(version.with_name("1.9.0"), version.with_name("1.10.0"))
    builder = open_dataset("paired_folder", data_dir)
    assert str(builder.data_path) == str(version.with_name("1.10.0"))

    shutil.move(data_dir / "paired_folder", data_dir / "drawn" / "64x64")
    found = open_dataset("drawn", data_dir)
    assert str(found.data_path) == str(data_dir / "drawn" / "64x64" / "1.10.0")
    shutil.copytree(data_dir / "drawn" / "64x64", data_dir / "drawn" / "8x8")
    with raises("dataset: 'drawn' is prepared more than once; give drawn/64x64 or drawn/8x8"):
        open_dataset("drawn", data_dir)
    with raises(
        f"data_dir: no drawn/4x4 prepared in {data_dir}; give drawn/64x64 or drawn/8x8, or"
    ):
        open_dataset("drawn/4x4", data_dir)
    found = open_dataset("drawn/8x8", data_dir)
    assert str(found.data_path) == str(data_dir / "drawn" / "8x8" / "1.10.0")


def test_open_and_prepare_over_damage(source, data_dir):
    prepare_source(source, data_dir)
    path = data_dir / "paired_folder" / "1.0.0"
    shard = next(path.glob("*val*"))
    shard.rename(path / "away")
    for attempt in (
        lambda: open_dataset("paired_folder", data_dir),
        lambda: prepare_source(source, data_dir),
    ):
        with raises(f"{shard}: shard missing; remove {path} and prepare"):
            attempt()
    (path / "dataset_info.json").write_text("{")
    for attempt in (
        lambda: open_dataset("paired_folder", data_dir),
        lambda: prepare_source(source, data_dir),
    ):
        with raises(f"{path}: not a prepared data set", f"remove {path} and prepare"):
            attempt()


def prepare_landscapes(data_dir, **kwargs):
    sizes = {"height": 64, "width": 64, "num_train": 2, "num_val": 1}
    return prepare("landscapes", data_dir=data_dir, **(sizes | kwargs))


def test_landscapes(data_dir):
    summary = prepare_landscapes(data_dir)
    assert summary["num_examples"] == {"train": 2, "val": 1}
    builder = open_dataset("landscapes", data_dir)
    assert str(builder.data_path) == summary["path"]
    assert label_set(builder).has_instance
    assert prepare_landscapes(data_dir)["already_prepared"]
    assert not prepare_landscapes(data_dir, seed=1)["already_prepared"]


def test_an_interruption_of_landscapes_leaves_nothing_behind(data_dir):
    def interrupt(split, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_landscapes(data_dir, on_progress=interrupt)
    assert not data_dir.exists()


def test_landscapes_refuse_a_bad_size(data_dir):
    with pytest.raises(DataError, match=r"\A[^\n]*65[^\n]*\Z"):
        prepare_landscapes(data_dir, height=65)


def test_no_network(source, data_dir, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    prepare_source(source, data_dir)
    open_dataset("paired_folder", data_dir)
