import math

import numpy as np
import pytest
import tensorflow as tf
from conditioned import PLAIN, conditioned
from shapes_alone import shapes_alone

from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator, pad
from spade_tf.training.gaugan import GauGAN

PLUS_PLUS = {"norm": "batch", "spectral_norm": True, "conditioning": "affine"}
VARIANTS = {
    "pix2pixHD": {},
    "pix2pixHD with Concat": {"concat": "convs"},
    "pix2pixHD with Concat to blocks": {"concat": "blocks"},
    "pix2pixHD with SPADE": {"conditioning": "spade"},
    "pix2pixHD++": PLUS_PLUS,
    "pix2pixHD++ with Concat": PLUS_PLUS | {"concat": "convs"},
    "pix2pixHD++ with Concat to blocks": PLUS_PLUS | {"concat": "blocks"},
    "pix2pixHD++ with SPADE": PLUS_PLUS | {"conditioning": "spade"},
    "compact pix2pixHD++": PLUS_PLUS | {"filters": 48},
    "no norm": {"norm": "none", "down_padding": "zeros", "block_kernel_size": 5},
    "spectral norm alone": {"norm": "none", "spectral_norm": True},
}
SMALL = {"filters": 4, "hidden_filters": 3, "num_downsamplings": 2, "num_blocks": 2}
LABEL = np.random.default_rng(0).integers(0, 3, [2, 16, 24]).astype("int32")
INSTANCE = np.random.default_rng(1).integers(0, 3, [2, 16, 24]).astype("int32")
INPUTS = {"label": tf.constant(LABEL), "instance": tf.constant(INSTANCE)}


def make(**config):
    arguments = {"num_labels": 3, "use_instance_edges": True, "image_size": (16, 24), **config}
    return Pix2PixHDGenerator(**conditioned(PLAIN, **arguments))


# Per variant: with 184 channels (COCO-Stuff, 182 classes, unknown, edges), with 151 (ADE20K). The
# paper's table has 183, 183, 195, 237 and 103 million, which ADE20K's give to the unit: it is
# ambiguous about which layers Concat is for, and that to the residual blocks alone gives 195.
@pytest.mark.parametrize(
    ("variant", "coco_stuff", "ade20k"),
    [
        ("pix2pixHD", 182_989_507, 182_886_019),
        ("pix2pixHD with SPADE", 238_009_155, 236_879_235),
        ("pix2pixHD++", 183_032_259, 182_928_771),
        ("pix2pixHD++ with Concat", 218_351_979, 211_913_976),
        ("pix2pixHD++ with Concat to blocks", 198_293_955, 195_453_315),
        ("pix2pixHD++ with SPADE", 238_009_155, 236_879_235),
        ("compact pix2pixHD++", 103_073_619, 102_996_003),
    ],
)
def test_number_of_trainable_weights(variant, coco_stuff, ade20k):
    for num_labels, edges, expected in ((183, True, coco_stuff), (151, False, ade20k)):
        config = {"num_labels": num_labels, "use_instance_edges": edges, **VARIANTS[variant]}
        with shapes_alone():
            generator = Pix2PixHDGenerator(**conditioned(PLAIN, **config))
        assert sum(math.prod(weight.shape) for weight in generator.trainable_weights) == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_weight_gets_a_gradient(variant):
    generator = make(**VARIANTS[variant] | SMALL)
    with tf.GradientTape() as tape:
        image = generator(INPUTS, training=True)
        loss = tf.reduce_sum(tf.sin(image * [1.0, 2.0, 3.0]))
    assert image.shape == (2, 16, 24, 3)
    assert image.dtype == tf.float32
    assert np.abs(image).max() <= 1
    weights = generator.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert isinstance(gradient, tf.Tensor), weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize("variant", VARIANTS)
def test_config_round_trip(variant):
    generator = make(**VARIANTS[variant] | SMALL)
    clone = Pix2PixHDGenerator.from_config(generator.get_config())
    assert clone.get_config() == generator.get_config()
    clone.set_weights(generator.get_weights())
    np.testing.assert_array_equal(clone(INPUTS), generator(INPUTS))


OTHER_SIZES = {"down_padding": "zeros", "initial_kernel_size": 5, "block_kernel_size": 5}


@pytest.mark.parametrize("config", [{}, OTHER_SIZES], ids=["paper", "releases"])
def test_against_numpy(config):
    """The whole plain network, with convolutions as sums over shifted maps."""
    sizes = {"filters": 2, "num_downsamplings": 1, "num_blocks": 1, "use_instance_edges": False}
    generator = make(**sizes, **config)
    # Larger kernels than the initial ones, so that tanh and ReLU bend.
    for weight in generator.trainable_weights:
        weight.assign(np.sin(np.arange(math.prod(weight.shape))).reshape(weight.shape))

    def convolve(x, kernel, stride=1):
        size = kernel.shape[0]
        is_zeros = stride == 2 and generator.down_padding == "zeros"
        sides = [[0, 0], [size // 2] * 2, [size // 2] * 2, [0, 0]]
        x = np.pad(x, sides, mode="constant" if is_zeros else "reflect")
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
        return np.einsum("bhwcij,ijcf->bhwf", windows[:, ::stride, ::stride], kernel)

    def norm(x):
        mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-5)

    def transposed(x, kernel):
        batch, height, width, _ = x.shape
        y = np.zeros([batch, 2 * height + 1, 2 * width + 1, kernel.shape[2]])
        for i in range(3):
            for j in range(3):
                y[:, i : i + 2 * height : 2, j : j + 2 * width : 2] += np.einsum(
                    "bhwc,fc->bhwf", x, kernel[i, j]
                )
        return y[:, 1:, 1:]

    def relu(x):
        return np.maximum(x, 0)

    kernel = {weight.path.split("/")[-2]: weight.numpy() for weight in generator.trainable_weights}
    bias = generator.conv_img.bias.numpy()
    kernel["conv_img"] = generator.conv_img.kernel.numpy()
    x = relu(norm(convolve(np.eye(3)[LABEL], kernel["conv_in"])))
    x = relu(norm(convolve(x, kernel["down_0"], 2)))
    y = relu(norm(convolve(x, kernel["block_conv_0_0"])))
    x = x + norm(convolve(y, kernel["block_conv_0_1"]))
    x = relu(norm(transposed(x, kernel["up_0"])))
    expected = np.tanh(convolve(x, kernel["conv_img"]) + bias)
    actual = generator({"label": INPUTS["label"]})
    # Float32 against float64 through five normalised layers.
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_reflection_is_that_of_numpy():
    x = np.arange(2 * 5 * 6 * 3, dtype="float32").reshape(2, 5, 6, 3)
    expected = np.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]], mode="reflect")
    np.testing.assert_array_equal(pad(x, 3), expected)


def test_other_sizes_can_be_made():
    generator = make(**SMALL)
    label = tf.constant(np.tile(LABEL, (1, 2, 1)))
    assert generator({"label": label}).shape == (2, 32, 24, 3)


def test_z_is_the_embedding():
    generator = make(**SMALL, conditioning="adain", z_dim=5)
    z = tf.constant([[1.0] * 5, [-1.0] * 5])
    one, other = generator(INPUTS, z=z), generator(INPUTS, z=-z)
    assert np.abs(one - other).max() > 1e-4
    np.testing.assert_array_equal(generator(INPUTS, z=z), one)
    # Drawn anew when not given.
    assert np.abs(generator(INPUTS) - generator(INPUTS)).max() > 1e-4


@pytest.mark.parametrize(
    "config", [PLUS_PLUS | {"concat": "convs"}, {"conditioning": "adain", "z_dim": 5}]
)
def test_trains_as_the_spade_generator_does(config):
    generator = make(**SMALL | config)
    discriminator = MultiscaleDiscriminator(3, use_instance_edges=True, filters=2, num_layers=2)
    gan = GauGAN(generator, discriminator)
    gan.compile()
    before = [weight.numpy() for weight in generator.trainable_weights]
    image = np.sin(np.arange(2 * 16 * 24 * 3, dtype="float32")).reshape(2, 16, 24, 3)
    losses = gan.train_step(INPUTS | {"image": tf.constant(image)})
    assert all(np.isfinite(loss) for loss in losses.values())
    for weight, value in zip(generator.trainable_weights, before, strict=True):
        assert (weight.numpy() != value).any(), weight.path


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="height and width must be multiples of 16: received 40x64"
    ):
        Pix2PixHDGenerator(3, image_size=(40, 64))
    with pytest.raises(ValueError, match="at least 32 with 4 downsamplings: received 16x64"):
        Pix2PixHDGenerator(3, image_size=(16, 64))
    with pytest.raises(ValueError, match="num_blocks >= 0: received filters=0"):
        make(filters=0)
    with pytest.raises(ValueError, match="give a z_dim"):
        make(conditioning="adain")
    with pytest.raises(ValueError, match="z_dim is for conditioning 'adain' alone"):
        make(z_dim=4)
    with pytest.raises(ValueError, match="concat must be"):
        make(concat="all")
    with pytest.raises(ValueError, match=r"down_padding must be one of reflect, zeros: .* 'same'"):
        make(down_padding="same")
    with pytest.raises(ValueError, match="must be odd: received 7 and 4"):
        make(block_kernel_size=4)
    with pytest.raises(ValueError, match="norm='none' leaves nothing to scale"):
        make(norm="none", conditioning="spade")
    with pytest.raises(ValueError, match="at least 48 with 4 downsamplings: received 32x64"):
        Pix2PixHDGenerator(3, image_size=(32, 64), block_kernel_size=5)
    with pytest.raises(ValueError, match="semantics must have 4 channels"):
        make(**SMALL)(tf.zeros([1, 16, 24, 3]))
