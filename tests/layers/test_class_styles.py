import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers import modulation
from spade_tf.layers.class_styles import style_map
from spade_tf.layers.modulation import SpatialModulation
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spade import SPADE

LABELS, DIM = 4, 3


def patches(*shape):
    """Patches of one label, as pictures have them, and ids that do not exist."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(-1, LABELS + 1, [shape[0], shape[1] // 3 + 1, shape[2] // 3 + 1])
    return np.repeat(np.repeat(coarse, 3, 1), 3, 2)[:, : shape[1], : shape[2]].astype("int32")


def styles(count, seed=2):
    return np.random.default_rng(seed).normal(size=(count, LABELS, DIM)).astype("float32")


def semantics_of(label, edges=None, class_styles=None):
    return Semantics(
        LABELS,
        label=tf.constant(label),
        edges=edges,
        unlabelled=True,
        class_styles=styles(len(label)) if class_styles is None else class_styles,
    )


def lively(layer):
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        fan = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 4.0
        weight.assign(rng.normal(size=weight.shape) / np.sqrt(fan))
    return layer


def make(form="auto", kernel_size=3, edges=False, padding="zeros", filters=5):
    layer = SpatialModulation(
        filters, LABELS + edges, 7, kernel_size, form, padding, class_style_dim=DIM
    )
    layer.build()
    return lively(layer)


@pytest.fixture(params=["deduplicated", "half deduplicated"])
def form(request, monkeypatch):
    """A form that is not dense; half deduplicated is what diverse label maps get."""
    if request.param == "deduplicated":
        return request.param
    monkeypatch.setattr(modulation, "_LARGEST_SHARE", -1.0)
    return "auto"


@pytest.mark.parametrize("chosen", ["dense", "deduplicated"])
def test_by_hand(chosen):
    """One filter of one tap: gamma = 10 relu(W[label] + s[label] V + 0.5) + 1."""
    layer = SpatialModulation(1, 2, 1, 1, chosen, class_style_dim=2)
    layer.build()
    layer.shared.kernel.assign([[[[1.0], [-3.0]]]])
    layer.shared.bias.assign([0.5])
    layer.style_kernel.assign([[[[1.0], [2.0]]]])
    layer.gamma.kernel.assign([[[[10.0]]]])
    layer.gamma.bias.assign([1.0])
    label = tf.constant([[[0, 1]], [[1, 1]]])
    class_styles = [[[0.5, 0.0], [0.0, 1.0]], [[9.0, 9.0], [2.0, 2.0]]]
    semantics = Semantics(2, label=label, class_styles=tf.constant(class_styles))
    gamma = layer(semantics=semantics)[0][..., 0].numpy()
    # relu(1 + 0.5 + 0.5) = 2; relu(-3 + 2 + 0.5) = 0; relu(-3 + 2 + 4 + 0.5) = 3.5.
    np.testing.assert_array_equal(gamma, [[[21.0, 1.0]], [[36.0, 36.0]]])


def convolve(x, kernel, bias):
    """A convolution with zero padding, tap by tap, in float64."""
    size, (height, width) = kernel.shape[0], x.shape[1:3]
    margin = size // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    taps = [
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    ]
    return sum(taps) + bias


@pytest.mark.parametrize("chosen", ["dense", "deduplicated"])
def test_vectors_are_further_channels_of_the_map(chosen):
    layer, label = make(chosen), patches(2, 9, 11)
    exists = (label >= 0) & (label < LABELS)
    one_hot = np.eye(LABELS + 1)[np.where(exists, label, LABELS)][..., :LABELS]
    vectors = styles(2)[np.arange(2)[:, None, None], np.where(exists, label, 0)]
    x = np.concatenate([one_hot, vectors * exists[..., None]], -1)
    kernel = np.concatenate([layer.shared.kernel, layer.style_kernel], 2)
    hidden = np.maximum(convolve(x, kernel, layer.shared.bias.numpy()), 0.0)
    for actual, conv in zip(
        layer(semantics=semantics_of(label)), (layer.gamma, layer.beta), strict=True
    ):
        expected = convolve(hidden, conv.kernel.numpy(), conv.bias.numpy())
        # Float32 sums of up to 63 terms whose sum is of order 1.
        np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("with_edges", [True, False])
@pytest.mark.parametrize(("kernel_size", "padding"), [(1, "zeros"), (3, "zeros"), (3, "reflect")])
def test_all_forms_agree(kernel_size, padding, with_edges, form):
    label = patches(3, 9, 11)
    edges = tf.constant(np.random.default_rng(3).random(label.shape) < 0.1) if with_edges else None
    semantics = semantics_of(label, edges)
    expected, actual = (
        make(each, kernel_size, with_edges, padding)(semantics=semantics)
        for each in ("dense", form)
    )
    for one, other in zip(expected, actual, strict=True):
        # As above.
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)
        assert np.std(one) > 0.1


def test_gradients_of_both_forms_agree(form):
    label = patches(2, 9, 11)
    found = []
    for each in ("dense", form):
        layer, class_styles = make(each), tf.constant(styles(2))
        with tf.GradientTape() as tape:
            tape.watch(class_styles)
            semantics = semantics_of(label, class_styles=class_styles)
            loss = sum(tf.reduce_mean(tf.sin(part)) for part in layer(semantics=semantics))
        found.append(tape.gradient(loss, [class_styles, layer.style_kernel.value]))
    for one, other in zip(*found, strict=True):
        assert np.abs(one).max() > 1e-3
        # Float32 sums over 198 pixels of terms that add up to less than 0.1.
        np.testing.assert_allclose(one, tf.convert_to_tensor(other), rtol=0, atol=1e-6)


def test_another_style_of_one_class_changes_its_surroundings_alone(form):
    """Two 3x3 convolutions see two pixels far, and the other example not at all."""
    label = np.zeros((2, 12, 14), "int32")
    label[:, 4:7, 5:7] = 2
    label[:, 9:] = 1
    one, other = styles(2), styles(2)
    other[0, 2] += 1.0
    layer = make(form)
    before, after = (
        layer(semantics=semantics_of(label, class_styles=each))[0].numpy() for each in (one, other)
    )
    changed = (before != after).any(-1)
    reach = np.zeros_like(changed)
    reach[0, 2:9, 3:9] = True
    # Exactly: elsewhere the same sums are taken of the same numbers.
    np.testing.assert_array_equal(changed, reach)


def test_no_vectors_are_today_s_layer():
    plain, zero = SPADE(3, 4), SPADE(3, 4, class_style_dim=0)
    for layer in (plain, zero):
        layer.build((None, 4, 4, 2))
    assert [v.path.split("/")[1:] for v in zero.variables] == [
        v.path.split("/")[1:] for v in plain.variables
    ]
    assert not any("style" in variable.path for variable in plain.variables)


def test_parts_and_repetitions_of_a_batch_keep_their_styles():
    semantics = semantics_of(patches(3, 4, 4))
    np.testing.assert_array_equal(semantics.rows(1, 2).class_styles, styles(3)[1:])
    np.testing.assert_array_equal(semantics.repeat(2).class_styles[3:], styles(3))
    assert semantics.with_class_styles(None).class_styles is None
    assert semantics.at(2, 2).class_styles is not None


@pytest.mark.parametrize("count", [1, 2])
def test_soft_maps_mix_vectors(count):
    dense = np.array([[[[0.25, 0.75, 1.0]]]] * count, "float32")
    vectors = tf.constant([[[4.0, 0.0], [0.0, 8.0]]] * count)
    np.testing.assert_array_equal(style_map(tf.constant(dense), vectors), [[[[1.0, 6.0]]]] * count)


def test_a_mapping_holds_them_too():
    x, label = np.ones((2, 8, 8, 5), "float32"), np.abs(patches(2, 8, 8)) % LABELS
    layer = SPADE(LABELS, 7, class_style_dim=DIM)
    given = layer(x, semantics={"label": label, "class_styles": styles(2)})
    expected = layer(x, semantics=semantics_of(label))
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: make()(semantics=s.with_class_styles(None)), r"needs class_styles .*none"),
        (lambda s: make()(semantics=s.with_class_styles(styles(2)[..., :2])), "vectors of 2"),
        (lambda s: SPADE(LABELS, 7)(np.ones((2, 4, 4, 1)), semantics=s), "takes no class styles"),
        (lambda s: s.with_class_styles(styles(3)), r"batch of 2 .* received \(3, 4, 3\)"),
        (lambda s: s.with_class_styles(styles(2)[0]), r"received \(4, 3\)"),
        (lambda s: s.with_class_styles(np.ones((2, 9, 3))), "at most 4 labels"),
        (lambda s: SpatialModulation(1, 2, class_style_dim=-1), ">= 0: received -1"),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call(semantics_of(patches(2, 4, 4)))
