from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock
from spade_tf.training.ema import WeightAverage

GOLDEN = Path(__file__).parents[1] / "goldens" / "tfa" / "layers.npz"


def _block():
    block = SPADEResnetBlock(4, 3, conditioning=Conditioning(hidden_filters=2), name="block")
    block.build((None, 8, 8, 2))
    return block


def _values(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _perturb(variables, amount):
    for variable in variables:
        variable.assign_add(tf.cast(tf.fill(variable.shape, amount), variable.dtype))


def test_agrees_with_tensorflow_addons_moving_average():
    golden = np.load(GOLDEN)
    weight = keras.Variable(golden["ema_w0"], name="w")
    average = WeightAverage([weight], decay=0.9)
    optimizer = keras.optimizers.SGD(0.1)
    for step, gradient in enumerate(golden["ema_grads"]):
        optimizer.apply([tf.constant(gradient)], [weight])
        average.update()
        # A step of float32 rounding or two, on values of order one.
        np.testing.assert_allclose(weight.numpy(), golden["ema_weights"][step], atol=3e-7)
        np.testing.assert_allclose(
            average.averages[0].numpy(), golden["ema_average"][step], atol=3e-7
        )


def test_averages_what_is_trained_and_copies_the_rest():
    block = _block()
    before = _values(block.variables)
    average = WeightAverage(block.variables, decay=0.75)
    _perturb(block.variables, 1.0)
    average.update()
    for variable, old, new in zip(block.variables, before, average.averages, strict=True):
        expected = old + 0.25 if variable.trainable else old + 1
        # One rounding of values of order one.
        np.testing.assert_allclose(new.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_starts_from_the_weights_and_leaves_them_alone():
    block = _block()
    average = WeightAverage(block.variables, decay=0.9)
    before = _values(block.variables)
    average.update()
    for old, weight in zip(before, _values(block.variables), strict=True):
        np.testing.assert_array_equal(old, weight)


def test_swap_exchanges_and_undoes_itself():
    block = _block()
    average = WeightAverage(block.variables, decay=0.5)
    _perturb(block.variables, 1.0)
    average.update()
    weights, averages = _values(block.variables), _values(average.averages)
    average.swap()
    for expected, value in zip(averages, _values(block.variables), strict=True):
        np.testing.assert_array_equal(expected, value)
    average.swap()
    for expected, value in zip(weights, _values(block.variables), strict=True):
        np.testing.assert_array_equal(expected, value)
    for expected, value in zip(averages, _values(average.averages), strict=True):
        np.testing.assert_array_equal(expected, value)


def test_copies_to_another_network():
    block, other = _block(), _block()
    average = WeightAverage(block.variables, decay=0.9)
    average.copy_to(other.variables)
    for expected, value in zip(_values(block.variables), _values(other.variables), strict=True):
        np.testing.assert_array_equal(expected, value)
    with pytest.raises(ValueError, match="needs 38 variables: received 1"):
        average.copy_to(other.variables[:1])


def test_keeps_the_averages_in_a_network_that_is_given():
    block, other = _block(), _block()
    average = WeightAverage(block.variables, decay=0.5, averages=other.variables)
    for expected, value in zip(_values(block.variables), _values(other.variables), strict=True):
        np.testing.assert_array_equal(expected, value)
    _perturb(block.variables, 1.0)
    before = other.conv_0.kernel.numpy()
    average.update()
    np.testing.assert_allclose(other.conv_0.kernel.numpy(), before + 0.5, rtol=1e-6)


def test_paths_are_those_of_the_network_but_for_the_first_part():
    block = _block()
    average = WeightAverage(block.variables)
    paths = [variable.path.split("/", 1)[-1] for variable in block.variables]
    assert [variable.path.split("/", 1)[-1] for variable in average.averages] == paths
    assert len(set(paths)) == len(paths)


def test_restores_from_a_checkpoint(tmp_path):
    def checkpoint(average):
        return tf.train.Checkpoint(**{item.path: item.value for item in average.averages})

    block = _block()
    average = WeightAverage(block.variables, decay=0.5)
    _perturb(block.variables, 1.0)
    average.update()
    path = checkpoint(average).write(str(tmp_path / "ema"))
    other = WeightAverage(_block().variables)
    checkpoint(other).read(path).assert_consumed()
    for expected, value in zip(_values(average.averages), _values(other.averages), strict=True):
        np.testing.assert_array_equal(expected, value)


def test_updates_inside_replicas(two_replicas):
    with two_replicas.scope():
        weight = keras.Variable(np.float32([1.0, 2.0]), name="w")
        average = WeightAverage([weight], decay=0.5)
    weight.assign([3.0, 4.0])

    @tf.function
    def step():
        two_replicas.run(average.update)

    step()
    for replica in two_replicas.experimental_local_results(average.averages[0].value):
        np.testing.assert_array_equal(replica.numpy(), [2.0, 3.0])


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_refuses_other_decays(decay):
    with pytest.raises(ValueError, match="decay must be at least 0 and less than 1"):
        WeightAverage([], decay=decay)
