"""Changes of any file after it was prepared are noticed."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import open_dataset
from pipelines.schema import DataError
from pipelines.sources import provenance


@pytest.fixture
def source(tmp_path, make_source):
    return make_source(tmp_path / "source", num_train=4, num_val=1)


@pytest.fixture
def prepare_source(tmp_path, source):
    def prepare_source(source=source, **options):
        options = {"num_classes": 7, "on_progress": lambda *_: None} | options
        return prepare("paired_folder", source_dir=source, data_dir=tmp_path / "data", **options)

    return prepare_source


def labels(tmp_path):
    records = open_dataset("paired_folder", tmp_path / "data").as_dataset(split="train")
    return {r["name"].decode(): r["label"] for r in records.as_numpy_iterator()}


def repair(path):
    """Swaps ids 1 and 2."""
    ids = np.asarray(Image.open(path))
    swapped = np.array([0, 2, 1, *range(3, 256)], np.uint8)[ids]
    assert (swapped != ids).any()
    # Without compression, so that the size of the file stays.
    Image.fromarray(swapped).save(path, compress_level=0)


@pytest.fixture
def mask(source):
    path = source / "train_label" / "002.png"
    Image.open(path).save(path, compress_level=0)
    return path


SAID = r"prepared from other files than those in .*: {}; pass --overwrite to prepare it anew, or"


def test_masks_repaired_in_place_are_noticed_and_prepared_anew(prepare_source, mask, tmp_path):
    prepare_source()
    assert prepare_source()["already_prepared"]
    before = labels(tmp_path)
    repair(mask)
    with pytest.raises(DataError, match=SAID.format(r"1 changed \(train_label/002\.png\)")):
        prepare_source()
    np.testing.assert_array_equal(labels(tmp_path)["002"], before["002"])
    assert not prepare_source(overwrite=True)["already_prepared"]
    after = labels(tmp_path)
    expected = np.array([0, 2, 1, *range(3, 256)], np.uint8)[before["002"]]
    np.testing.assert_array_equal(after.pop("002"), expected)
    for name, label in after.items():
        np.testing.assert_array_equal(label, before[name])
    assert prepare_source()["already_prepared"]
    assert [path.name for path in (tmp_path / "data" / "paired_folder").iterdir()] == ["1.0.0"]


def test_a_change_that_keeps_size_and_time_is_noticed(prepare_source, mask):
    prepare_source()
    stat = mask.stat()
    repair(mask)
    os.utime(mask, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (mask.stat().st_size, mask.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    with pytest.raises(DataError, match="1 changed"):
        prepare_source()


def test_other_files_of_the_same_number_are_noticed(prepare_source, source):
    prepare_source()
    for kind in ("img", "label", "inst"):
        path = source / f"train_{kind}" / "002.png"
        path.rename(path.with_name("2.png"))
    said = r"3 added \(train_img/2\.png, .*\), 3 removed \(train_img/002\.png, "
    with pytest.raises(DataError, match=SAID.format(said + r".*\)")):
        prepare_source()


@pytest.fixture
def read(monkeypatch):
    """The files whose contents are read to compare them."""
    paths = []
    stamp = provenance.stamp
    monkeypatch.setattr(provenance, "stamp", lambda path: paths.append(path) or stamp(path))
    return paths


def test_files_are_read_again_only_where_their_times_changed(prepare_source, source, mask, read):
    prepare_source()
    assert len(read) == 5 * 3
    read.clear()
    prepare_source()
    assert read == []
    os.utime(mask)
    assert prepare_source()["already_prepared"]
    assert read == [mask]
    # What was seen then is written down.
    assert prepare_source()["already_prepared"]
    assert read == [mask]


def test_a_copy_of_the_folder_is_the_same(prepare_source, source, mask, tmp_path):
    prepare_source()
    shutil.copytree(source, tmp_path / "copy")
    shutil.rmtree(source)
    assert prepare_source(tmp_path / "copy")["already_prepared"]
    repair(tmp_path / "copy" / "train_label" / "002.png")
    with pytest.raises(DataError, match=r"those in .*/copy now: 1 changed"):
        prepare_source(tmp_path / "copy")


def test_a_bad_file_that_was_left_out_and_is_repaired_is_noticed(prepare_source, mask):
    whole = mask.read_bytes()
    mask.write_bytes(whole[:60])
    assert prepare_source(on_bad_file="skip")["skipped"] == {"truncated": 1}
    assert prepare_source(on_bad_file="skip")["already_prepared"]
    mask.write_bytes(whole)
    with pytest.raises(DataError, match="1 changed"):
        prepare_source(on_bad_file="skip")


def test_the_old_one_is_kept_until_the_new_one_is_there(
    prepare_source, mask, tmp_path, monkeypatch
):
    prepare_source()
    before = labels(tmp_path)
    mask.write_bytes(b"")
    with pytest.raises(DataError, match="empty file"):
        prepare_source(overwrite=True)
    np.testing.assert_array_equal(labels(tmp_path)["002"], before["002"])
    directory = tmp_path / "data" / "paired_folder"
    assert [path.name for path in directory.iterdir()] == ["1.0.0"]
    # As a process leaves it that was killed.
    os.rename(directory / "1.0.0", directory / ".old-1.0.0")
    with pytest.raises(DataError, match="1 changed"):
        prepare_source()
    assert [path.name for path in directory.iterdir()] == ["1.0.0"]


def test_the_old_one_can_be_read_while_the_new_one_is_written(prepare_source, mask, tmp_path):
    prepare_source()
    before = labels(tmp_path)
    repair(mask)
    seen = []
    prepare_source(overwrite=True, on_progress=lambda *_: seen.append(labels(tmp_path)["002"]))
    assert len(seen) == 5
    for label in seen:
        np.testing.assert_array_equal(label, before["002"])
    assert (labels(tmp_path)["002"] != before["002"]).any()


def test_other_classes_with_overwrite(prepare_source, tmp_path):
    prepare_source()
    prepare_source(num_classes=9, overwrite=True)
    metadata = open_dataset("paired_folder", tmp_path / "data").info.metadata
    assert len(metadata["class_names"]) == 9


def test_data_sets_of_earlier_versions_stay_readable(prepare_source, mask, tmp_path):
    assert prepare_source()["sources_known"]
    (tmp_path / "data" / "paired_folder" / "1.0.0" / provenance.SOURCES_FILE).unlink()
    repair(mask)
    summary = prepare_source()
    assert summary["already_prepared"]
    assert not summary["sources_known"]
