"""What networks saw in real pictures is kept, and found again by content alone."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf

from experiments.commands.evaluate.cache import RealCache
from experiments.commands.evaluate.judges import Judges, Segmenter
from experiments.commands.evaluate.judging import judge, summarise
from experiments.commands.evaluate.options import Styles
from experiments.commands.evaluate.pairs import Pair, Pairs
from experiments.setup.feature_networks import FeatureNetwork
from experiments.setup.output import user_cache_dir
from pipelines.schema import LabelSet

NAMES = ("dark", "light")


class Grey:
    labels = LabelSet(NAMES, ((0, 0, 0), (255, 255, 255)), False, False)
    z_dim = None
    sizing = types.MappingProxyType({"multiple": 4})

    def generate(self, maps, z):
        return np.full([len(maps["label"]), 1, 8, 8, 3], 128, np.uint8)


def judges_of(weights="w", size=8):
    def features(image):
        # Something that differs between pictures in every bit.
        return tf.reduce_mean(tf.sin(image * 3.0), [1, 2])

    segmenter = Segmenter("s", NAMES, "0", lambda image: tf.cast(image[..., 0] > 0, tf.int64))
    return Judges((FeatureNetwork("net", size, 3, weights, features),), None, segmenter)


def pairs(changed=None, count=6):
    random = np.random.default_rng(0)
    for index in range(count):
        image = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        label = random.integers(0, 2, (8, 8)).astype(np.int32)
        if index == changed:
            image[3, 4, 1] ^= 1
        yield Pair(f"p{index}", {"label": label}, image)


def scores_of(folder, *, changed=None, judges=None, batch_size=2):
    judges = judges or judges_of()
    cache = RealCache(folder, judges)
    rows, _ = judge(
        Grey(),
        Pairs(6, pairs(changed), []),
        judges,
        Styles(style="none", num_styles=1),
        cache=cache,
        batch_size=batch_size,
        strategy=tf.distribute.get_strategy(),
    )
    cache.save()
    return cache.hits, summarise(rows, judges, 0)


def rows_in(folder):
    return {path.name[:8]: len(np.load(path)["keys"]) for path in folder.glob("*.npz")}


def test_cached_figures_are_the_same(tmp_path):
    none, expected = scores_of(None)
    first, before = scores_of(tmp_path)
    again, after = scores_of(tmp_path)
    assert (none, first, again) == (0, 0, 6)
    assert json.dumps(expected) == json.dumps(before) == json.dumps(after)
    assert set(rows_in(tmp_path).values()) == {6}


def test_a_changed_picture_is_another_entry(tmp_path):
    scores_of(tmp_path)
    hits, scores = scores_of(tmp_path, changed=3)
    # The picture beside it in the batch is looked at again; the four others are known.
    assert hits == 4
    assert set(rows_in(tmp_path).values()) == {7}
    assert json.dumps(scores) == json.dumps(scores_of(None, changed=3)[1])


@pytest.mark.parametrize("options", [{"weights": "other"}, {"size": 16}])
def test_other_weights_or_another_protocol_are_other_files(options, tmp_path):
    scores_of(tmp_path)
    hits, _ = scores_of(tmp_path, judges=judges_of(**options))
    assert hits == 0
    assert len(list(tmp_path.glob("features-net-*.npz"))) == 2
    assert len(list(tmp_path.glob("counts-*.npz"))) == 1


def test_a_damaged_file_is_made_anew(tmp_path, capsys):
    scores_of(tmp_path)
    (path,) = tmp_path.glob("features-*.npz")
    path.write_bytes(path.read_bytes()[:100])
    hits, scores = scores_of(tmp_path)
    assert hits == 0
    assert f"{path}: not read" in capsys.readouterr().err
    assert scores_of(tmp_path) == (6, scores)


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    _, scores = scores_of(tmp_path / "file" / "cache")
    assert scores["net"]
    assert "not kept" in capsys.readouterr().err
    assert not list(tmp_path.glob("**/*.part"))


def test_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache_dir() == tmp_path / "spade-tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_cache_dir() == tmp_path / "home" / ".cache" / "spade-tf"
