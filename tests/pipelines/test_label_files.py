"""Label map files become the ids of training, whoever reads them."""

import numpy as np
import pytest
from PIL import Image

from pipelines.schema import BadFileError, LabelFiles, LabelSet, default_palette
from pipelines.sources import label_sets
from pipelines.sources.label_files import describe_files, read_label
from pipelines.sources.palettes import load_palette

PLAIN = LabelSet(("a", "b", "c"), default_palette(3, True), True, False)


def save(path, values, mode=None):
    Image.fromarray(np.asarray(values, np.uint8), mode).save(path)
    return path


def test_ids_as_they_are(tmp_path):
    path = save(tmp_path / "x.png", [[0, 2, 255]])
    label, off_palette = read_label(path, PLAIN)
    assert label.tolist() == [[0, 2, 3]]
    assert off_palette == 0


def test_a_table_of_ids(tmp_path):
    files = describe_files(None, id_table=(3, 0, 1, 2))
    path = save(tmp_path / "x.png", [[0, 1, 3]])
    assert read_label(path, PLAIN._replace(files=files))[0].tolist() == [[3, 0, 2]]
    save(path, [[4]])
    with pytest.raises(BadFileError, match="label ids 4"):
        read_label(path, PLAIN._replace(files=files))


def test_colours(tmp_path):
    text = "0 10 20 30\n1 1 2 3\n2 200 0 0\nunknown 0 0 0\n"
    (tmp_path / "palette.txt").write_text(text)
    files = describe_files(load_palette(tmp_path / "palette.txt"))
    assert files.palette == "palette.txt"
    path = save(tmp_path / "x.png", [[[200, 0, 0], [0, 0, 0], [10, 20, 30]]])
    assert read_label(path, PLAIN._replace(files=files))[0].tolist() == [[2, 3, 0]]
    save(path, [[[9, 9, 9]]])
    with pytest.raises(BadFileError, match=r"palette palette\.txt does not hold: \(9,9,9\)"):
        read_label(path, PLAIN._replace(files=files))
    label, off_palette = read_label(
        path, PLAIN._replace(files=files._replace(off_palette_unknown=True))
    )
    assert (label.tolist(), off_palette) == ([[3]], 1)


@pytest.mark.parametrize(
    "files",
    [
        LabelFiles(),
        describe_files(None, id_table=(-1, 0, 1), palette_indices=True),
        describe_files(load_palette("ade20k"), True),
    ],
)
def test_metadata_keep_it(files):
    label_set = label_sets.ADE20K._replace(files=files)
    assert LabelSet.from_metadata(label_set.to_metadata()) == label_set


def test_older_metadata_read_ids_as_they_are():
    metadata = PLAIN.to_metadata()
    del metadata["files"]
    assert LabelSet.from_metadata(metadata) == PLAIN
