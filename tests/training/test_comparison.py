"""Distances of features during training, and the best model by them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from spade_tf.metrics.frechet import frechet_distance
from spade_tf.metrics.kernel import kernel_distance
from spade_tf.training.comparison import FeatureComparison
from spade_tf.training.evaluation import Evaluate
from spade_tf.training.step_evaluation import StepEvaluation

PICTURES = np.random.default_rng(0).integers(0, 200, (10, 4, 4, 3)).astype(np.float32)


def batches():
    """Pictures in [-1, 1], in batches of 4, 4 and 2."""
    return tf.data.Dataset.from_tensor_slices({"image": PICTURES / 127.5 - 1}).batch(4)


def means(image):
    return tf.reduce_mean(image, [1, 2])


class Model(StepEvaluation):
    """Adds levels of 255 to the real pictures, or `average` where it has averaged weights."""

    encoder = None
    z_dim = None

    def __init__(self, levels=0.0, average=None):
        self.levels = tf.Variable(levels)
        self.generator = self.making(self.levels)
        self.average_generator = None if average is None else self.making(average)

    def making(self, levels):
        def make(inputs, z, training):
            assert z is None
            assert training is False
            return inputs + levels / 127.5

        make.z_dim = None
        return make

    @staticmethod
    def semantics(batch):
        return batch["image"]


def comparison_of(model, num_images=0, features=means):
    comparison = FeatureComparison(batches(), features, num_images)
    comparison.begin(model)
    return comparison


@pytest.mark.parametrize("num_images", [0, 7, 8, 20])
def test_the_distances_are_those_of_the_first_pictures(num_images):
    model = Model(20.0)
    found = comparison_of(model, num_images).distances()
    real = means(PICTURES[: num_images or None] / 127.5 - 1).numpy()
    # Features of float32.
    assert found["frechet_distance"] == pytest.approx(3 * (20 / 127.5) ** 2, rel=1e-4)
    assert found["frechet_distance"] == pytest.approx(
        frechet_distance(real, real + 20 / 127.5), rel=1e-4
    )
    assert found["kernel_distance"] == pytest.approx(
        kernel_distance(real, real + 20 / 127.5), rel=1e-3
    )


def test_pictures_are_rounded_to_bytes_and_real_ones_are_seen_once():
    seen = []

    def features(image):
        tf.py_function(lambda: seen.append(1), [], [])
        return means(image)

    model = Model(0.4)
    comparison = comparison_of(model, features=features)
    # Rounding of a root of a 3x3 product.
    assert comparison.distances()["frechet_distance"] < 1e-9
    assert len(seen) == 6
    model.levels.assign(1.0)
    assert comparison.distances()["frechet_distance"] > 1e-5
    assert len(seen) == 9


def test_the_averaged_generator_makes_the_pictures():
    found = comparison_of(Model(50.0, average=0.0)).distances()
    assert found["frechet_distance"] < 1e-9


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("inference/l1", [1, 3]), ("frechet_distance", [1, 2, 4]), ("kernel_distance", [1])],
)
def test_the_best_is_kept_by_any_score(keep, kept, tmp_path):
    l1 = tf.Variable(0.0)
    series = {
        "l1": [0.5, 0.6, 0.4, 0.4],
        "frechet_distance": [9.0, 5.0, 7.0, 4.0],
        "kernel_distance": [0.1, 0.2, 0.3, 0.1],
    }
    saved = []
    comparison = SimpleNamespace(begin=lambda model: None, distances=lambda: distances)
    # A record of before the distances were asked for.
    (tmp_path / "e.jsonl").write_text('{"step": 0, "evaluation/inference/l1": 0.7}\n')
    callback = Evaluate(
        batches(),
        tmp_path / "e.jsonl",
        1,
        SimpleNamespace(save=saved.append),
        comparison=comparison,
        keep=keep,
    )

    def evaluation_losses(batch):
        return {"inference/l1": l1 + 0.0, "training/l1": l1 + 0.0}

    callback.set_model(SimpleNamespace(evaluation_losses=evaluation_losses))
    callback.set_params({"start_step": 0, "steps": 4})
    callback.on_train_begin()
    for step in range(4):
        l1.assign(series["l1"][step])
        distances = {name: series[name][step] for name in ("frechet_distance", "kernel_distance")}
        logs = {}
        callback.on_train_batch_end(step + 1, logs)
        assert float(logs["evaluation/frechet_distance"]) == series["frechet_distance"][step]
    assert saved == kept
    lines = (tmp_path / "e.jsonl").read_text().splitlines()
    assert [json.loads(line).get("evaluation/kernel_distance") for line in lines] == [
        None,
        *series["kernel_distance"],
    ]
