import numpy as np
import pytest
import tensorflow as tf

from spade_tf.metrics import confusion_matrix, mean_iou, segmentation_scores

LABELS = np.array([[0, 0, 1, 1], [2, 255, 2, -1]])
PREDICTIONS = np.array([[0, 1, 1, 1], [2, 0, 0, 1]])
MATRIX = [[1, 1, 0], [0, 2, 0], [1, 0, 1]]


def test_matrix_by_hand():
    # 255 and -1 are left out, whatever was predicted there.
    np.testing.assert_array_equal(confusion_matrix(LABELS, PREDICTIONS, num_classes=3), MATRIX)


def test_matrix_in_a_graph_of_unknown_shapes():
    function = tf.function(
        lambda labels, predictions: confusion_matrix(labels, predictions, num_classes=3),
        input_signature=[tf.TensorSpec([None, None], tf.int32)] * 2,
    )
    np.testing.assert_array_equal(
        function(LABELS.astype(np.int32), PREDICTIONS.astype(np.int32)), MATRIX
    )


def test_matrices_of_parts_add_up():
    whole = confusion_matrix(LABELS, PREDICTIONS, num_classes=3)
    parts = [confusion_matrix(*row, num_classes=3) for row in zip(LABELS, PREDICTIONS, strict=True)]
    np.testing.assert_array_equal(sum(parts), whole)


def test_uint8_maps_with_255():
    matrix = confusion_matrix(
        LABELS[:1].astype(np.uint8), PREDICTIONS[:1].astype(np.uint8), num_classes=200
    )
    assert matrix.shape == (200, 200)
    assert int(tf.reduce_sum(matrix)) == 4


def test_a_prediction_out_of_range_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="classes from 0 to 2"):
        confusion_matrix([0, 1], [0, 3], num_classes=3)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="compatible"):
        confusion_matrix([[0, 1]], [0, 1], num_classes=3)


def test_scores_by_hand():
    scores = segmentation_scores(MATRIX)
    np.testing.assert_allclose(scores.iou, [1 / 3, 2 / 3, 1 / 2])
    np.testing.assert_allclose(scores.class_accuracy, [1 / 2, 1, 1 / 2])
    assert scores.mean_iou == pytest.approx(0.5)
    assert scores.mean_class_accuracy == pytest.approx(2 / 3)
    assert scores.pixel_accuracy == pytest.approx(4 / 6)
    assert mean_iou(MATRIX) == scores.mean_iou


def test_absent_classes_have_no_score_and_false_ones_have_zero():
    # Class 2 is in no map; class 1 is predicted alone.
    scores = segmentation_scores([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(scores.iou, [3 / 4, 0, np.nan])
    np.testing.assert_allclose(scores.class_accuracy, [3 / 4, np.nan, np.nan])
    assert scores.mean_iou == pytest.approx(3 / 8)
    assert scores.mean_class_accuracy == pytest.approx(3 / 4)


def test_scores_refuse():
    with pytest.raises(ValueError, match=r"square; received shape \(2, 3\)"):
        segmentation_scores(np.ones([2, 3]))
    with pytest.raises(ValueError, match="counts no pixel"):
        segmentation_scores(np.zeros([2, 2]))
