import math
import random

import numpy as np
import pytest
import tensorflow as tf
from conditioned import conditioned
from shapes_alone import shapes_alone

from spade_tf.layers.semantics import Semantics
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.sizes import check_image_size


def labels(height, width, batch=2, count=3):
    ids = np.arange(batch * height * width).reshape(batch, height, width)
    return (ids // 7 % count).astype("int32")


def make(image_size=(32, 32), **kwargs):
    """A generator with a little life: sigmas and statistics of its own, and no grey pictures."""
    config = {"filters": 2, "hidden_filters": 4, **kwargs}
    network = SPADEGenerator(3, image_size=image_size, **conditioned(**config))
    for weight in network.trainable_weights:
        # What it starts with has a gain of 0.02.
        if len(weight.shape) > 1:
            weight.assign(30.0 * weight.numpy())
    network({"label": labels(*image_size)}, training=True)
    return network


@pytest.fixture(scope="module")
def from_semantics():
    random.seed(0)
    return make()


@pytest.fixture(scope="module")
def from_z():
    random.seed(0)
    # The form that is fastest here; `from_semantics` has the default one.
    return make(z_dim=5, form="dense")


def z(batch=2):
    return np.linspace(-2.0, 2.0, 5 * batch).reshape(batch, 5).astype("float32")


@pytest.mark.parametrize("z_dim", [None, 5])
@pytest.mark.parametrize(
    ("num_upsampling_layers", "image_size", "start", "factors"),
    [
        ("normal", (32, 64), (1, 2), [1, 2, 2, 4, 8, 16, 32]),
        ("normal", (64, 32), (2, 1), [1, 2, 2, 4, 8, 16, 32]),
        ("more", (64, 128), (1, 2), [1, 2, 4, 8, 16, 32, 64]),
        ("most", (128, 128), (1, 1), [1, 2, 4, 8, 16, 32, 64, 128]),
    ],
)
def test_sizes(num_upsampling_layers, image_size, start, factors, z_dim):
    network = make(
        image_size, num_upsampling_layers=num_upsampling_layers, z_dim=z_dim, form="dense"
    )
    expected = [32, 32, 32, 16, 8, 4, 2] + [1] * (num_upsampling_layers == "most")
    assert [block.filters for block in network.blocks] == expected
    if z_dim is not None:
        assert tuple(network.fc.kernel.shape) == (5, 32 * start[0] * start[1])
    seen = []
    for block in network.blocks:
        call = block.call

        def record(x, *args, call=call, **kwargs):
            seen.append(tuple(x.shape[1:3]))
            return call(x, *args, **kwargs)

        block.call = record
    label = labels(*image_size, batch=1)
    picture = network({"label": label}, z=None if z_dim is None else z(1))
    assert seen == [(start[0] * factor, start[1] * factor) for factor in factors]
    assert picture.shape == (1, *image_size, 3)
    assert picture.dtype == tf.float32
    assert 0.01 < np.abs(picture).mean() < 0.99


def test_the_start_sees_every_32nd_pixel():
    # Without conditional normalisation, nothing but the start sees the label map.
    network, label = make((64, 96), conditioning="affine"), labels(64, 96)
    picture, other = network({"label": label}), (label + 1) % 3
    seen = np.zeros([1, 64, 96], bool)
    seen[:, ::32, ::32] = True
    changed = network({"label": np.where(seen, label, other)})
    np.testing.assert_array_equal(changed, picture)
    assert np.abs(network({"label": np.where(seen, other, label)}) - picture).max() > 1e-3


def test_a_generator_from_semantics_makes_any_size(from_semantics):
    for size in [(32, 32), (64, 96)]:
        assert from_semantics({"label": labels(*size)}).shape == (2, *size, 3)


def test_inputs_may_be_labels_a_map_or_semantics(from_semantics):
    label = labels(32, 32)
    expected = from_semantics({"label": label})
    ids = from_semantics(inputs=Semantics(3, label=tf.constant(label)))
    np.testing.assert_array_equal(ids, expected)
    # A map is convolved where ids are looked up: float32 through twenty convolutions.
    dense = from_semantics(inputs=np.eye(3, dtype="float32")[label])
    np.testing.assert_allclose(dense, expected, rtol=0, atol=1e-5)


def test_pictures_depend_on_labels_everywhere_and_on_z(from_z):
    label = labels(32, 32)
    picture = from_z({"label": label}, z=z()).numpy()
    other = label.copy()
    other[:, 20, 20] = (other[:, 20, 20] + 1) % 3
    assert np.abs(from_z({"label": other}, z=z()) - picture)[:, 19:22, 19:22].max() > 1e-4
    assert np.abs(from_z({"label": label}, z=z()[::-1]) - picture).max() > 1e-4


def test_z_is_drawn_when_it_is_not_given(from_z):
    label = labels(32, 32)
    label[1] = label[0]
    first, second = from_z({"label": label}), from_z({"label": label})
    assert np.abs(first - second).max() > 1e-4
    assert np.abs(first[0] - first[1]).max() > 1e-4
    tf.random.set_seed(7)
    again = from_z({"label": label})
    tf.random.set_seed(7)
    np.testing.assert_array_equal(from_z({"label": label}), again)


def test_unknown_batch_draws_as_many_styles():
    # The conditioning that is traced fastest.
    network = SPADEGenerator(3, (32, 32), filters=2, z_dim=5, conditioning="clade")
    specs = {"label": tf.TensorSpec([None, 32, 32], tf.int32)}
    function = tf.function(network, input_signature=[specs], autograph=False)
    assert function({"label": tf.constant(labels(32, 32, batch=3))}).shape == (3, 32, 32, 3)


@pytest.mark.parametrize("start", ["from_semantics", "from_z"])
def test_mixed_precision(start, request):
    full = request.getfixturevalue(start)
    half = type(full).from_config(full.get_config() | {"dtype": "mixed_bfloat16"})
    half.set_weights(full.get_weights())
    inputs = {"label": labels(32, 32)}
    style = None if full.z_dim is None else z()
    picture = half(inputs, z=style)
    assert picture.dtype == tf.float32
    assert np.abs(picture).max() <= 1
    expected = full(inputs, z=style)
    error = np.sqrt(np.mean(np.square(picture - expected)))
    # bfloat16 keeps 8 bits: rounding by 2^-9 in each of twenty layers adds up to one or two percent
    # of what there is to be seen.
    assert 0 < error < 0.05 * np.std(expected)
    # Yet pictures have more than 256 levels.
    assert len(np.unique(picture)) > 1000


def test_weights_of_the_official_release_for_cityscapes():
    """Of 35 ids and edges; test_generator_conditioning.py has COCO-Stuff and ADE20K."""
    with shapes_alone():
        network = SPADEGenerator(35, (256, 512), True, num_upsampling_layers="more")
    count = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    assert count == 93_048_003


@pytest.mark.parametrize(
    ("size", "scale", "nearest"),
    [((33, 64), 32, "32x64"), ((100, 255), 32, "96x256"), ((3, 200), 128, "128x256")],
)
def test_a_size_that_cannot_be_made_names_the_nearest(size, scale, nearest):
    message = f"multiples of {scale}: received {size[0]}x{size[1]}; the nearest is {nearest}"
    with pytest.raises(ValueError, match=message):
        check_image_size(size, scale)


def test_sizes_are_checked_when_called(from_semantics, from_z):
    with pytest.raises(ValueError, match="received 40x32; the nearest is 32x32"):
        from_semantics({"label": labels(40, 32)})
    with pytest.raises(ValueError, match=r"makes 32x32 pictures only: .* of 64x32"):
        from_z({"label": labels(64, 32)})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_upsampling_layers": "many"}, "one of normal, more, most: received 'many'"),
        ({"image_size": (48, 32)}, "multiples of 32"),
        ({"image_size": (32, 32), "num_upsampling_layers": "more"}, "multiples of 64"),
        ({"filters": 0}, "filters must be >= 1"),
        ({"upsampling": "bicubic"}, "upsampling must be one of nearest, bilinear: .* 'bicubic'"),
        ({"padding": "same"}, "padding must be one of zeros, reflect, replicate: .* 'same'"),
        (
            {"padding": "reflect", "image_size": (32, 32)},
            "at least 64 with padding='reflect', .* received 32x32",
        ),
        ({"filters": 3, "num_upsampling_layers": "most", "image_size": (128, 128)}, "even"),
    ],
)
def test_bad_arguments(config, message):
    with pytest.raises(ValueError, match=message):
        SPADEGenerator(3, **{"filters": 2, **config})
