import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers import neighbourhoods
from spade_tf.layers.neighbourhoods import Neighbourhoods, distinct_windows
from spade_tf.layers.semantics import Semantics

SHAPES = [(1, 1, 1), (1, 1, 6), (2, 7, 1), (3, 9, 11), (2, 12, 8)]


def ids(*shape, count=3, seed=0):
    coarse = np.random.default_rng(seed).integers(0, count, shape)
    return np.repeat(np.repeat(coarse, 2, 1), 3, 2).astype("int32")


def windows_by_hand(maps, outside, kernel_size):
    margin = kernel_size // 2
    padded = np.pad(maps, ((0, 0), (margin, margin), (margin, margin)), constant_values=outside)
    cells = [
        padded[:, i : i + maps.shape[1], j : j + maps.shape[2]]
        for i in range(kernel_size)
        for j in range(kernel_size)
    ]
    return np.stack(cells, -1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("graph", [True, False])
def test_distinct_windows(kernel_size, shape, graph):
    maps = ids(*shape)
    find = distinct_windows
    if graph:
        find = tf.function(find, reduce_retracing=True)
    windows, which = find(tf.constant(maps), tf.constant(4), tf.constant(3), kernel_size)
    windows, which = windows.numpy(), which.numpy()
    expected = windows_by_hand(maps, 3, kernel_size)
    np.testing.assert_array_equal(windows[which], expected)
    assert len(windows) == len(np.unique(expected.reshape(-1, kernel_size**2), axis=0))
    assert len(np.unique(windows, axis=0)) == len(windows)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_more_ids_than_three_pack_into_one_key(kernel_size, monkeypatch):
    """As many ids as a batch of megapixels of noise has windows, at ids that would overflow."""
    maps = ids(2, 5, 4, count=2**31 - 2)
    windows, which = distinct_windows(tf.constant(maps), 2**31 - 1, 2**31 - 2, kernel_size)
    expected = windows_by_hand(maps, 2**31 - 2, kernel_size)
    np.testing.assert_array_equal(tf.gather(windows, which), expected)
    # And the same through the rows' own ids.
    monkeypatch.setitem(neighbourhoods._BITS, 3, 1)
    again, where = distinct_windows(tf.constant(maps), 2**31 - 1, 2**31 - 2, kernel_size)
    np.testing.assert_array_equal(tf.gather(again, where), expected)
    assert len(again) == len(windows)


def test_graphs_of_known_shapes_have_no_branches():
    """Few places have few windows, that can be told apart by one number each."""

    def find(label):
        return Neighbourhoods.of(label, None, num_labels=3, kernel_size=3)

    for size, branches in [(8, 0), (1024, 0), (2048, 3), (None, 3)]:
        label = tf.TensorSpec([1, size, size], tf.int32)
        graph = tf.function(find, autograph=False).get_concrete_function(label).graph
        found = [op for op in graph.get_operations() if op.type in ("If", "StatelessIf")]
        assert len(found) == branches, size


def test_windows_are_shared_over_the_batch():
    one = ids(1, 6, 4)
    windows, which = distinct_windows(tf.constant(np.repeat(one, 3, 0)), 4, 3, 3)
    alone, _ = distinct_windows(tf.constant(one), 4, 3, 3)
    assert len(windows) == len(alone)
    np.testing.assert_array_equal(which[0], which[2])


def test_the_border_is_a_case_of_its_own():
    """A map of one label: nine windows of the first level, twenty-five of the second."""
    for size, first, second in [((1, 1), 1, 1), ((3, 3), 9, 9), ((8, 8), 9, 25)]:
        found = Neighbourhoods.of(tf.zeros([1, *size], tf.int32), None, num_labels=1, kernel_size=3)
        assert (int(found.count), int(found.second_count)) == (first, second)
        assert float(found.share) == pytest.approx(first / np.prod(size))


@pytest.mark.parametrize("with_edges", [True, False])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_rows_are_those_that_a_one_hot_convolution_adds_up(kernel_size, with_edges):
    label = ids(2, 5, 4, count=6) - 1  # -1 and 4 are no labels: no row at all.
    edges = ids(2, 5, 4, count=2, seed=1) > 0
    found = Neighbourhoods.of(
        tf.constant(label), tf.constant(edges) if with_edges else None, num_labels=4,
        kernel_size=kernel_size,
    )  # fmt: skip
    semantics = Semantics(
        4,
        label=tf.constant(label),
        edges=tf.constant(edges) if with_edges else None,
        unlabelled=True,
    )
    kernel = np.random.default_rng(0).normal(size=(kernel_size, kernel_size, 4 + with_edges, 2))
    expected = tf.nn.conv2d(tf.cast(semantics.dense, tf.float64), kernel, 1, "SAME")
    sums = np.zeros((int(found.count), 2))
    np.add.at(sums, found.segments.numpy(), kernel.reshape(-1, 2)[found.rows.numpy()])
    # A second convolution that takes its centre alone shows the first one.
    centre = kernel_size**2 // 2
    window = found.second_rows.numpy() - centre * sums.shape[0]
    inside = (window >= 0) & (window < len(sums))
    shown = np.full(int(found.second_count), -1)
    shown[found.second_segments.numpy()[inside]] = window[inside]
    # Float64 sums of up to 50 terms.
    np.testing.assert_allclose(sums[shown[found.ids.numpy()]], expected, rtol=0, atol=1e-12)


def test_semantics_find_them_once():
    label = tf.constant(ids(1, 4, 4))
    semantics = Semantics(3, label=label)
    assert semantics.neighbourhoods(3) is semantics.neighbourhoods(3)
    assert semantics.downsample(2).neighbourhoods(3) is semantics.downsample(2).neighbourhoods(3)
    with pytest.raises(ValueError, match="neighbourhoods are of label ids"):
        Semantics(dense=tf.zeros([1, 4, 4, 3])).neighbourhoods(3)


def test_branches_of_a_graph_take_what_was_found_outside():
    """Entering a branch must not make a semantics forget what its graph has found."""

    @tf.function
    def finds(label):
        semantics = Semantics(3, label=label)
        before = semantics.neighbourhoods(3)
        tf.cond(before.share > 0.5, lambda: semantics.dense, lambda: 2.0 * semantics.dense)
        assert semantics.neighbourhoods(3) is before
        return before.count

    finds(tf.constant(ids(1, 4, 4)))
