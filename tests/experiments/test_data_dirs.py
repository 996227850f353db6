"""The data set of a run is found from anywhere."""

import json

import pytest

from experiments.setup.config import Config
from experiments.setup.data_dirs import data_dir_of
from experiments.setup.workdir import read_workdir, write_workdir

LABELS = {"class_names": ["a"], "palette": [[0, 0, 0]], "has_unknown": False, "has_instance": False}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workdir and its data set, written down from within their folder."""
    root = tmp_path / "here"
    (root / "data").mkdir(parents=True)
    monkeypatch.chdir(root)
    write_workdir(Config(), "runs/x", LABELS, "data")
    monkeypatch.chdir(tmp_path)
    return root


def found(root):
    workdir = root / "runs" / "x"
    return data_dir_of(read_workdir(workdir), workdir)


def test_from_another_directory(place):
    assert found(place) == str(place / "data")


def test_after_both_were_moved(place, tmp_path):
    moved = place.rename(tmp_path / "there")
    assert found(moved) == str(moved / "data")


def test_gone_it_is_called_by_the_place_where_it_was(place):
    (place / "data").rmdir()
    assert found(place) == str(place / "data")


def test_older_workdirs_have_a_relative_one(place):
    path = place / "runs" / "x" / "config.json"
    content = json.loads(path.read_text()) | {"data_dir": "data"}
    del content["data_dir_from_here"]
    path.write_text(json.dumps(content))
    assert found(place) == str(place / "data")
