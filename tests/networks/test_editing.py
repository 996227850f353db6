from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from eager import eager

from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.semantics import Semantics
from spade_tf.networks.editing import EditableGenerator
from spade_tf.networks.generator import SPADEGenerator


def layout(size=(64, 96), stroke=None):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, (1, size[0] // 8, size[1] // 8)).repeat(8, 1).repeat(8, 2)
    if stroke is not None:
        top, left, bottom, right = stroke
        label[:, top:bottom, left:right] = 4
    return {"label": tf.constant(label, tf.int32), "instance": tf.constant(label // 2, tf.int32)}


@cache
def make(reach, z_dim=None, form="auto", **options):
    network = SPADEGenerator(
        5,
        (64, 96),
        use_instance_edges=True,
        filters=2,
        z_dim=z_dim,
        conditioning=Conditioning(hidden_filters=8, form=form),
        **options,
    )
    rng = np.random.default_rng(1)
    for weight in network.trainable_weights:
        if len(weight.shape) > 1:
            weight.assign(rng.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1])))
        elif "noise" in weight.path:
            weight.assign(rng.normal(size=weight.shape))
    network(layout(), training=True)
    network.conv_img.kernel.assign(0.3 * network.conv_img.kernel)
    return network, EditableGenerator(network, reach=reach)


STROKES = [(20, 30, 28, 44), (0, 0, 9, 5), (50, 88, 64, 96), (31, 31, 33, 33)]


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("stroke", "z_dim"), [(STROKES[0], 3), (STROKES[1], None)])
def test_with_all_within_reach_an_edit_is_exact(stroke, z_dim):
    network, editor = make(reach=96, z_dim=z_dim)
    before = editor.paint(layout())
    assert before.exact
    np.testing.assert_allclose(before.image, network(layout(), z=before.z), rtol=0, atol=1e-5)
    after = editor.edit(before, layout(stroke=stroke))
    assert not after.exact
    # Float32 through twenty convolutions.
    expected = network(layout(stroke=stroke), z=before.z)
    np.testing.assert_allclose(after.image, expected, rtol=0, atol=1e-5)


# Around the first stroke, a rectangle of some cells is made anew; what is further away is stale.
OTHERS = [
    {"form": "dense"},
    {"upsampling": "bilinear", "padding": "reflect"},
    {"upsampling": "bilinear", "padding": "replicate"},
    {"upsampling": "bilinear", "padding": "reflect", "noise_inputs": True},
    {"noise_inputs": True},
]


@pytest.mark.parametrize("options", OTHERS, ids=str)
@pytest.mark.parametrize("stroke", [STROKES[0], STROKES[2]])
def test_an_edit_within_reach_is_exact_with_other_options(options, stroke):
    """Of all features but those of the changed map: a rectangle sees all that is around it."""
    network, editor = make(reach=2, **options)
    # A graph, which does not know the sizes of rectangles, for one of them; it takes seconds.
    in_graph = options == OTHERS[1] and stroke == STROKES[0]
    with eager():
        new = editor.paint(layout(stroke=stroke))
        # As if the old picture had had the features of the new one: nothing is stale.
        before = editor.paint(layout())._replace(image=new.image, features=new.features)
    with nullcontext() if in_graph else eager():
        after = editor.edit(before, layout(stroke=stroke))
    for found, expected in zip(
        (after.image, *after.features), (new.image, *new.features), strict=True
    ):
        # Float32 through twenty convolutions.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(after.image, network(layout(stroke=stroke)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("stroke", STROKES)
def test_an_edit_leaves_the_rest_and_comes_close(stroke):
    network, editor = make(reach=2)
    before, inputs = editor.paint(layout()), layout(stroke=stroke)
    after = editor.edit(before, inputs)
    top, left, bottom, right = stroke
    untouched = np.ones((64, 96), bool)
    untouched[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = False
    np.testing.assert_array_equal(after.image[0][untouched], before.image[0][untouched])
    expected = network(inputs)
    inside = ~untouched
    stale = np.abs(before.image - expected)[0][inside].mean()
    assert np.abs(after.image - expected)[0][inside].mean() < 0.5 * stale
    refreshed = editor.paint(after.inputs, after.z)
    np.testing.assert_allclose(refreshed.image, expected, rtol=0, atol=1e-5)  # As above.


def test_a_crop_sees_what_is_around_it():
    label = layout()["label"]
    semantics = Semantics(5, label=label, edges=label > 2)
    box = tf.constant([[5, 0], [20, 17]])
    whole, part = semantics.neighbourhoods(3), semantics.crop(box).neighbourhoods(3)
    # The same pixels are told apart.
    pairs = np.stack([whole.ids[0, 5:20, :17], part.ids[0]], -1).reshape(-1, 2)
    assert (
        len(np.unique(pairs, axis=0)) == len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1]))
    )


def test_nothing_changed():
    _, editor = make(reach=2)
    before = editor.paint(layout())
    assert editor.edit(before, layout()).image is before.image


def test_bad_arguments():
    network, editor = make(reach=2)
    with pytest.raises(ValueError, match="reach must be >= 0: received -1"):
        EditableGenerator(network, reach=-1)
    with pytest.raises(ValueError, match="must be of the size it had"):
        editor.edit(editor.paint(layout()), layout((32, 32)))
