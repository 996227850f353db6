"""Exports of generators that take continuous maps, with instance edges and styles."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from served_networks import SIZE, Z_DIM, lively

from spade_tf.export.signatures import ServedModel
from spade_tf.export.source_files import SourceFiles
from spade_tf.export.style_inputs import StyleInputs
from spade_tf.export.warmup import warmup_inputs
from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.styles import seeded_styles
from spade_tf.training.pictures import encode_png

CHANNELS = 3
SEEDS = np.array([4, 9], np.int64)


@pytest.fixture(scope="module")
def network():
    return lively(
        SPADEGenerator(
            CHANNELS,
            image_size=(SIZE, SIZE),
            use_instance_edges=True,
            filters=2,
            z_dim=Z_DIM,
            conditioning=Conditioning(hidden_filters=4),
        )
    )


@pytest.fixture(scope="module")
def model(network):
    return ServedModel(network, None, None, {}, files=SourceFiles(condition_channels=CHANNELS))


@pytest.fixture(scope="module")
def signatures(model, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("continuous") / "1")
    tf.saved_model.save(model, path, signatures=model.signatures())
    loaded = tf.saved_model.load(path)
    # Keep the loaded model, otherwise its variables are deleted.
    yield loaded.signatures
    del loaded


@pytest.fixture(scope="module")
def maps():
    random = np.random.default_rng(0)
    levels = random.integers(0, 256, (2, SIZE // 8, SIZE // 8, CHANNELS), np.uint8)
    instance = random.integers(0, 3, (2, SIZE // 8, SIZE // 8), np.int32)
    return tuple(value.repeat(8, 1).repeat(8, 2) for value in (levels, instance))


def assert_same_levels(actual, expected):
    """The same pictures, but for single values that lie between two levels.

    Another graph may sum in another order, so that such a value goes to the other one.
    """
    difference = np.abs(np.asarray(actual, int) - np.asarray(expected, int))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 1e-3 * difference.size


def test_all_kinds_of_inputs_make_the_picture_of_keras(network, signatures, maps):
    levels, instance = maps
    condition = (levels / 255).astype(np.float32)
    z = seeded_styles(tf.constant(SEEDS), Z_DIM)
    edges = np.zeros([2, SIZE, SIZE, 1], np.float32)
    for axis in (1, 2):
        differ = np.diff(instance, axis=axis) != 0
        first, second = [slice(None)] * 3, [slice(None)] * 3
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        edges[..., 0][tuple(first)] += differ
        edges[..., 0][tuple(second)] += differ
    dense = np.concatenate([condition, edges > 0], -1).astype(np.float32)
    expected = (network(dense, z=z).numpy() + 1) * 127.5
    assert expected.std() > 5
    given = {"instance": tf.constant(instance), "seed": tf.constant(SEEDS)}
    served = signatures["serving_default"](condition=tf.constant(condition), **given)["image"]
    served = served.numpy()
    # A level is 1 wide: half of it for rounding, the rest for the order of sums.
    assert np.abs(served - expected).max() <= 0.51
    small = signatures["serving_uint8"](condition=tf.constant(levels), **given)["image"]
    assert_same_levels(small, served)
    files = {
        "condition_bytes": tf.constant([encode_png(each) for each in levels]),
        "instance_bytes": tf.constant([encode_png(each.astype(np.uint8)) for each in instance]),
    }
    made = signatures["generate_png_bytes"](**files, seed=tf.constant(SEEDS))["image_bytes"]
    pictures = [np.asarray(Image.open(io.BytesIO(item))) for item in made.numpy()]
    assert_same_levels(pictures, served)
    styles = signatures["generate_styles"](
        condition=tf.constant(condition), instance=tf.constant(instance), z=z[:, None]
    )["image"]
    # Sums over other batches may round to the next level.
    assert np.abs(styles[:, 0].numpy().astype(int) - served).max() <= 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x * 255, "condition: values 0 to 1 are allowed, received 0 to 255"),
        (lambda x: x - 1, "condition: values 0 to 1 are allowed, received -1 to 0"),
        (lambda x: np.where(x > 0.5, np.nan, x), "condition: values 0 to 1 are allowed"),
        (lambda x: x[:, :32], "condition: this model makes pictures of 64x64"),
        (lambda x: x[:0], "condition: received a batch of no continuous map"),
    ],
)
def test_maps_that_cannot_be_used(signatures, maps, change, text):
    condition = np.float32(change(np.where(maps[0] > 127, 1.0, 0.0)))
    one = tf.zeros([len(condition), 1, 1], tf.int32)
    seed = tf.zeros([len(condition)], tf.int64)
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        signatures["serving_default"](condition=tf.constant(condition), instance=one, seed=seed)


def test_warm_up_requests_are_taken(signatures, model):
    for name, inputs in warmup_inputs(model):
        signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})


@pytest.mark.parametrize(
    "files",
    [
        SourceFiles(id_table=(4, 0, 1, 2, 3)),
        SourceFiles(id_table=(-1, 0, 1, 2, 3, 4, -1), palette_indices=True),
        # No colour stands for ids 3 and 4.
        SourceFiles(colors=((9, 9, 9), (1, 2, 3), (7, 7, 7)), color_ids=(0, 2, 1)),
    ],
)
def test_warm_up_files_are_like_those_of_the_data_set(files):
    from spade_tf.export.source_files import decode_labels

    model = SimpleNamespace(
        image_size=(8, 16),
        limits=SimpleNamespace(num_labels=5),
        source_files=files,
        use_instance_edges=False,
        styles=StyleInputs(z_dim=None, num_labels=5, class_style_dim=0),
        encoder=None,
        assets={},
    )
    requests = dict(warmup_inputs(model))
    label = requests["serving_default"]["label"]
    assert set(np.unique(label)) == {0, 1, 2, 3, 4}
    made = decode_labels(
        "label_bytes", tf.constant(requests["generate_bytes"]["label_bytes"]), files
    )
    known = np.isin(label, files.color_ids or files.id_table)
    np.testing.assert_array_equal(made.numpy()[known], label[known])
