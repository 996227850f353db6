"""Steps before the discriminator takes part."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, same, small_batch, values

from spade_tf.training import loop
from spade_tf.training.checkpoints import Checkpoints
from spade_tf.training.options import LossWeights, Updates

WEIGHTS = LossWeights(l1=2.0)
WARMUP = {"generator/l1", "generator/kl"}


class Recorder(keras.callbacks.Callback):
    """The losses and the discriminator of each step."""

    def on_train_begin(self, logs=None):
        self.losses, self.discriminators = [], [values(self.model.discriminator.variables)]

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append({name: float(loss) for name, loss in logs.items()})
        self.discriminators.append(values(self.model.discriminator.variables))


def train(model, strategy=None, start_step=0, steps=4):
    batches = [small_batch(seed=seed) for seed in range(start_step, steps)]
    dataset = tf.data.Dataset.from_tensor_slices(
        {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    ).batch(4)
    recorder = Recorder()
    loop.train(
        model,
        dataset,
        strategy=strategy or tf.distribute.get_strategy(),
        steps=steps,
        start_step=start_step,
        warmup_steps=2,
        callbacks=[recorder],
    )
    return recorder


def test_the_discriminator_neither_says_nor_learns_anything_until_then():
    model = make_small(loss_weights=WEIGHTS)
    traces = []
    for name in ("warmup_step", "train_step"):
        step = getattr(model, name)
        setattr(model, name, lambda x, step=step, name=name: traces.append(name) or step(x))
    generator = values(model.generator_weights)
    recorder = train(model)
    names = [set(losses) for losses in recorder.losses]
    assert names[0] == names[1] == WARMUP
    assert names[2] == names[3] > WARMUP | {"generator/adversarial", "discriminator/real"}
    # Neither weights nor singular vectors.
    start, first, second, third, _ = recorder.discriminators
    assert all(same(start, first))
    assert all(same(first, second))
    kept = zip(model.discriminator.variables, same(second, third), strict=True)
    assert not any(same for variable, same in kept if variable.trainable)
    assert not all(same(generator, values(model.generator_weights)))
    assert int(model.step.numpy()) == 4
    assert int(model.generator_optimizer.iterations.numpy()) == 4
    assert int(model.discriminator_optimizer.iterations.numpy()) == 2
    # A graph of each, made when its first step comes.
    assert traces == ["warmup_step", "train_step"]


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_restart_equals_no_stop(stop, tmp_path, eagerly):
    straight = make_small(loss_weights=WEIGHTS, average=True)
    train(straight)
    stopped = make_small(loss_weights=WEIGHTS, average=True)
    train(stopped, steps=stop)
    Checkpoints(stopped, tmp_path).save(stop)
    resumed = make_small(loss_weights=WEIGHTS, average=True)
    assert Checkpoints(resumed, tmp_path).restore_latest() == stop
    train(resumed, start_step=stop)
    for a, b in zip(resumed.variables, straight.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=b.path)
    for ours, theirs in zip(resumed.optimizer.variables, straight.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=theirs.path)


@pytest.mark.distributed
def test_two_devices_in_parts_equal_one(two_replicas, eagerly):
    def model(**kwargs):
        return make_small(
            norm="instance",
            optimizer=lambda: keras.optimizers.SGD(0.1),
            loss_weights=WEIGHTS,
            **kwargs,
        )

    one = model()
    expected = [one.warmup_step(small_batch(seed=seed)) for seed in range(2)]
    with two_replicas.scope():
        two = model(updates=Updates(accumulation_steps=2))
    recorder = train(two, two_replicas, steps=2)
    for actual, losses in zip(recorder.losses, expected, strict=True):
        assert set(actual) == WARMUP
        for name, loss in losses.items():
            # Float32 sums over a batch of four in another order.
            np.testing.assert_allclose(actual[name], loss, rtol=1e-4, atol=1e-6, err_msg=name)


def test_there_must_be_something_to_learn_from(eagerly):
    with pytest.raises(ValueError, match=r"give a perceptual_loss, or LossWeights\.l1 > 0"):
        make_small().warmup_step(small_batch())
