import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.semantics import Semantics, instance_edges


def edges_by_hand(instance):
    batch, height, width = instance.shape
    edges = np.zeros(instance.shape, bool)
    for b, i, j in np.ndindex(batch, height, width):
        for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            row, column = i + di, j + dj
            if 0 <= row < height and 0 <= column < width:
                edges[b, i, j] |= instance[b, i, j] != instance[b, row, column]
    return edges


def ids(*shape, count=4):
    return np.random.default_rng(0).integers(0, count, shape).astype("int32")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 7), (1, 6, 1), (3, 9, 11)])
def test_instance_edges(shape):
    instance = np.repeat(np.repeat(ids(*shape), 2, 1), 3, 2)
    np.testing.assert_array_equal(instance_edges(instance), edges_by_hand(instance))


def test_instance_edges_mark_both_sides():
    instance = tf.constant([[[1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 1, 1]]])
    expected = [[[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]]
    # (1, 2) and (1, 3) differ from the row below; so do (2, 2) and (2, 3) from the row above.
    expected[0][1] = [0, 1, 1, 1]
    np.testing.assert_array_equal(instance_edges(instance), np.array(expected, bool))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_instance_ids_of_any_integer_type(dtype):
    instance = np.array([[[0, 200, 200]]], dtype)
    np.testing.assert_array_equal(instance_edges(instance), [[[True, True, False]]])


SIZES = [
    ((12, 8), (12, 8)),
    ((12, 8), (6, 4)),
    ((12, 8), (3, 1)),
    ((12, 8), (5, 3)),
    ((7, 9), (4, 5)),
    ((5, 3), (12, 8)),
    ((4, 4), (8, 12)),
    ((12, 8), (12, 5)),
    ((12, 8), (4, 16)),
]


def rows(source, target):
    """The official release's choice: floor(i * H / h)."""
    return [int(np.floor(i * source / target)) for i in range(target)]


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("static", [True, False])
def test_at_takes_the_floor(source, target, static):
    label = ids(2, *source, count=9)
    expected = label[:, rows(source[0], target[0])][:, :, rows(source[1], target[1])]

    def resize(label):
        size = target if static else tuple(map(tf.constant, target))
        return Semantics(9, label=label).at(*size).label

    np.testing.assert_array_equal(resize(tf.constant(label)), expected)
    signature = None if static else [tf.TensorSpec([None, None, None], tf.int32)]
    function = tf.function(resize, input_signature=signature)
    np.testing.assert_array_equal(function(tf.constant(label)), expected)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_a_dense_map_is_resized_as_its_ids_are(source, target):
    label = ids(2, *source)
    dense = Semantics(4, dense=tf.one_hot(label, 4)).at(*target).dense
    np.testing.assert_array_equal(dense, Semantics(4, label=label).at(*target).dense)


def test_edges_are_resized_with_the_labels():
    label, instance = ids(1, 8, 8), ids(1, 8, 8, count=2)
    edges = instance_edges(instance)
    semantics = Semantics(4, label=tf.constant(label), edges=edges).at(4, 2)
    np.testing.assert_array_equal(semantics.edges, edges.numpy()[:, ::2, ::4])
    # Edges of the resized instances would be others.
    assert not np.array_equal(semantics.edges, edges_by_hand(instance[:, ::2, ::4]))


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_downsample_is_at(factor):
    label = tf.constant(ids(2, 8, 12))
    semantics = Semantics(4, label=label)
    expected = semantics.at(8 // factor, 12 // factor).label
    np.testing.assert_array_equal(semantics.downsample(factor).label, expected)


def test_dense_is_one_hot_then_edges():
    label = tf.constant([[[0, 2], [1, 1]]])
    edges = tf.constant([[[True, True], [False, True]]])
    semantics = Semantics(3, label=label, edges=edges)
    expected = [[[[1, 0, 0, 1], [0, 0, 1, 1]], [[0, 1, 0, 0], [0, 1, 0, 1]]]]
    np.testing.assert_array_equal(semantics.dense, expected)
    assert semantics.channels == 4
    assert semantics.shape == (1, 2, 2)
    assert semantics.dense.dtype == tf.float32
    assert Semantics(3, label=label, dtype="bfloat16").dense.dtype == tf.bfloat16


def test_from_inputs_makes_edges_of_instances():
    label, instance = ids(2, 6, 5), ids(2, 6, 5, count=3)
    inputs = {"label": label, "instance": instance}
    with_edges = Semantics.from_inputs(inputs, num_labels=4, use_instance_edges=True)
    np.testing.assert_array_equal(with_edges.dense[..., 4], edges_by_hand(instance))
    np.testing.assert_array_equal(tf.argmax(with_edges.dense[..., :4], -1), label)
    without = Semantics.from_inputs(inputs, num_labels=4, use_instance_edges=False)
    assert without.channels == 4
    absent = Semantics.from_inputs({"label": label}, num_labels=4, use_instance_edges=True)
    np.testing.assert_array_equal(absent.dense[..., 4], np.zeros(label.shape))


def test_from_inputs_returns_semantics_as_they_are():
    semantics = Semantics(4, label=tf.constant(ids(1, 2, 2)))
    taken = Semantics.from_inputs(semantics, num_labels=4, use_instance_edges=False)
    assert taken is semantics


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"label": np.zeros((1, 4, 4, 1), "int32")}, "label must be integer ids"),
        ({"label": np.zeros((1, 4, 4), "float32")}, "label must be integer ids"),
        (np.zeros((1, 4, 4), "float32"), "or a float map"),
        (np.zeros((1, 4, 4, 4), "int32"), "or a float map"),
        (np.zeros((1, 4, 4, 3), "float32"), "must have 5 channels .* received 3"),
        (Semantics(4, dense=np.zeros((1, 4, 4, 7), "float32")), "must have 5 channels"),
    ],
)
def test_from_inputs_refuses_what_does_not_fit(inputs, message):
    with pytest.raises(ValueError, match=message):
        Semantics.from_inputs(inputs, num_labels=4, use_instance_edges=True)


@pytest.mark.parametrize("both", [True, False])
def test_either_labels_or_a_dense_map(both):
    label, dense = tf.zeros([1, 2, 2], tf.int32), tf.zeros([1, 2, 2, 3])
    with pytest.raises(ValueError, match="either label ids or a dense map"):
        Semantics(3, label=label if both else None, dense=dense if both else None)


def test_each_resolution_is_made_once():
    semantics = Semantics(4, label=tf.constant(ids(1, 8, 8)))
    assert semantics.at(4, 4) is semantics.at(4, 4)
    assert semantics.downsample(2) is semantics.downsample(2)
    assert semantics.downsample(1) is semantics
    assert semantics.like(tf.zeros([1, 8, 8, 3])) is semantics
    assert semantics.like(tf.zeros([1, 4, 4, 3])) is semantics.at(4, 4)


def test_repeat():
    label, edges = ids(2, 3, 3), ids(2, 3, 3) > 1
    semantics = Semantics(4, label=tf.constant(label), edges=tf.constant(edges)).repeat(2)
    np.testing.assert_array_equal(semantics.label, np.concatenate([label, label]))
    np.testing.assert_array_equal(semantics.edges, np.concatenate([edges, edges]))


def test_like_resizes_at_unknown_sizes():
    """Also where the map has been repeated: that is not a choice of resolution."""
    label = tf.constant(ids(2, 8, 8))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None], tf.int32),
            tf.TensorSpec([None, None, None, 3]),
        ]
    )
    def resize(label, x):
        semantics = Semantics(4, label=label)
        return semantics.like(x).label, semantics.repeat(2).like(x).label

    plain, repeated = resize(label, tf.zeros([2, 4, 4, 3]))
    np.testing.assert_array_equal(plain, label[:, ::2, ::2])
    np.testing.assert_array_equal(repeated, np.concatenate([label[:, ::2, ::2]] * 2))


def test_one_object_serves_eager_and_graph():
    """Tensors traced in a function must not be reused outside of it."""
    semantics = Semantics(4, label=tf.constant(ids(1, 8, 8)))
    traced = tf.function(lambda: semantics.at(4, 4).dense + semantics.at(2, 2).dense[:, :1, :1])()
    eager = semantics.at(4, 4).dense + semantics.at(2, 2).dense[:, :1, :1]
    np.testing.assert_array_equal(traced, eager)


def test_ids_alone_are_a_label_map():
    label = ids(2, 4, 4) % 3
    semantics = Semantics.from_inputs(label, num_labels=3, use_instance_edges=False)
    np.testing.assert_array_equal(semantics.dense, np.eye(3)[label])


def test_ids_as_files_hold_them():
    label, instance = np.array([[[0, 255]]], "uint8"), np.array([[[7, 65535]]], "uint16")
    semantics = Semantics.from_inputs(
        {"label": label, "instance": instance}, num_labels=300, use_instance_edges=True
    )
    expected = np.concatenate([np.eye(300)[label], np.ones([1, 1, 2, 1])], -1)
    np.testing.assert_array_equal(semantics.dense, expected)
    assert semantics.neighbourhoods(3).ids.shape == (1, 1, 2)


@pytest.mark.parametrize("wrong", [255, 3, -1])
def test_ids_out_of_range_are_refused_eagerly(wrong):
    label = np.array([[[0, wrong], [1, 2]]], "int32")
    message = rf"must be in \[0, 3\): received {wrong}; give unknown pixels"
    for inputs in (label, {"label": label}):
        with pytest.raises(ValueError, match=message):
            Semantics.from_inputs(inputs, num_labels=3, use_instance_edges=False)
    with pytest.raises(ValueError, match=message):
        Semantics(3, label=label)
    # Augmentation leaves pixels without a label, and a graph cannot look at its ids.
    expected = np.eye(3)[[[0, 0], [1, 2]]]
    expected[0, 1] = 0
    np.testing.assert_array_equal(Semantics(3, label=label, unlabelled=True).dense[0], expected)
    traced = tf.function(lambda label: Semantics(3, label=label).dense)(tf.constant(label))
    np.testing.assert_array_equal(traced[0], expected)


def test_symbolic_tensors_are_for_the_layer_itself():
    symbol = keras.Input((4, 4), dtype="int32")
    with pytest.raises(ValueError, match=r"symbolic tensor of Keras: .* to the layer"):
        Semantics(3, label=symbol)
    with pytest.raises(ValueError, match=r"symbolic tensor of Keras: .* to the layer"):
        Semantics.from_inputs({"label": symbol}, num_labels=3, use_instance_edges=False)


def test_a_mapping_without_labels_is_refused():
    with pytest.raises(ValueError, match="must hold 'label' or 'condition': received labels"):
        Semantics.from_inputs({"labels": ids(1, 4, 4)}, num_labels=3, use_instance_edges=False)


def test_a_canvas_stands_between_labels_and_edges():
    label, instance = ids(2, 4, 6), ids(2, 4, 6, count=3)
    canvas = np.random.default_rng(1).random((2, 4, 6, 4), "float32")
    semantics = Semantics.from_inputs(
        {"label": label, "instance": instance, "canvas": canvas},
        num_labels=4 + 4,
        use_instance_edges=True,
    )
    plain = Semantics.from_inputs(
        {"label": label, "instance": instance}, num_labels=4, use_instance_edges=True
    ).dense
    expected = np.concatenate([plain[..., :4], canvas, plain[..., 4:]], -1)
    np.testing.assert_array_equal(semantics.dense, expected)
    assert semantics.channels == 9
    # Ids are those of the labels alone.
    with pytest.raises(ValueError, match=r"label ids must be in \[0, 3\): received 3"):
        Semantics.from_inputs(
            {"label": label, "canvas": canvas}, num_labels=3 + 4, use_instance_edges=False
        )
