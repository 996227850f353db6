"""Training steps in half precision, and compiled by XLA, have the losses of plain ones."""

import numpy as np
import pytest
import tensorflow as tf
from paper_networks import batch, make
from small_networks import same, values

from experiments.commands.benchmark.graphs import graph_cost


def test_mixed_precision_step_is_finite():
    model = make(dtype="mixed_bfloat16")
    before = values(model.generator_weights)
    losses = model.train_step(batch())
    for name, loss in losses.items():
        assert loss.dtype == tf.float32, name
        assert np.isfinite(loss), name
    for weight, kept in zip(
        model.generator_weights, same(before, values(model.generator_weights)), strict=True
    ):
        assert weight.dtype == "float32"
        assert np.isfinite(weight.numpy()).all()
        assert not kept, weight.path


# What 8 and 11 bits of a number leave of a loss, which is a mean of many.
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("mixed_bfloat16", 0.03), pytest.param("mixed_float16", 0.004, marks=pytest.mark.slow)],
)
def test_mixed_precision_gives_the_losses_of_float32(dtype, tolerance):
    noise = tf.random.stateless_normal((1, 6), (0, 0))
    losses = []
    for policy in ("float32", dtype):
        model = make(dtype=policy, form="dense")
        model.noise = lambda batch_size, draw: noise
        step = tf.function(model.train_step, autograph=False)
        # Every size is known before the first step, as XLA and TPUs want it.
        assert graph_cost(step.get_concrete_function(batch(1))).unknown_sizes == 0
        losses.append({name: float(loss) for name, loss in step(batch(1)).items()})
    assert losses[1] == pytest.approx(losses[0], rel=tolerance, abs=tolerance)


@pytest.mark.slow
def test_xla_compiles_a_step_of_the_real_networks():
    """With nearest upsampling, whose gradient TensorFlow has no XLA kernel for."""
    noise = tf.random.stateless_normal((4, 6), (0, 0))
    losses = []
    for jit_compile in (False, True):
        model = make(form="dense")
        # XLA has another random generator.
        model.noise = lambda batch_size, draw: noise
        step = tf.function(model.train_step, autograph=False, jit_compile=jit_compile)
        losses.append({name: float(loss) for name, loss in step(batch()).items()})
    # Float32 sums in another order.
    assert losses[1] == pytest.approx(losses[0], rel=1e-4, abs=1e-5)
