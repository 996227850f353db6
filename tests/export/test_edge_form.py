import numpy as np
import pytest
import tensorflow as tf
from edge_networks import ALL, make_generator, make_layouts, shared_generator

from spade_tf.export.litert.edge_form import edge_form, float32_copy, with_constants
from spade_tf.layers.normalization import BatchNorm


def picture(generator, layout, z):
    return generator(layout, z=z, training=False).numpy()


@pytest.mark.parametrize("name", ALL)
def test_folding_changes_no_picture(name):
    generator = shared_generator(name)
    before = [weight.numpy() for weight in generator.variables]
    z = None if generator.z_dim is None else np.ones((1, generator.z_dim), "float32")
    layout = make_layouts(generator, 1)[0]
    if getattr(generator, "class_style_dim", 0):
        shape = (1, generator.num_labels, generator.class_style_dim)
        layout = {**layout, "class_styles": np.random.default_rng(0).normal(size=shape)}
    expected = picture(generator, layout, z)
    # The picture is not saturated by tanh.
    assert 0.02 < expected.std() < 0.9
    # Sums in another order; what lies before tanh is a few units large.
    np.testing.assert_allclose(picture(edge_form(generator), layout, z), expected, atol=2e-5)
    for weight, value in zip(generator.variables, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.parametrize("name", ["spade", "clade", "pix2pixhd_plus"])
def test_no_batch_statistics_are_left(name):
    edge = edge_form(shared_generator(name))
    for variable in edge.variables:
        if "moving" in variable.path:
            # They have no effect.
            variable.assign(np.full(variable.shape, np.nan))
    layout = make_layouts(edge, 1)[0]
    z = None if edge.z_dim is None else np.ones((1, edge.z_dim), "float32")
    assert np.isfinite(picture(edge, layout, z)).all()


@pytest.mark.parametrize("name", ["spade", "pix2pixhd_plus"])
def test_no_spectral_norm_is_left(name):
    edge = edge_form(shared_generator(name))
    assert not [v.path for v in edge.variables if v.name in ("u", "v")]


def test_tables_that_see_continuous_maps_keep_their_statistics():
    generator = shared_generator("clade")
    edge = edge_form(generator, one_hot=False)
    assert isinstance(edge.blocks[0].spade_0.normalization, BatchNorm)
    z = np.ones((1, 8), "float32")
    # Far from one label per pixel.
    maps = np.random.default_rng(0).uniform(-1, 2, (1, 32, 64, 6)).astype("float32")
    np.testing.assert_allclose(picture(edge, maps, z), picture(generator, maps, z), atol=2e-5)


def test_a_generator_of_mixed_precision_becomes_one_of_float32():
    generator = make_generator("concat", dtype="mixed_bfloat16")
    copy = float32_copy(generator)
    assert copy.compute_dtype == "float32"
    assert copy.blocks[0].conv_0.compute_dtype == "float32"
    always_float32 = make_generator("concat")
    always_float32.set_weights(generator.get_weights())
    layout = make_layouts(generator, 1)[0]
    expected = picture(always_float32, layout, None)
    # As above; bfloat16 is further off, by what seventeen layers of it make of 2^-9.
    np.testing.assert_allclose(picture(copy, layout, None), expected, atol=2e-5)
    assert np.abs(picture(generator, layout, None) - expected).max() > 1e-3


def test_constants_are_those_of_the_moment():
    generator = make_generator("pix2pixhd")
    call = with_constants(generator, lambda x: generator(x, training=False))
    layout = {key: tf.constant(value) for key, value in make_layouts(generator, 1)[0].items()}
    function = tf.function(call, autograph=False).get_concrete_function(layout)
    assert function.variables == ()
    expected = generator(layout).numpy()
    for weight in generator.trainable_weights:
        weight.assign(0.0 * weight)
    np.testing.assert_allclose(function(layout).numpy(), expected, atol=2e-5)
