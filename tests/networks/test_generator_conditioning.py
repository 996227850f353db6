"""The SPADE generator with other conditionings in the place of SPADE."""

import math

import numpy as np
import pytest
import tensorflow as tf
from conditioned import conditioned
from shapes_alone import shapes_alone

from spade_tf.layers.conditioning import CONDITIONINGS, Conditioning
from spade_tf.networks.generator import SPADEGenerator

LABEL = np.random.default_rng(0).integers(0, 3, [2, 32, 64]).astype("int32")
INPUTS = {"label": tf.constant(LABEL)}
SMALL = {"num_labels": 3, "image_size": (32, 64), "filters": 2, "hidden_filters": 3}


def make(conditioning, **config):
    z_dim = 5 if conditioning == "adain" else None
    arguments = {"conditioning": conditioning, "z_dim": z_dim, **SMALL, **config}
    return SPADEGenerator(**conditioned(**arguments))


# With 184 channels (COCO-Stuff, 182 classes, unknown, edges), with 151 (ADE20K). The paper's table
# has 96 million for SPADE, 79 for Concat and 61 for the compact decoder with SPADE, which ADE20K's
# give to the unit. For the other conditionings it has none.
@pytest.mark.parametrize(
    ("config", "coco_stuff", "ade20k"),
    [
        ({}, 97_480_899, 96_492_483),
        ({"filters": 48}, 61_555_155, 60_642_771),
        ({"conditioning": "affine", "concat": "convs"}, 81_983_787, 79_252_080),
        ({"conditioning": "affine", "concat": "blocks"}, 75_301_827, 73_768_515),
        ({"conditioning": "affine"}, 68_448_195, 68_144_067),
        ({"conditioning": "clade"}, 72_453_699, 71_427_267),
        ({"conditioning": "conditional_batch"}, 72_453_699, 71_427_267),
        ({"conditioning": "shared_spade"}, 71_609_539, 71_267_395),
        ({"conditioning": "adain", "z_dim": 256}, 74_051_523, 73_747_395),
    ],
    ids=str,
)
def test_number_of_trainable_weights(config, coco_stuff, ade20k):
    for num_labels, edges, expected in ((183, True, coco_stuff), (151, False, ade20k)):
        with shapes_alone():
            generator = SPADEGenerator(
                num_labels, use_instance_edges=edges, **conditioned(**config)
            )
        assert sum(math.prod(weight.shape) for weight in generator.trainable_weights) == expected


@pytest.mark.parametrize(
    ("conditioning", "concat"),
    [*((name, None) for name in CONDITIONINGS), ("affine", "convs"), ("affine", "blocks")],
)
def test_every_weight_gets_a_gradient(conditioning, concat):
    generator = make(conditioning, concat=concat)
    with tf.GradientTape() as tape:
        image = generator(INPUTS, training=True)
        loss = tf.reduce_sum(tf.sin(image * [1.0, 2.0, 3.0]))
    assert image.shape == (2, 32, 64, 3)
    weights = generator.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert isinstance(gradient, tf.Tensor), weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > 0, weight.path
    with shapes_alone():
        clone = SPADEGenerator.from_config(generator.get_config())
    assert clone.get_config() == generator.get_config()


def test_spade_is_the_default():
    generator = SPADEGenerator(3, (32, 32), filters=1)
    assert generator.conditioning == Conditioning("spade", "batch", 128, 3, None, "auto")
    paths = {weight.path.split("/", 1)[1] for weight in generator.weights}
    assert "head_0/spade_0/modulation/shared/kernel" in paths
    assert "up_3/spade_s/modulation/beta/bias" in paths
    assert "up_3/spade_s/normalization/moving_mean" in paths


def test_ids_and_one_hot_map_give_the_same_picture():
    generator = make("clade", norm="instance")
    one_hot = tf.one_hot(LABEL, 3)
    np.testing.assert_allclose(generator(one_hot), generator(INPUTS), atol=1e-6)


def test_adain_starts_from_the_labels_and_is_conditioned_on_z():
    generator = make("adain")
    z = tf.constant([[1.0] * 5, [-1.0] * 5])
    one = generator(INPUTS, z=z)
    assert np.abs(one - generator(INPUTS, z=-z)).max() > 1e-6
    assert np.abs(one - generator({"label": (LABEL + 1) % 3}, z=z)).max() > 1e-6
    # A size other than the configured one, since the start is not a dense layer of z.
    assert generator({"label": LABEL[:, :, :32]}, z=z).shape == (2, 32, 32, 3)


def test_bad_arguments():
    with pytest.raises(ValueError, match="give a z_dim"):
        SPADEGenerator(3, conditioning="adain")
    with pytest.raises(ValueError, match=r"would not see the label map: give .*concat='convs'"):
        make("affine", z_dim=5)
    with pytest.raises(ValueError, match="conditioning must be one of spade"):
        make("film")
    with pytest.raises(ValueError, match="concat must be"):
        make("spade", concat="all")
    with pytest.raises(ValueError, match=r"form must be one of dense, .* received 'sparse'"):
        make("spade", form="sparse")
    with pytest.raises(ValueError, match="or the kind of one, such as 'clade': received "):
        SPADEGenerator(3, conditioning={"kind": "spade"})
    assert make("affine", z_dim=5, concat="convs").starts_from_z
