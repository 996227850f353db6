import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.semantics import Semantics
from spade_tf.networks import EditableGenerator, Pix2PixHDGenerator, SPADEGenerator
from spade_tf.networks.styles import split_style, style_length, styled

LABELS, DIM = 4, 3


def make(form="auto", z_dim=None, image_size=(32, 64), **kwargs):
    generator = SPADEGenerator(
        LABELS,
        image_size=image_size,
        filters=2,
        z_dim=z_dim,
        conditioning=Conditioning(hidden_filters=8, form=form, class_style_dim=DIM),
        **kwargs,
    )
    rng = np.random.default_rng(0)
    for weight in generator.trainable_variables:
        # The start, of gain 0.02, would hide errors.
        fan = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 10.0
        weight.assign(rng.normal(size=weight.shape) / np.sqrt(fan))
    for block in generator.blocks:
        for conv in (block.conv_0, block.conv_1, getattr(block, "conv_s", None)):
            for _ in range(3 if conv is not None else 0):
                # Singular vectors that fit, so that tanh stays far from its bounds.
                conv.normalized_kernel(training=True)
    generator.conv_img.kernel.assign(0.2 * generator.conv_img.kernel)
    return generator


def inputs(count=2, height=32, width=64):
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, LABELS, (count, height // 8, width // 8))
    label = np.repeat(np.repeat(coarse, 8, 1), 8, 2).astype("int32")
    vectors = rng.normal(size=(count, LABELS, DIM)).astype("float32")
    return {"label": label, "class_styles": vectors}


@pytest.mark.parametrize("z_dim", [None, 5])
def test_dense_deduplicated_and_fused_agree(z_dim):
    generator, given = make("deduplicated", z_dim), inputs()
    z = None if z_dim is None else np.ones((2, z_dim), "float32")
    dense = make("dense", z_dim)
    # Singular vectors start at random.
    dense.set_weights(generator.get_weights())
    expected = dense(given, z=z).numpy()
    assert 0.1 < np.std(expected) < 0.6
    for other in (generator, generator.fuse(), dense.fuse(), generator.fuse(jit_compile=True)):
        # Seven blocks of float32 sums of up to 300 terms.
        np.testing.assert_allclose(other(given, z=z), expected, rtol=0, atol=1e-4)


def test_many_styles_of_one_layout_with_the_same_class_styles():
    generator = make(z_dim=5)
    one = {key: value[:1] for key, value in inputs().items()}
    z = np.random.default_rng(2).normal(size=(3, 5)).astype("float32")
    many = {key: np.repeat(value, 3, 0) for key, value in one.items()}
    # As above.
    np.testing.assert_allclose(generator.fuse()(one, z=z), generator(many, z=z), rtol=0, atol=1e-4)


def test_styles_of_another_batch_than_the_layouts_are_refused():
    generator, given = make("deduplicated").fuse(), inputs()

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 64], tf.int32)])
    def unknown(label):
        return generator({"label": label, "class_styles": given["class_styles"]})

    assert unknown(given["label"]).shape[0] == 2
    with pytest.raises(tf.errors.InvalidArgumentError):
        unknown(given["label"][:1])


def test_one_class_s_style_changes_the_picture_most_in_that_class():
    # 20 times as much, measured: the first blocks see far, at a low resolution.
    generator, given = make(image_size=(128, 128)), inputs(1, 128, 128)
    given["label"][:] = 0
    given["label"][:, :40] = 1
    other = dict(given, class_styles=given["class_styles"].copy())
    other["class_styles"][0, 1] += 1.0
    change = np.abs(generator(other) - generator(given)).mean(-1)[0]
    assert change[:32].mean() > 5 * change[64:].mean()
    unused = dict(given, class_styles=given["class_styles"].copy())
    unused["class_styles"][0, 3] += 1.0
    np.testing.assert_array_equal(generator(unused), generator(given))


def test_they_are_drawn_where_none_are_given():
    generator = make()
    label = inputs()["label"]
    one, other = (generator(label).numpy() for _ in range(2))
    assert np.abs(one - other).max() > 1e-2
    assert np.isfinite(one).all()
    assert np.abs(generator.fuse()(label) - one).max() > 1e-2


def test_whole_styles_are_z_and_then_a_vector_for_each_class():
    generator = make(z_dim=2)
    assert style_length(generator) == 2 + LABELS * DIM
    style = np.arange(2 * 14, dtype="float32").reshape(2, 14)
    z, vectors = split_style(generator, style)
    np.testing.assert_array_equal(z, style[:, :2])
    np.testing.assert_array_equal(vectors[1, 3], style[1, 11:])
    given = inputs()
    semantics = Semantics(LABELS, label=given["label"])
    together = generator(**styled(generator, semantics, style))
    apart = generator({"label": given["label"], "class_styles": vectors}, z=z)
    np.testing.assert_array_equal(together, apart)
    plain = SPADEGenerator(3, image_size=(32, 32), filters=1, z_dim=2)
    assert split_style(plain, style) == (style, None)
    assert style_length(plain) == 2


def test_a_brush_keeps_the_styles(eagerly):
    generator = make(image_size=(64, 64))
    editor = EditableGenerator(generator)
    given = inputs(1, 64, 64)
    painting = editor.paint(given)
    np.testing.assert_allclose(painting.image, generator(given), rtol=0, atol=1e-4)
    stroke = given["label"].copy()
    stroke[0, :8, :8] = 3
    edited = editor.edit(painting, {"label": stroke})
    np.testing.assert_array_equal(edited.inputs["class_styles"], given["class_styles"])
    assert np.abs(edited.image - painting.image)[0, :8, :8].max() > 1e-3
    assert editor.paint({"label": stroke}).inputs["class_styles"].shape == (1, LABELS, DIM)


def test_config_round_trip():
    generator = make()
    again = SPADEGenerator.from_config(generator.get_config())
    assert again.class_style_dim == DIM
    assert [v.shape for v in again.variables] == [v.shape for v in generator.variables]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: SPADEGenerator(3, conditioning=Conditioning("clade", class_style_dim=2)),
            "for conditioning 'spade': received 2 with 'clade'",
        ),
        (lambda: make(rematerialize=True), "rematerialize=True .* class_style_dim=3"),
        (
            lambda: Pix2PixHDGenerator(3, conditioning=Conditioning(class_style_dim=2)),
            "for SPADEGenerator",
        ),
        (
            lambda: make()(inputs() | {"class_styles": np.ones((2, 3, DIM), "float32")}),
            "for each of 4 labels: received 3",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
