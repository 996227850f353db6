"""Photographs that a network labels: a SavedModel, a Keras file and a TFLite file."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import label_set, open_dataset
from pipelines.schema import DataError


def raises(*parts):
    """One line that holds all of the parts, in this order."""
    return pytest.raises(DataError, match=r"\A[^\n]*" + r"[^\n]*".join(map(re.escape, parts)))


@pytest.fixture
def source(tmp_path):
    for split, count in (("train", 3), ("val", 1)):
        folder = tmp_path / "source" / f"{split}_img"
        folder.mkdir(parents=True)
        for i in range(count):
            # Areas of one channel each, so that scaling the logits moves no border inside them.
            image = np.zeros((16, 24, 3), np.uint8)
            for j in range(3):
                image[:, 8 * j : 8 * j + 8, (i + j) % 3] = 200
            Image.fromarray(image).save(folder / f"{i}.png")
    (tmp_path / "source" / "classes.txt").write_text("red\ngreen\nblue\n")
    return tmp_path / "source"


def network(size=(None, None)):
    """Whichever channel is the largest is the class."""
    inputs = keras.Input((*size, 3))
    layer = keras.layers.Conv2D(3, 1, use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.kernel.assign(np.eye(3, dtype=np.float32)[None, None])
    return model


def save(kind, directory):
    if kind == "keras":
        path = directory / "network.keras"
        network().save(path)
    elif kind == "saved_model":
        path = directory / "network"
        module = tf.Module()
        module.model = network()
        spec = tf.TensorSpec((1, None, None, 3), tf.float32)
        function = tf.function(lambda x: {"logits": module.model(x)}).get_concrete_function(spec)
        tf.saved_model.save(module, str(path), signatures=function)
    else:
        path = directory / "network.tflite"
        function = tf.function(network((16, 24)))
        spec = tf.TensorSpec((1, 16, 24, 3), tf.float32)
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function(spec)]
        )
        path.write_bytes(converter.convert())
    return path


def labels(data_dir, split="train"):
    records = open_dataset("flickr_landscapes", data_dir).as_dataset(split=split)
    return {r["name"].decode(): r["label"][..., 0] for r in records.as_numpy_iterator()}


# TensorFlow's converter and interpreter deprecate themselves.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", ["keras", "saved_model", "tflite"])
def test_networks(source, tmp_path, kind):
    summary = prepare(
        "flickr_landscapes",
        source_dir=source,
        data_dir=tmp_path / "data",
        segmenter=save(kind, tmp_path),
        segmenter_scale=1 / 127.5,
        segmenter_offset=-1.0,
    )
    assert summary["num_examples"] == {"train": 3, "val": 1}
    found = label_set(open_dataset("flickr_landscapes", tmp_path / "data"))
    assert (found.class_names, found.num_ids) == (("red", "green", "blue"), 3)
    for name, label in labels(tmp_path / "data").items():
        expected = (int(name) + np.arange(24) // 8) % 3
        np.testing.assert_array_equal(label, np.broadcast_to(expected, (16, 24)))


def test_networks_of_a_fixed_size(source, tmp_path):
    network((32, 48)).save(tmp_path / "n.keras")
    prepare(
        "flickr_landscapes",
        source_dir=source,
        data_dir=tmp_path / "data",
        segmenter=tmp_path / "n.keras",
    )
    for name, label in labels(tmp_path / "data").items():
        expected = (int(name) + np.arange(24) // 8) % 3
        np.testing.assert_array_equal(label, np.broadcast_to(expected, (16, 24)))


def test_bad_networks(source, tmp_path):
    options = {"source_dir": source, "data_dir": tmp_path / "data"}
    with raises("segmenter: not given; flickr_landscapes is labelled by a network"):
        prepare("flickr_landscapes", **options)
    with raises("segmenter: no file", "none.keras"):
        prepare("flickr_landscapes", segmenter=tmp_path / "none.keras", **options)
    (tmp_path / "bad.keras").write_text("x")
    with raises("segmenter: ", "bad.keras cannot be loaded"):
        prepare("flickr_landscapes", segmenter=tmp_path / "bad.keras", **options)
    network().save(tmp_path / "good.keras")
    (source / "classes.txt").write_text("red\ngreen\n")
    with raises("good.keras: returns 3 classes, but 2 names are given"):
        prepare("flickr_landscapes", segmenter=tmp_path / "good.keras", **options)
    assert not (tmp_path / "data").exists()


def test_bad_photographs(source, tmp_path):
    network().save(tmp_path / "n.keras")
    path = source / "train_img" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    options = {
        "source_dir": source,
        "data_dir": tmp_path / "data",
        "segmenter": tmp_path / "n.keras",
    }
    with raises(f"{path}: truncated"):
        prepare("flickr_landscapes", **options)
    summary = prepare("flickr_landscapes", on_bad_file="skip", **options)
    assert summary["num_examples"] == {"train": 2, "val": 1}
    assert summary["skipped"] == {"truncated": 1}
