"""Batches without rows: what a device gets of a last batch that is too small for all."""

import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, small_batch

from spade_tf.training.empty_batches import at_least_one_row


@pytest.mark.parametrize(("rows", "wanted"), [(0, 1), (1, 1), (3, 3)])
def test_only_no_rows_are_filled(rows, wanted):
    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.int32)])
    def filled(a, b):
        return at_least_one_row({"a": a, "b": b})

    given = np.ones((rows, 2), "float32"), np.ones(rows, "int32")
    made = filled(*given)
    assert made["a"].shape == (wanted, 2)
    assert made["b"].shape == (wanted,)
    for name, array in zip("ab", given, strict=True):
        np.testing.assert_array_equal(made[name][:rows], array)
        np.testing.assert_array_equal(made[name][rows:], 0)


def test_a_known_batch_is_not_copied():
    batch = {"a": tf.ones([2, 3])}
    assert at_least_one_row(batch) is batch


def test_no_rows_make_no_pictures_and_count_for_nothing():
    model = make_small()
    empty = {name: value[:0] for name, value in small_batch(2).items()}
    pictures = model.predict_step({"label": empty["label"], "z": tf.zeros([0, 4])})
    assert pictures.shape == (0, *small_batch(2)["image"].shape[1:])
    model.test_step(small_batch(2))
    before = {name: float(value) for name, value in model.get_metrics_result().items()}
    model.test_step(empty)
    after = {name: float(value) for name, value in model.get_metrics_result().items()}
    assert before == after
    assert np.isfinite(list(after.values())).all()
