from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from conditioned import conditioned
from shapes_alone import shapes_alone

from spade_tf.networks.fused.generator import FusedGenerator
from spade_tf.networks.generator import SPADEGenerator


def layout(batch=1, height=32, width=64, count=5, noise=False):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, count, (batch, height // 4, width // 4))
    label = coarse.repeat(4, 1).repeat(4, 2)
    if noise:
        label = rng.integers(0, count, (batch, height, width))
    return {"label": tf.constant(label, tf.int32), "instance": tf.constant(label // 2, tf.int32)}


@cache
def make(image_size=(32, 64), **kwargs):
    """Weights and statistics of their own, pictures that are neither grey nor saturated."""
    network = SPADEGenerator(
        5,
        image_size=image_size,
        use_instance_edges=True,
        filters=2,
        **conditioned(hidden_filters=8, **kwargs),
    )
    rng = np.random.default_rng(1)
    for weight in network.variables:
        shape = tuple(weight.shape)
        if len(shape) > 1:
            weight.assign(rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1])))
        elif "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, shape))
        elif weight.dtype == "float32":
            weight.assign(0.3 * rng.normal(size=shape))
    for _ in range(3):
        # Singular vectors that fit; statistics stay what they are.
        for block in network.blocks:
            for conv in (block.conv_0, block.conv_1, getattr(block, "conv_s", None)):
                if conv is not None:
                    conv.normalized_kernel(training=True)
    network.conv_img.kernel.assign(0.2 * network.conv_img.kernel)
    return network


@pytest.fixture(scope="module")
def network():
    return make(form="dense")


@cache
def bordered(padding, form):
    """64 rows, which reflection takes."""
    return make(image_size=(64, 96), upsampling="bilinear", padding=padding, form=form)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("auto", {}),
        ("dense", {}),
        ("deduplicated", {}),
        ("deduplicated", {"jit_compile": True}),
        ("auto", {"winograd": True}),
    ],
)
def test_fused_is_the_generator(network, form, options):
    inputs = layout(2)
    expected = network(inputs)
    assert 0.05 < np.std(expected) < 0.7
    other = make(form=form)
    # Float32 through twenty convolutions, in another order.
    np.testing.assert_allclose(other(inputs), expected, rtol=0, atol=1e-5)
    fused = other.fuse(**options)
    algorithms = [block.conv_0.algorithm for block in fused.blocks]
    assert algorithms == [block.conv_1.algorithm for block in fused.blocks]
    # The last blocks have 16x32 and 32x64 pixels, all others at most 8x16.
    last = "winograd" if "winograd" in options else "convolution"
    assert algorithms == ["product"] * 5 + [last] * 2
    np.testing.assert_allclose(fused(inputs), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("padding", "options", "noise"),
    [
        ("reflect", {}, True),
        ("reflect", {"jit_compile": True, "winograd": True}, False),
        ("replicate", {}, False),
        ("replicate", {"jit_compile": True}, True),
    ],
)
def test_fused_is_the_generator_with_other_borders(padding, options, noise):
    """Looked up, and convolved where nothing repeats itself; in a function in the next test."""
    inputs = layout(1, 64, 96, noise=noise)
    expected = bordered(padding, "dense")(inputs)
    assert 0.05 < np.std(expected) < 0.7
    other = "replicate" if padding == "reflect" else "reflect"
    assert np.abs(expected - bordered(other, "dense")(inputs)).max() > 0.05
    found = bordered(padding, "auto").fuse(**options)(inputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # As above.


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}])
def test_fused_is_the_generator_with_noise(options):
    """At the size of its noise, and at one where noise is repeated."""
    network = make(form="auto", noise_inputs=True)
    fused = network.fuse(**options)
    for inputs in (layout(2), layout(1, 64, 96)):
        expected = network(inputs)
        assert np.std(expected) > 0.05
        np.testing.assert_allclose(fused(inputs), expected, rtol=0, atol=1e-5)  # As above.
    silent = make(form="auto")(layout(2))
    assert np.abs(network(layout(2)) - silent).max() > 0.05


def test_unknown_sizes():
    """In one function, whichever form the label map asks for; test_saved_model.py saves such."""
    specs = {name: tf.TensorSpec([None, None, None], tf.int32) for name in ("label", "instance")}
    fused = bordered("reflect", "auto").fuse()
    generate = tf.function(fused, input_signature=[specs], autograph=False)
    for size, noise in (((64, 96), False), ((96, 64), True)):
        inputs = layout(2, *size, noise=noise)
        expected = bordered("reflect", "dense")(inputs)
        # As above.
        np.testing.assert_allclose(generate(inputs), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("winograd", [False, True])
def test_bfloat16_is_held_and_close(network, winograd):
    fused = network.fuse("bfloat16", winograd=winograd)
    held = [variable for block in fused.blocks for variable in block.variables]
    assert {variable.dtype for variable in held} == {tf.bfloat16}
    inputs = layout(2)
    error = np.mean(np.square(fused(inputs) - network(inputs)))
    # 35 dB for pictures in [-1, 1].
    assert 10 * np.log10(4.0 / error) > 35


def test_weights_are_copied(network):
    fused, inputs = network.fuse(), layout()
    before = fused(inputs)
    kernel = network.conv_img.kernel.numpy()
    network.conv_img.kernel.assign(2.0 * kernel)
    np.testing.assert_array_equal(fused(inputs), before)
    network.conv_img.kernel.assign(kernel)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_many_styles_of_one_layout(jit_compile):
    """Looked up, and convolved where nothing repeats itself."""
    fused = make(z_dim=3).fuse(jit_compile=jit_compile)
    if jit_compile:
        fused = tf.function(fused, autograph=False)
    z = np.random.default_rng(0).normal(size=[3, 3]).astype("float32")
    for noise in (False, True):
        inputs = layout(noise=noise)
        pictures = fused(inputs, z=tf.constant(z))
        # One label map for each.
        maps = {name: tf.repeat(each, 3, axis=0) for name, each in inputs.items()}
        expected = make(z_dim=3, form="dense")(maps, z=z)
        assert pictures.shape == expected.shape == (3, 32, 64, 3)
        np.testing.assert_allclose(pictures, expected, rtol=0, atol=1e-5)


def test_without_z_one_style_is_drawn():
    assert make(z_dim=3).fuse()(layout()).shape == (1, 32, 64, 3)


@pytest.mark.parametrize(
    ("parts", "dtype", "message"),
    [
        ({}, "float16", "dtype must be float32 or bfloat16: received 'float16'"),
        ({"norm": "instance"}, "float32", "only batch normalisation .* norm='instance'"),
        ({"conditioning": "clade"}, "float32", "conditioning='clade'"),
    ],
)
def test_what_cannot_be_fused(parts, dtype, message):
    with shapes_alone():
        generator = SPADEGenerator(5, image_size=(32, 64), filters=2, **conditioned(**parts))
    with pytest.raises(ValueError, match=message):
        generator.fuse(dtype)


def test_what_a_fused_generator_cannot_do(network):
    fused = network.fuse()
    with pytest.raises(ValueError, match="a fused generator is for inference"):
        fused(layout(), training=True)
    with pytest.raises(ValueError, match="multiples of 32"):
        fused(layout(height=40))


def test_it_is_a_module(network):
    assert isinstance(network.fuse(), FusedGenerator)
    assert len(network.fuse().trainable_variables) == 0
