import json

import numpy as np
import pytest

from pipelines import schema
from pipelines.schema import DataError, LabelSet


def make_label_set(has_unknown=True):
    return LabelSet(
        class_names=("sky", "grass"),
        palette=schema.default_palette(2, has_unknown),
        has_unknown=has_unknown,
        has_instance=False,
    )


@pytest.mark.parametrize("has_unknown", [False, True])
def test_metadata_round_trip_through_json(has_unknown):
    label_set = make_label_set(has_unknown)
    assert LabelSet.from_metadata(json.loads(json.dumps(label_set.to_metadata()))) == label_set


def test_counts():
    assert (make_label_set(True).num_classes, make_label_set(True).num_ids) == (2, 3)
    assert (make_label_set(False).num_classes, make_label_set(False).num_ids) == (2, 2)


def test_metadata_without_a_key_is_refused():
    metadata = make_label_set().to_metadata()
    del metadata["palette"]
    with pytest.raises(DataError, match="no palette in it"):
        LabelSet.from_metadata(metadata)


def test_metadata_with_too_few_colours_is_refused():
    metadata = make_label_set().to_metadata()
    metadata["palette"].pop()
    with pytest.raises(DataError, match="2 colours for 3 ids"):
        LabelSet.from_metadata(metadata)


def test_palette_is_the_pascal_voc_colour_map():
    # Entries 1 to 8 and 20 as published with the challenge.
    assert schema.default_palette(20, has_unknown=True)[:8] == (
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
        (128, 128, 128),
        (64, 0, 0),
    )
    assert schema.default_palette(20, has_unknown=True)[19:] == ((0, 64, 128), (0, 0, 0))


def test_palette_tells_classes_apart():
    palette = np.array(schema.default_palette(254, has_unknown=True))
    distance = np.abs(palette[:, None] - palette[None]).max(axis=-1)
    assert distance[~np.eye(len(palette), dtype=bool)].min() >= 32
    assert len(set(schema.default_palette(60000, has_unknown=True))) == 60001


@pytest.mark.parametrize("num_classes", [0, -1, 65537])
def test_palette_refuses_an_impossible_number_of_classes(num_classes):
    with pytest.raises(DataError, match=f"num_classes: {num_classes} received"):
        schema.default_palette(num_classes, has_unknown=True)


@pytest.mark.parametrize(("num_ids", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_features(num_ids, dtype):
    features = schema.features(has_instance=True, num_ids=num_ids)
    assert sorted(features) == ["image", "instance", "label", "name"]
    assert features["image"].np_dtype == np.uint8
    assert features["image"].shape == (None, None, 3)
    assert features["label"].np_dtype == dtype
    assert features["label"].shape == (None, None, 1)
    assert features["instance"].np_dtype == np.uint16
    assert "instance" not in schema.features(has_instance=False)


def test_features_refuse_too_many_ids():
    with pytest.raises(DataError, match="num_ids: 65537 received"):
        schema.features(has_instance=False, num_ids=65537)
