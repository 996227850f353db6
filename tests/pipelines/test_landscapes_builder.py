"""The TFDS builder of the procedural landscapes."""

import numpy as np
import pytest

from pipelines import landscapes

tfds = pytest.importorskip("tensorflow_datasets")

from pipelines.schema import DataError, LabelSet  # noqa: E402
from pipelines.sources.builders.landscapes import (  # noqa: E402
    FIRST_VAL_INDEX,
    Landscapes,
    LandscapesConfig,
)


def test_records_equal_rendered_pictures(tmp_path):
    builder = Landscapes(
        height=64, width=64, seed=5, num_train=6, num_val=2, data_dir=tmp_path / "data"
    )
    builder.download_and_prepare(
        download_dir=tmp_path / "downloads",
        download_config=tfds.download.DownloadConfig(try_download_gcs=False),
    )
    assert builder.info.splits["train"].num_examples == 6
    assert builder.info.splits["val"].num_examples == 2
    reopened = tfds.builder_from_directory(str(builder.data_dir))
    label_set = LabelSet.from_metadata(reopened.info.metadata)
    assert label_set == builder.label_set
    assert label_set.class_names == landscapes.CLASS_NAMES

    first = {"train": 0, "val": FIRST_VAL_INDEX}
    for split, count in builder.num_examples.items():
        indices = set()
        for record in tfds.as_numpy(reopened.as_dataset(split=split)):
            text, time_of_day = record["name"].decode().split("_")
            indices.add(int(text))
            expected = landscapes.render(5, int(text), 64, 64)
            assert time_of_day == expected.time_of_day
            np.testing.assert_array_equal(record["image"], expected.image)
            np.testing.assert_array_equal(record["label"][..., 0], expected.label)
            np.testing.assert_array_equal(record["instance"][..., 0], expected.instance)
        assert indices == set(range(first[split], first[split] + count))


def test_default_is_128_square(tmp_path):
    builder = Landscapes(data_dir=tmp_path)
    assert builder.builder_config.name == "128x128"
    assert builder.builder_config is Landscapes.BUILDER_CONFIGS[1]
    wide = Landscapes(config="256x512", data_dir=tmp_path).builder_config
    assert (wide.height, wide.width) == (256, 512)


def test_data_sets_that_differ_have_names_that_differ():
    given = [
        {"height": 64, "width": 64},
        {"height": 64, "width": 128},
        {"height": 64, "width": 64, "seed": 1},
        {"height": 64, "width": 64, "num_train": 7},
        {"height": 64, "width": 64, "num_val": 7},
    ]
    assert len({LandscapesConfig(**arguments).name for arguments in given}) == len(given)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"height": 63}, "63"),
        ({"height": 128, "width": 200}, "200"),
        ({"seed": -1}, "-1"),
        ({"num_train": 0}, "num_train"),
        ({"num_train": FIRST_VAL_INDEX + 1}, "num_train"),
        ({"num_val": 0}, "num_val"),
    ],
)
def test_bad_arguments_are_one_line_errors(tmp_path, arguments, named):
    with pytest.raises(DataError, match=named) as error:
        Landscapes(data_dir=tmp_path, **arguments)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
