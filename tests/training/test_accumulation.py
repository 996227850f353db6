"""Accumulation, clipping, discriminator steps, precision, R1: variants of the training step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, small_batch, values

from spade_tf.training.guard import NonFiniteGuard
from spade_tf.training.options import LossWeights, Updates


def sgd():
    # Plain gradient descent, so that a wrong scale of the gradient shows.
    return keras.optimizers.SGD(0.1)


def state(model):
    # Everything that changes: weights, statistics, singular vectors.
    networks = (model.generator, model.discriminator, model.encoder)
    return [variable for network in networks for variable in network.variables]


def assert_same(actual, expected, atol=2e-6):
    for a, b in zip(state(actual), state(expected), strict=True):
        # Float32 sums over a batch of four in another order, for values of order one.
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=atol, err_msg=a.path)


def test_two_parts_are_one_whole_where_the_norm_allows_it():
    whole = make_small(norm="instance", optimizer=sgd)
    parts = make_small(norm="instance", optimizer=sgd, updates=Updates(accumulation_steps=2))
    for seed in range(2):
        expected = whole.train_step(small_batch(seed=seed))
        actual = tf.function(parts.train_step, autograph=False)(small_batch(seed=seed))
        for name, loss in expected.items():
            np.testing.assert_allclose(actual[name], loss, rtol=1e-4, atol=1e-6, err_msg=name)
    # Singular vectors are among what is compared: one power iteration for all parts.
    assert_same(parts, whole)


def test_batch_statistics_are_of_each_part():
    whole = make_small(optimizer=sgd)
    parts = make_small(optimizer=sgd, updates=Updates(accumulation_steps=2))
    for model in (whole, parts):
        model.update_generator(model.semantics(small_batch()), small_batch()["image"])
    counts = [int(model.generator.norm.num_batches.numpy()) for model in (whole, parts)]
    assert counts == [1, 2]
    np.testing.assert_array_equal(parts.generator.first.u.numpy(), whole.generator.first.u.numpy())


def test_parts_must_divide_the_batch():
    model = make_small(updates=Updates(accumulation_steps=3))
    with pytest.raises(ValueError, match="received 3 for 4"):
        model.train_step(small_batch())


@pytest.mark.parametrize("limit", [1e-3, 1e3])
def test_clipping_is_by_the_norm_of_all_gradients(limit):
    free, clipped = (
        make_small(optimizer=sgd),
        make_small(optimizer=sgd, updates=Updates(clip_norm=limit)),
    )
    start = values(free.generator_weights)
    for model in (free, clipped):
        model.update_generator(model.semantics(small_batch()), small_batch()["image"])
    moves = [
        [b.numpy() - a for a, b in zip(start, model.generator_weights, strict=True)]
        for model in (free, clipped)
    ]
    norm = np.sqrt(sum(np.square(move).sum() for move in moves[0])) / 0.1
    for a, b in zip(*moves, strict=True):
        # A difference of two float32 weights.
        np.testing.assert_allclose(b, a * min(1.0, limit / norm), rtol=1e-3, atol=1e-7)


@pytest.mark.distributed
def test_two_replicas_clip_alike(two_replicas):
    one = make_small(norm="instance", optimizer=sgd, updates=Updates(clip_norm=1e-2))
    one.train_step(small_batch())
    with two_replicas.scope():
        two = make_small(norm="instance", optimizer=sgd, updates=Updates(clip_norm=1e-2))
    batches = two_replicas.experimental_distribute_dataset(
        tf.data.Dataset.from_tensors(small_batch()).unbatch().batch(4)
    )
    step = tf.function(
        lambda batch: two_replicas.run(two.train_step, args=(batch,)), autograph=False
    )
    step(next(iter(batches)))
    assert_same(two, one)


def test_several_steps_of_the_discriminator():
    model = make_small(optimizer=sgd, updates=Updates(discriminator_steps=3))
    model.train_step(small_batch())
    assert int(model.generator_optimizer.iterations.numpy()) == 1
    assert int(model.discriminator_optimizer.iterations.numpy()) == 3
    assert int(model.step.numpy()) == 1


def test_r1_is_among_the_losses_and_moves_no_state():
    plain = make_small(optimizer=sgd)
    with_r1 = make_small(optimizer=sgd, loss_weights=LossWeights(r1=1.0))
    losses = [model.train_step(small_batch()) for model in (plain, with_r1)]
    assert set(losses[1]) - set(losses[0]) == {"discriminator/r1"}
    assert losses[1]["discriminator/r1"] > 0
    np.testing.assert_array_equal(
        with_r1.discriminator.first.u.numpy(), plain.discriminator.first.u.numpy()
    )
    change = with_r1.discriminator.last.kernel.numpy() - plain.discriminator.last.kernel.numpy()
    assert np.abs(change).max() > 0


@pytest.mark.distributed
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_finite_and_moves_everything(precision, two_replicas):
    def optimizer():
        inner = keras.optimizers.Adam(1e-2)
        if precision == "mixed_float16":
            return keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**10)
        return inner

    with two_replicas.scope():
        model = make_small(dtype=precision, optimizer=optimizer, guard=NonFiniteGuard())
    weights = model.generator_weights + model.discriminator.trainable_variables
    before = values(weights)

    @tf.function(autograph=False)
    def step(batch):
        return two_replicas.run(model.train_step, args=(batch,))

    dataset = tf.data.Dataset.from_tensors(small_batch()).unbatch().repeat().batch(4)
    batches = iter(two_replicas.experimental_distribute_dataset(dataset))
    for _ in range(2):
        losses = step(next(batches))
    for name, loss in losses.items():
        for local in two_replicas.experimental_local_results(loss):
            assert local.dtype == tf.float32, name
            assert np.isfinite(local.numpy()), name
    assert model.guard.failure() is None
    for old, weight in zip(before, weights, strict=True):
        assert weight.dtype == "float32"
        assert np.isfinite(weight.numpy()).all(), weight.path
        assert (weight.numpy() != old).any(), weight.path


def test_a_loss_scale_that_overflows_skips_the_step_and_halves():
    def optimizer():
        return keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adam(1e-2), initial_scale=2.0**127
        )

    model = make_small(dtype="mixed_float16", optimizer=optimizer, guard=NonFiniteGuard())
    before = values(model.generator_weights)
    model.train_step(small_batch())
    for old, weight in zip(before, model.generator_weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old, err_msg=weight.path)
    assert float(model.generator_optimizer.dynamic_scale.numpy()) == 2.0**126
    assert model.guard.failure() is None


def test_xla_compiles_the_step():
    plain, compiled = make_small(optimizer=sgd), make_small(optimizer=sgd)
    noise = tf.random.stateless_normal((4, 4), (0, 0))
    for model in (plain, compiled):
        # XLA has another random generator.
        model.noise = lambda batch_size, draw: noise
    plain.train_step(small_batch())
    tf.function(compiled.train_step, autograph=False, jit_compile=True)(small_batch())
    # Sums in the order of other kernels, times gradients of up to ten.
    assert_same(compiled, plain, atol=1e-5)
