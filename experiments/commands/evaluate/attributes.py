"""Whether styles are true: a small classifier finds the attribute of a picture, such as its time.

Only data sets of which an attribute is known have such scores; see `pipelines.reading.attributes`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from experiments.commands.evaluate.cache import keep, read_kept
from experiments.commands.evaluate.scores import mean_score
from experiments.setup.layouts import open_model_data, single_batches
from experiments.setup.predictors import Model
from pipelines.reading.attributes import Attribute, attribute_of
from spade_tf.training.pictures import to_uint8

# Light shows at a small size, and a few pictures teach it.
_SIZE = 32
_MOST = 2000
_EPOCHS, _BATCH = 20, 32
_FILTERS = (16, 32, 32)
# Of drawn styles, a value with less than this share counts as missing.
_MISSING = 0.01


class AttributeJudge(NamedTuple):
    """A classifier of pictures.

    Attributes:
        attribute: what it finds.
        predict: from uint8 `[B, H, W, 3]` to int `[B]`, places in `attribute.values`.
        accuracy: its share of right answers on real validation pictures.
        num_validation: how many these were.
        num_training: how many real pictures it learned from.
    """

    attribute: Attribute
    predict: Callable[[np.ndarray], np.ndarray]
    accuracy: float
    num_validation: int
    num_training: int


def train_judge(
    model: Model, data_dir: str | None, seed: int, folder: Path | None = None
) -> AttributeJudge | None:
    """Trains a classifier on the real training pictures of a model's data set.

    Args:
        model: which tells the data set.
        data_dir: where the data set is, if it was moved.
        seed: int, of weights and order.
        folder: that keeps the classifier, by the content of the pictures and all else that it
            depends on; None to train it anew.

    Returns:
        The classifier; None if the data set has no attribute, or no two splits.

    Raises:
        ConfigError: if there is no such folder.
        DataError: if its data set is not there.
    """
    attribute = attribute_of(model.dataset)
    if attribute is None:
        return None
    builder = open_model_data(model, data_dir)
    if not {"train", model.split} <= set(builder.info.splits) or model.split == "train":
        return None
    network = _network(len(attribute.values), seed)
    path = None if folder is None else folder / _file_name(model, builder, attribute, seed)
    learned = None if path is None else _recall(network, path)
    if learned is None:
        learned = _learn(network, model, builder, attribute, seed)
        if learned is None:
            return None
        if path is not None:
            weights = {f"weight_{place}": w for place, w in enumerate(network.get_weights())}
            keep(path, **learned, **weights)
    infer = tf.function(
        lambda image: tf.argmax(network(_small(image), training=False), -1),
        autograph=False,
        reduce_retracing=True,
    )

    def predict(images: np.ndarray) -> np.ndarray:
        return infer(tf.constant(images)).numpy()

    return AttributeJudge(attribute, predict, **learned)


def _learn(
    network: Any, model: Model, builder: Any, attribute: Attribute, seed: int
) -> dict[str, Any] | None:
    """Trains the network; returns how well it does, or None without pictures to learn from."""
    pictures, values = _examples(model, builder, "train", attribute)
    held_out, true = _examples(model, builder, model.split, attribute)
    if not len(values) or not len(true):
        return None
    random = np.random.default_rng(seed)
    for _ in range(_EPOCHS):
        order = random.permutation(len(values))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            network.train_on_batch(pictures[chosen], values[chosen])
    found = tf.argmax(network(held_out, training=False), -1).numpy()
    return {
        "accuracy": float((found == true).mean()),
        "num_validation": len(true),
        "num_training": len(values),
    }


def _recall(network: Any, path: Path) -> dict[str, Any] | None:
    """Gives the network the weights of a file; returns how well it does, or None."""
    arrays = read_kept(path)
    if arrays is None:
        return None
    learned = {
        "accuracy": float(arrays.pop("accuracy")),
        "num_validation": int(arrays.pop("num_validation")),
        "num_training": int(arrays.pop("num_training")),
    }
    network.set_weights([arrays[f"weight_{place}"] for place in range(len(arrays))])
    return learned


def _file_name(model: Model, builder: Any, attribute: Attribute, seed: int) -> str:
    """Names a file after all that a classifier depends on: records, sizes, seed and training."""
    from pipelines.reading.records import read_records

    protocol = {
        "attribute": [attribute.name, attribute.values],
        "sizing": dict(model.sizing),
        "training": [_SIZE, _MOST, _EPOCHS, _BATCH, _FILTERS, seed],
        "versions": [tf.__version__, keras.__version__],
    }
    digest = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode())
    for split in ("train", model.split):
        digest.update(split.encode())
        # Encoded pictures with their names: to read them takes a part of decoding them.
        read, _ = read_records(builder, split)
        for record in read(None).take(_MOST).as_numpy_iterator():
            digest.update(hashlib.sha256(record).digest())
    return f"attribute-{digest.hexdigest()[:16]}.npz"


def _examples(
    model: Model, builder: Any, split: str, attribute: Attribute
) -> tuple[np.ndarray, np.ndarray]:
    """Small pictures float32 `[N, 32, 32, 3]`, and their values int `[N]`, of known ones."""
    from pipelines.reading.input_pipeline import record_names

    names = record_names(builder, split, _MOST)
    batches = single_batches(model, builder, split).take(_MOST)
    pictures, values = [np.zeros([0, _SIZE, _SIZE, 3], np.float32)], []
    for name, batch in zip(names, batches, strict=True):
        value = attribute.place(name)
        if value >= 0:
            pictures.append(_small(to_uint8(batch["image"].numpy())).numpy())
            values.append(value)
    return np.concatenate(pictures), np.array(values, np.int64)


def _small(image: Any) -> tf.Tensor:
    """uint8 `[B, H, W, 3]` as float32 `[B, 32, 32, 3]` in [-1, 1]."""
    image = tf.cast(image, tf.float32) / 127.5 - 1.0
    return tf.image.resize(image, [_SIZE, _SIZE], "bilinear", antialias=True)


def _network(num_values: int, seed: int) -> Any:
    initializers = (keras.initializers.GlorotUniform(seed + place) for place in range(4))
    convolutions = [
        layers.Conv2D(
            filters, 3, 2, "same", activation="relu", kernel_initializer=next(initializers)
        )
        for filters in _FILTERS
    ]
    network = keras.Sequential(
        [
            keras.Input([_SIZE, _SIZE, 3]),
            *convolutions,
            layers.Flatten(),
            layers.Dense(num_values, kernel_initializer=next(initializers)),
        ]
    )
    network.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return network


def count_values(judge: AttributeJudge, fakes: np.ndarray) -> np.ndarray:
    """How many pictures of each layout are taken for which value.

    Args:
        judge: that looks.
        fakes: uint8 `[B, K, H, W, 3]`.

    Returns:
        int64 `[B, V]`.
    """
    found = judge.predict(fakes.reshape(-1, *fakes.shape[2:])).reshape(fakes.shape[:2])
    return np.stack([np.bincount(each, minlength=len(judge.attribute.values)) for each in found])


def attribute_scores(
    judge: AttributeJudge,
    true: np.ndarray,
    reproduced: np.ndarray | None,
    drawn: np.ndarray | None,
    seed: int,
) -> dict[str, Any]:
    """The scores of an attribute, as JSON has them.

    Args:
        judge: that looked.
        true: int `[N]`, values of the real pictures; -1 for unknown ones.
        reproduced: int `[N]`, values of pictures in the style of the real ones; None without.
        drawn: int `[N, V]`, pictures in drawn styles by value; None without.
        seed: int, of intervals.

    Returns:
        `classifier`: its accuracy on real pictures; `real`: the share of each value;
        `reproduced`: how often the value of the photograph is found in the picture; `drawn`: the
        share of each value of drawn styles, and the values that are `missing` (below 1 %).
    """
    values, known = judge.attribute.values, true >= 0
    scores: dict[str, Any] = {
        "classifier": {
            "accuracy": judge.accuracy,
            "validation_pictures": judge.num_validation,
            "training_pictures": judge.num_training,
        },
        "real": _shares(values, np.bincount(true[known], minlength=len(values))),
    }
    if reproduced is not None and known.any():
        right = (reproduced == true)[known].astype(np.float64)
        scores["reproduced"] = mean_score(right, seed)
    if drawn is not None:
        shares = _shares(values, drawn.sum(0))
        missing = [value for value in values if shares[value] < _MISSING]
        scores["drawn"] = {"shares": shares, "missing": missing}
    return scores


def _shares(values: tuple[str, ...], counts: np.ndarray) -> dict[str, float]:
    total = max(int(counts.sum()), 1)
    return {value: int(count) / total for value, count in zip(values, counts, strict=True)}
