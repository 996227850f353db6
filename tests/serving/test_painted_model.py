from types import SimpleNamespace

import pytest
from painted_double import Double
from painted_export import LABELS

from spade_tf.serving.errors import UnsupportedError
from spade_tf.serving.fronts.painted_model import label_files, painted_model


def labels(**changes):
    return {**LABELS, **changes}


@pytest.mark.parametrize(
    ("changes", "kind", "read", "write"),
    [
        ({}, "ids", [[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]], [0, 1, 2, 3, 4]),
        # 255 is unknown in files; the id after the last class is read as that, too.
        (
            {"has_unknown": True, "class_names": ["a", "b"]},
            "ids",
            [[0, 0], [1, 1], [2, 2], [255, 2]],
            [0, 1, 255],
        ),
        # As ADE20K's: 0 is unknown, and classes count from 1.
        (
            {"has_unknown": True, "class_names": ["a", "b"], "files": {"id_table": [2, 0, 1]}},
            "ids",
            [[0, 2], [1, 0], [2, 1]],
            [1, 2, 0],
        ),
        # As Cityscapes': several values are one class, and others are not allowed.
        (
            {"class_names": ["a", "b"], "files": {"id_table": [-1, 1, 0, 1]}},
            "ids",
            [[1, 1], [2, 0], [3, 1]],
            [2, 1],
        ),
        (
            {
                "class_names": ["a", "b"],
                "palette": [[9, 9, 9], [1, 2, 3]],
                "files": {"colors": [[1, 2, 3], [9, 9, 9]], "color_ids": [1, 0]},
            },
            "colors",
            [[[1, 2, 3], 1], [[9, 9, 9], 0]],
            [[9, 9, 9], [1, 2, 3]],
        ),
    ],
)
def test_label_files_hold_what_those_of_the_data_set_hold(changes, kind, read, write):
    found = label_files(labels(**changes))
    assert (found["kind"], found["read"], found["write"]) == (kind, read, write)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"condition_channels": 3, "class_names": [], "palette": []}, "continuous maps"),
        ({"class_names": [str(i) for i in range(300)]}, "300 classes, and the painter knows 256"),
        ({"palette": None}, "does not say its classes"),
    ],
)
def test_models_that_cannot_be_painted_with_say_why(tmp_path, changes, sentence):
    with pytest.raises(UnsupportedError, match=sentence):
        painted_model(Double(tmp_path, labels(**changes)))


def test_exports_that_cannot_be_painted_with_say_so(tmp_path):
    double = Double(tmp_path, z_dim=3)
    double.draws_styles = False
    with pytest.raises(UnsupportedError, match="of an earlier release"):
        painted_model(double)
    with pytest.raises(UnsupportedError, match="export the model again"):
        painted_model(SimpleNamespace(version=tmp_path / "none", inputs={}))
