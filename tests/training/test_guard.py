import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, small_batch, values

from spade_tf.training.guard import NonFiniteError, NonFiniteGuard


def everything(model):
    optimizers = (model.generator_optimizer, model.discriminator_optimizer)
    weights = model.generator_weights + model.discriminator.trainable_variables
    return weights, [v for optimizer in optimizers for v in optimizer.variables]


def test_a_finite_step_is_as_without_a_guard():
    guarded, bare = make_small(guard=NonFiniteGuard()), make_small()
    for model in (guarded, bare):
        model.train_step(small_batch())
    assert guarded.guard.failure() is None
    for a, b in zip(*(values(everything(model)[0]) for model in (guarded, bare)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nan_in_a_loss_moves_no_weight_and_is_named():
    model = make_small(
        guard=NonFiniteGuard(),
        perceptual_loss=lambda real, fake: tf.reduce_mean(fake) * float("nan"),
    )
    before = values(everything(model)[0])
    for _ in range(3):
        model.train_step(small_batch())
    for old, variable in zip(before, everything(model)[0], strict=True):
        np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)
    failure = model.guard.failure()
    # The loss is named before the gradients that it spoils, and only the first step counts.
    assert (failure.step, failure.culprit) == (1, "loss generator/perceptual")
    assert str(failure) == "step 1: loss generator/perceptual is NaN or infinite"


def test_infinity_in_a_gradient_alone_is_named():
    model = make_small(guard=NonFiniteGuard())
    model.train_step(small_batch())
    before = values(everything(model)[0])
    # sqrt is finite at zero, but its slope is not.
    bias = model.generator.last.bias
    bias.assign(tf.zeros(3))
    before = values(everything(model)[0])
    original = model.adversarial_loss.generator
    model.adversarial_loss.generator = lambda logits: (
        original(logits) + tf.reduce_sum(tf.sqrt(bias.value))
    )
    model.train_step(small_batch())
    failure = model.guard.failure()
    assert (failure.step, failure.culprit) == (2, "gradient of generator/conv2d/bias") or (
        failure.step == 2 and failure.culprit.endswith("/bias")
    )
    for old, variable in zip(before, everything(model)[0], strict=True):
        np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)


def test_reset_lets_steps_be_applied_again():
    model = make_small(guard=NonFiniteGuard())
    batch = small_batch()
    model.train_step(batch | {"image": batch["image"] * float("inf")})
    assert isinstance(model.guard.failure(), NonFiniteError)
    before = values(everything(model)[0])
    model.guard.reset()
    # Statistics and singular vectors are spoiled: a checkpoint restores them.
    fresh = make_small(guard=NonFiniteGuard())
    for variable, good in zip(model.variables, fresh.variables, strict=True):
        variable.assign(good)
    model.train_step(batch)
    assert model.guard.failure() is None
    assert any(
        (old != new.numpy()).any() for old, new in zip(before, everything(model)[0], strict=True)
    )


@pytest.mark.distributed
def test_one_replica_s_nan_stops_all(two_replicas):
    with two_replicas.scope():
        model = make_small(guard=NonFiniteGuard())
    before = values(everything(model)[0])

    def share(context):
        batch = small_batch(2)
        if context.replica_id_in_sync_group == 1:
            batch["image"] *= float("nan")
        return batch

    shares = [
        two_replicas.experimental_distribute_values_from_function(
            lambda context, key=key: share(context)[key]
        )
        for key in ("image", "label")
    ]

    @tf.function(autograph=False)
    def both(image, label):
        return two_replicas.run(
            lambda image, label: model.train_step({"image": image, "label": label}),
            args=(image, label),
        )

    both(*shares)
    assert model.guard.failure().step == 1
    for old, variable in zip(before, everything(model)[0], strict=True):
        for replica in two_replicas.experimental_local_results(variable.value):
            np.testing.assert_array_equal(replica.numpy(), old, err_msg=variable.path)
