"""The paper's motivation: normalisation washes the label of a uniform map away, and SPADE does not.

Reference: Park et al. 2019, section 3.1 and figure 3.
"""

import numpy as np
import pytest
from wash_away import NUM_LABELS, activations, draw_weights

from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

SIZE = 8
# Two maps of one label each.
UNIFORM = np.stack([np.full((SIZE, SIZE), label) for label in (0, 1)])
# Instance norm takes the mean away. What it leaves is the rounding of a sum over all pixels, 2^-24
# for each of them and values around 1, divided by sqrt(epsilon) for lack of any variance.
ROUNDING = SIZE**2 * 2**-24 / 1e-5**0.5


def difference(pair):
    return np.abs(pair[0] - pair[1]).max()


def test_instance_norm_loses_the_label_of_a_uniform_map_and_spade_keeps_it():
    found = activations(UNIFORM)
    assert difference(found["convolution"]) > 0.1
    assert np.abs(found["instance norm"]).max() < ROUNDING
    assert difference(found["instance norm"]) < ROUNDING
    assert difference(found["SPADE"]) > 0.1


def test_instance_norm_keeps_where_labels_meet():
    halves = np.where(np.arange(SIZE) < SIZE // 2, 0, 1)
    label = np.broadcast_to(halves, (2, SIZE, SIZE)).copy()
    label[1] = 1 - label[1]
    assert difference(activations(label)["instance norm"]) > 0.1


NETWORKS = {
    # Few layers: each normalisation more multiplies the rounding that is left by up to 316.
    "pix2pixHD": lambda **options: Pix2PixHDGenerator(
        NUM_LABELS, (SIZE, SIZE), num_downsamplings=1, num_blocks=0, **options
    ),
    # It starts from one pixel, of which nothing at all is left.
    "decoder": lambda **options: SPADEGenerator(NUM_LABELS, (32, 32), **options),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_pictures_of_two_uniform_maps_are_the_same_without_spade(network):
    def pictures(conditioning):
        how = Conditioning(conditioning, norm="instance", hidden_filters=8)
        generator = NETWORKS[network](conditioning=how, filters=2, spectral_norm=False)
        draw_weights(generator, biases=0.5)
        label = np.stack([np.full(generator.image_size, label) for label in (0, 1)])
        return np.asarray(generator({"label": label}))

    without, with_spade = pictures("affine"), pictures("spade")
    # There is something in the pictures, of biases alone.
    assert np.abs(without).max() > 0.1
    assert difference(without) < 2 * ROUNDING
    assert difference(with_spade) > 0.1
