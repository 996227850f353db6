import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers import modulation
from spade_tf.layers.modulation import SpatialModulation
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spade import SPADE

SHAPES = [(1, 1, 1), (1, 1, 7), (3, 9, 11), (2, 16, 8)]


def layout(*shape, with_edges=False, count=4):
    rng = np.random.default_rng(0)
    # Patches of one label, as pictures have them, and ids that do not exist.
    coarse = rng.integers(-1, count + 1, [shape[0], shape[1] // 3 + 1, shape[2] // 3 + 1])
    label = np.repeat(np.repeat(coarse, 3, 1), 3, 2)[:, : shape[1], : shape[2]]
    edges = tf.constant(rng.random(shape) < 0.1) if with_edges else None
    label = tf.constant(label.astype("int32"))
    return Semantics(count, label=label, edges=edges, unlabelled=True)


def lively(layer):
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        fan = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 4.0
        weight.assign(rng.normal(size=weight.shape) / np.sqrt(fan))
    return layer


def pair(make, form):
    """One layer in two forms: dense, and another."""
    dense, other = make("dense"), make(form)
    lively(dense)
    other.set_weights(dense.get_weights())
    return dense, other


@pytest.fixture(params=["deduplicated", "half deduplicated"])
def form(request, monkeypatch):
    """A form that is not dense; half deduplicated is what diverse label maps get."""
    if request.param == "deduplicated":
        return request.param
    monkeypatch.setattr(modulation, "_LARGEST_SHARE", -1.0)
    return "auto"


def modulations(kernel_size, with_edges, form, padding="zeros"):
    def make(form):
        layer = SpatialModulation(5, 4 + with_edges, 7, kernel_size, form, padding)
        layer.build()
        return layer

    return pair(make, form)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("with_edges", [True, False])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_all_forms_agree(kernel_size, with_edges, shape, form):
    dense, deduplicated = modulations(kernel_size, with_edges, form)
    semantics = layout(*shape, with_edges=with_edges)
    for expected, actual in zip(
        dense(semantics=semantics), deduplicated(semantics=semantics), strict=True
    ):
        assert actual.shape == expected.shape
        # Float32 sums of up to 175 terms whose sum is of order 1.
        np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_all_forms_agree_on_what_lies_outside(kernel_size, padding, form):
    dense, deduplicated = modulations(kernel_size, True, form, padding)
    semantics = layout(2, 5, 8, with_edges=True)
    zeros, _ = modulations(kernel_size, True, form)
    zeros.set_weights(dense.get_weights())
    for expected, actual, other in zip(
        dense(semantics=semantics),
        deduplicated(semantics=semantics),
        zeros(semantics=semantics),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6)  # As above.
        margin = 2 * (kernel_size // 2)
        inner = slice(margin, -margin)
        assert np.abs(expected - other).max() > 1e-2
        np.testing.assert_allclose(
            expected[:, inner, inner], other[:, inner, inner], rtol=0, atol=5e-6
        )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_gradients_reach_every_weight_and_agree(dtype, training, form):
    def make(form):
        layer = SPADE(5, 7, form=form, dtype=dtype)
        layer.build((None, None, None, 6))
        return layer

    dense, deduplicated = pair(make, form)
    semantics = layout(2, 12, 9, with_edges=True)
    x = tf.constant(np.random.default_rng(2).normal(size=(2, 12, 9, 6)), tf.float32)
    found = []
    for layer in (dense, deduplicated):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(layer(x, semantics=semantics, training=training), tf.float32)
            loss = tf.reduce_sum(tf.sin(y))
        found.append(tape.gradient(loss, [x, *layer.trainable_weights]))
    assert len(found[0]) == 7
    for expected, actual in zip(*found, strict=True):
        assert actual.dtype == expected.dtype
        scale = np.abs(expected).max()
        assert scale > 0
        # Float32 sums of 216 pixels; bfloat16 keeps 8 bits of every term.
        np.testing.assert_allclose(
            actual, expected, atol=scale * (1e-5 if dtype == "float32" else 0.06), rtol=0
        )


@pytest.mark.parametrize("count", [2, 300])
def test_auto_looks_up_what_repeats_and_convolves_what_does_not(count, monkeypatch):
    """One function of unknown size takes the branch that suits the label map."""
    taken = []
    rng = np.random.default_rng(0)
    label = rng.integers(0, count, (1, 6, 6)).repeat(8, 1).repeat(8, 2)
    if count > 2:
        label = rng.integers(0, count, (1, 48, 48))
    layer = SpatialModulation(5, count, 4)
    layer.build()
    lively(layer)

    def record(name):
        call = getattr(layer, name)

        def recorded(*arguments):
            tf.py_function(lambda: taken.append(name), [], [])
            return call(*arguments)

        monkeypatch.setattr(layer, name, recorded)

    record("_dense")
    record("_half_deduplicated")
    record("_deduplicated")

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.int32)])
    def compute(label):
        return layer(semantics=Semantics(count, label=label))

    gamma, _ = compute(tf.constant(label, tf.int32))
    assert taken == ["_deduplicated" if count == 2 else "_half_deduplicated"]
    layer.form = "dense"
    expected, _ = layer(semantics=Semantics(count, label=tf.constant(label, tf.int32)))
    # As above.
    np.testing.assert_allclose(gamma, expected, rtol=0, atol=5e-6)


def test_xla_takes_the_dense_form():
    layer, semantics = SpatialModulation(3, 4, 5), layout(1, 6, 6)
    layer.build()

    @tf.function(jit_compile=True)
    def compute(label):
        return layer(semantics=Semantics(4, label=label))

    @tf.function(jit_compile=True)
    def compute_within(label):
        return tf.cond(
            label[0, 0, 0] < 100,
            lambda: layer(semantics=Semantics(4, label=label)),
            lambda: layer(semantics=Semantics(4, label=label)),
        )

    for function in (compute, compute_within):
        for actual, expected in zip(
            function(semantics.label), layer(semantics=semantics), strict=True
        ):
            np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6)  # As above.


def test_what_cannot_be_deduplicated():
    layer, semantics = SpatialModulation(3, 4, 5, form="deduplicated"), layout(1, 6, 6)
    layer.build()
    with pytest.raises(ValueError, match="'deduplicated' does not go with a dense map"):
        layer(semantics=Semantics(dense=semantics.dense))
    compute = tf.function(lambda: layer(semantics=semantics), jit_compile=True)
    with pytest.raises(ValueError, match="does not go with XLA"):
        compute()
    # The other forms take a dense map.
    layer.form = "auto"
    dense = layer(semantics=Semantics(dense=semantics.dense))
    np.testing.assert_allclose(dense[0], layer(semantics=semantics)[0], rtol=0, atol=5e-6)


@pytest.mark.parametrize("form", modulation.FORMS)
def test_config(form):
    for layer in (
        SpatialModulation(3, 4, form=form),
        SPADE(4, form=form),
    ):
        assert type(layer).from_config(layer.get_config()).form == form


@pytest.mark.distributed
def test_replicas_may_take_different_forms(two_replicas):
    """Statistics are exchanged outside the branches, so a replica with noise blocks no other."""
    strategy = two_replicas
    with strategy.scope():
        layer = SPADE(200, 4)
        layer.build((None, None, None, 1024))
    calm, noise = np.zeros((1, 12, 12)), np.arange(144).reshape(1, 12, 12)
    label = np.concatenate([calm, noise]).astype("int32")
    x = np.random.default_rng(0).normal(size=(2, 12, 12, 1024)).astype("float32")

    def step(label, x):
        with tf.GradientTape() as tape:
            y = layer(x, semantics=Semantics(200, label=label), training=True)
            loss = tf.reduce_sum(tf.square(y))
        return y, tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, tape.gradient(loss, layer.trainable_weights)
        )

    def split(value):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(value[context.replica_id_in_sync_group][None])
        )

    y, gradients = tf.function(lambda: strategy.run(step, args=(split(label), split(x))))()
    with tf.GradientTape() as tape:
        whole = layer(x, semantics=Semantics(200, label=tf.constant(label)), training=True)
        loss = tf.reduce_sum(tf.square(whole))
    # Float32 sums over 288 pixels.
    np.testing.assert_allclose(
        tf.concat(strategy.experimental_local_results(y), 0), whole, atol=1e-5, rtol=0
    )
    for one, expected in zip(gradients, tape.gradient(loss, layer.trainable_weights), strict=True):
        for actual in strategy.experimental_local_results(one):
            np.testing.assert_allclose(actual, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_lookups_wait_for_features_in_inference(training):
    """Otherwise the tables of all layers would be made at once and fill the memory."""
    layer = lively(SPADE(4, 7, norm="instance", form="deduplicated"))
    layer.build((None, None, None, 6))
    semantics = layout(1, 6, 6)

    @tf.function
    def call(x):
        return layer(x, semantics=semantics, training=training)

    graph = call.get_concrete_function(tf.TensorSpec([1, 6, 6, 6])).graph

    def ancestors(operation):
        seen, waiting = set(), [operation]
        while waiting:
            each = waiting.pop()
            for before in [tensor.op for tensor in each.inputs] + list(each.control_inputs):
                if before not in seen:
                    seen.add(before)
                    waiting.append(before)
        return seen

    sums = [each for each in graph.get_operations() if each.type.startswith("SparseSegmentSum")]
    assert len(sums) == 3
    features = graph.inputs[0].op
    assert all((features in ancestors(each)) is not training for each in sums)
