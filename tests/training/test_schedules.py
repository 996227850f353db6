import numpy as np
import pytest

from spade_tf.training.schedules import ConstantThenLinear


def test_by_hand():
    schedule = ConstantThenLinear(0.8, total_steps=10, decay_steps=4)
    rates = [float(schedule(step)) for step in range(11)]
    # The last step, 9, is still made at a quarter.
    np.testing.assert_allclose(rates, [0.8] * 7 + [0.6, 0.4, 0.2, 0.0], rtol=1e-6, atol=1e-8)


def test_no_decay_is_constant_even_past_the_end():
    schedule = ConstantThenLinear(0.5, total_steps=2, decay_steps=0)
    assert [float(schedule(step)) for step in (0, 2, 5)] == [0.5] * 3
    assert float(ConstantThenLinear(0.5, 2, 1)(5)) == 0.0


def test_its_configuration_makes_it_again():
    schedule = ConstantThenLinear(0.8, total_steps=10, decay_steps=4)
    again = ConstantThenLinear.from_config(schedule.get_config())
    assert float(again(8)) == float(schedule(8))


@pytest.mark.parametrize("decay_steps", [-1, 11])
def test_a_decay_longer_than_the_training_is_refused(decay_steps):
    with pytest.raises(ValueError, match="between 0 and total_steps=10: received"):
        ConstantThenLinear(1.0, 10, decay_steps)
