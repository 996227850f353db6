"""Preparations that were killed, through Beam, and with bad files left out."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.prepare import journal
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import open_dataset, read_skipped
from pipelines.schema import DataError
from pipelines.sources import pictures


@pytest.fixture
def source(tmp_path, make_source):
    return make_source(tmp_path / "source", num_train=12, num_val=2)


def prepare_source(source, data_dir, **kwargs):
    # A byte per shard is not to be had: every example becomes a shard of its own.
    options = {"num_classes": 7, "shard_bytes": 1, "on_progress": lambda *_: None}
    return prepare("paired_folder", source_dir=source, data_dir=data_dir, **(options | kwargs))


def shards(data_dir):
    return {path.name: path.read_bytes() for path in sorted(data_dir.rglob("*.tfrecord*"))}


def interrupt_after(count):
    def on_progress(split, done, total):
        if done == count:
            raise KeyboardInterrupt

    return on_progress


@pytest.fixture
def reads(monkeypatch):
    """The photographs that are read."""
    read = []
    read_image = pictures.read_image
    monkeypatch.setattr(pictures, "read_image", lambda path: read.append(path) or read_image(path))
    return read


def test_an_interrupted_preparation_goes_on_where_it_was(source, tmp_path, reads):
    prepare_source(source, tmp_path / "whole")
    reads.clear()
    data_dir = tmp_path / "data"
    with pytest.raises(KeyboardInterrupt):
        prepare_source(source, data_dir, on_progress=interrupt_after(8))
    # The eighth shard was read but not finished.
    assert len(reads) == 8
    assert [path.name for path in (data_dir / "paired_folder").iterdir()] == [".partial-1.0.0"]
    with pytest.raises(DataError, match="no paired_folder prepared"):
        open_dataset("paired_folder", data_dir)
    summary = prepare_source(source, data_dir)
    assert len(reads) == 8 + (14 - 7)
    assert summary["num_examples"] == {"train": 12, "val": 2}
    assert summary["num_shards"] == {"train": 12, "val": 2}
    assert shards(data_dir) == shards(tmp_path / "whole")
    assert [path.name for path in (data_dir / "paired_folder").iterdir()] == ["1.0.0"]


def test_a_file_that_changed_meanwhile_is_read_again(source, tmp_path, reads):
    with pytest.raises(KeyboardInterrupt):
        prepare_source(source, tmp_path / "data", on_progress=interrupt_after(8))
    changed = reads[2]
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(changed)
    os.utime(changed, ns=(0, 0))
    done = reads[:7]
    reads.clear()
    prepare_source(source, tmp_path / "data")
    assert set(reads) & set(done) == {changed}
    records = open_dataset("paired_folder", tmp_path / "data").as_dataset(split="train")
    images = {r["name"].decode(): r["image"] for r in records.as_numpy_iterator()}
    assert not images[changed.stem].any()


def test_other_classes_start_anew(source, tmp_path, reads):
    with pytest.raises(KeyboardInterrupt):
        prepare_source(source, tmp_path / "data", on_progress=interrupt_after(8))
    reads.clear()
    prepare_source(source, tmp_path / "data", num_classes=9)
    assert len(reads) == 14


KILLED = """
import sys, time
from pipelines.prepare import prepare as lib

def on_progress(split, done, total):
    print(done, file=sys.__stdout__, flush=True)
    time.sleep(0.2)

lib.prepare("paired_folder", source_dir=sys.argv[1], data_dir=sys.argv[2], num_classes=7,
            shard_bytes=1, on_progress=on_progress)
"""


def test_a_killed_preparation_goes_on_where_it_was(source, tmp_path, reads):
    data_dir = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, source, data_dir], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) == 5:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = sorted(path.name[:11] for path in (data_dir / "paired_folder").iterdir())
    assert left == [".partial-1."]
    summary = prepare_source(source, data_dir)
    assert summary["num_examples"] == {"train": 12, "val": 2}
    assert len(reads) <= 14 - 4
    assert [path.name for path in (data_dir / "paired_folder").iterdir()] == ["1.0.0"]


def test_two_at_a_time(source, tmp_path):
    directory = tmp_path / "data" / "paired_folder" / ".partial-1.0.0"
    with (
        journal.opened(directory),
        pytest.raises(DataError, match=r"another prepare is writing this data set; wait"),
    ):
        prepare_source(source, tmp_path / "data")


SPOILT = {"000": "JPEG mask", "003": "size mismatch", "005": "id out of range", "007": "truncated"}


@pytest.fixture
def spoilt(source):
    labels = source / "train_label"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(labels / "tmp.jpg")
    (labels / "tmp.jpg").rename(labels / "000.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(labels / "003.png")
    Image.fromarray(np.full((12, 16), 99, np.uint8)).save(labels / "005.png")
    image = source / "train_img" / "007.png"
    image.write_bytes(image.read_bytes()[:60])
    return source


@pytest.mark.parametrize("shard_bytes", [1, 10**9])
def test_bad_files_are_left_out_and_listed(spoilt, tmp_path, shard_bytes):
    calls = []
    summary = prepare_source(
        spoilt,
        tmp_path / "data",
        on_bad_file="skip",
        shard_bytes=shard_bytes,
        on_progress=lambda *call: calls.append(call),
    )
    assert summary["num_examples"] == {"train": 8, "val": 2}
    assert summary["skipped"] == {kind: 1 for kind in SPOILT.values()}
    listed = [json.loads(line) for line in Path(summary["skipped_file"]).read_text().splitlines()]
    assert {entry["file"].split("/")[-1][:3]: entry["kind"] for entry in listed} == SPOILT
    assert all(entry["reason"].startswith(entry["file"] + ": ") for entry in listed)
    assert calls[11] == ("train", 12, 12)
    records = open_dataset("paired_folder", tmp_path / "data").as_dataset(split="train")
    names = {record["name"].decode() for record in records.as_numpy_iterator()}
    assert names == {f"{i:03d}" for i in range(12)} - set(SPOILT)
    again = prepare_source(spoilt, tmp_path / "data", on_bad_file="skip")
    assert again["already_prepared"]
    assert again["skipped"] == summary["skipped"]


def test_nothing_left_to_take(source, tmp_path):
    for path in (source / "val_label").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"\Aval: none of its 2 examples could be used, the first"):
        prepare_source(source, tmp_path / "data", on_bad_file="skip")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"on_bad_file": "ignore"}, "on_bad_file: 'ignore' received; give stop or skip"),
        ({"off_palette": "black"}, "off_palette: 'black' received; give stop or unknown"),
        ({"shard_bytes": 0}, "shard_bytes: 0 received; give 1 or more"),
        ({"num_processes": 0}, "num_processes: 0 received; give 1 or more"),
        ({"beam_options": ["a=1"]}, "beam_options: a=1 received without a runner"),
    ],
)
def test_bad_arguments(source, tmp_path, kwargs, said):
    with pytest.raises(DataError, match=said):
        prepare_source(source, tmp_path / "data", **kwargs)


def test_without_beam(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
    with pytest.raises(DataError, match=r"Apache Beam is not installed; pip install"):
        prepare_source(source, tmp_path / "data", beam_runner="DirectRunner")


# Beam deprecates parts of the packages that it builds on, and opens sockets that it leaves to be
# closed with the process.
@pytest.mark.filterwarnings("ignore")
def test_through_beam(source, tmp_path):
    pytest.importorskip("apache_beam", reason="Apache Beam is in the extra prepare")
    options = {"beam_runner": "DirectRunner", "beam_options": ["direct_num_workers=1"]}
    prepare_source(source, tmp_path / "alone")
    summary = prepare_source(source, tmp_path / "data", **options)
    # More than ten shards of different lengths, were one of them empty, must keep their order.
    assert summary["num_shards"] == {"train": 12, "val": 2}
    assert shards(tmp_path / "data") == shards(tmp_path / "alone")
    labels = source / "train_label"
    Image.fromarray(np.full((12, 16), 99, np.uint8)).save(labels / "005.png")
    with pytest.raises(DataError, match=r"\A[^\n]*005.png: label ids 99 in 192 pixels[^\n]*\Z"):
        prepare_source(source, tmp_path / "bad", **options)
    assert not (tmp_path / "bad").exists()
    summary = prepare_source(source, tmp_path / "skipped", on_bad_file="skip", **options)
    assert summary["num_examples"] == {"train": 11, "val": 2}
    assert [
        entry["kind"]
        for entry in read_skipped(open_dataset("paired_folder", tmp_path / "skipped").data_path)
    ] == ["id out of range"]
    records = open_dataset("paired_folder", tmp_path / "skipped").as_dataset(split="train[2:9]")
    assert len(list(records)) == 7
