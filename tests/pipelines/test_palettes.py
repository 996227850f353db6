import re

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pipelines.doctor.doctor import diagnose
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import label_set, open_dataset
from pipelines.schema import DataError
from pipelines.sources import label_sets, palettes
from pipelines.sources.palettes import load_palette

FILE = """\
# id red green blue name
0 10 20 30 sky
1 40 50 60 tall grass   # with a comment
1 41 51 61
2 70 80 90 sea

unknown 0 0 0
unknown 255 255 255
"""


@pytest.fixture
def palette_file(tmp_path):
    path = tmp_path / "palette.txt"
    path.write_text(FILE)
    return path


def raises(*parts):
    """One line that holds all of the parts, in this order."""
    return pytest.raises(DataError, match=r"\A[^\n]*" + r"[^\n]*".join(map(re.escape, parts)))


def test_a_file(palette_file):
    palette = load_palette(palette_file)
    assert (palette.num_classes, palette.has_unknown) == (3, True)
    assert palette.class_names == ("sky", "tall grass", "sea")
    colors = np.array(
        [[[10, 20, 30], [41, 51, 61], [70, 80, 90], [0, 0, 0], [255, 255, 255], [70, 80, 91]]],
        np.uint8,
    )
    np.testing.assert_array_equal(palette.to_ids(colors), [[0, 1, 2, 3, 3, -1]])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0 1 2", "line 1 is '0 1 2'; write one line per colour: ID RED GREEN BLUE"),
        ("\n0 1 2 256", "line 2 is '0 1 2 256'"),
        ("void 1 2 3", "line 1 is 'void 1 2 3'"),
        ("-1 1 2 3", "line 1 is '-1 1 2 3'"),
        ("0 1 2 3\n1 1 2 3", "line 2 gives colour (1, 2, 3) again, which line 1 has"),
        ("0 1 2 3\n2 1 2 4", "no colour for id 1, though ids go up to 2"),
        ("# nothing", "no colours in it"),
    ],
)
def test_bad_files(palette_file, content, said):
    palette_file.write_text(content)
    with raises(f"{palette_file}: {said}"):
        load_palette(palette_file)


def test_no_such_palette():
    with raises("palette: mars is neither one of ade20k, cityscapes, coco_stuff, facades, voc nor"):
        load_palette("mars")


@pytest.mark.parametrize("name", palettes.PALETTES)
def test_named_palettes_give_the_ids_back(name):
    palette = load_palette(name)
    expected = getattr(label_sets, name.upper())
    assert palette.num_classes == expected.num_classes
    colors = np.asarray(expected.palette, np.uint8)[None]
    ids = palette.to_ids(colors)[0]
    # Of ids that share a colour, the lowest is taken.
    for index, found in enumerate(ids):
        assert expected.palette[found] == expected.palette[index]
        assert found == expected.palette.index(expected.palette[index])
    assert len(set(expected.palette)) == len(palette.colors)
    assert bool(palette.shared) == (name in ("ade20k", "cityscapes"))


def test_known_colours():
    def color(label_set, name):
        return label_set.palette[label_set.class_names.index(name)]

    assert color(label_sets.CITYSCAPES, "road") == (128, 64, 128)
    assert color(label_sets.CITYSCAPES, "bicycle") == (119, 11, 32)
    assert color(label_sets.ADE20K, "sky") == (6, 230, 230)
    assert color(label_sets.ADE20K, "flag") == (92, 0, 255)
    assert color(label_sets.VOC, "aeroplane") == (128, 0, 0)
    assert color(label_sets.VOC, "tv monitor") == (0, 64, 128)
    assert color(label_sets.FACADES, "window") == (0, 85, 255)
    assert label_sets.COCO_STUFF.class_names[90:92] == ("hair brush", "banner")


def test_all_24_bit_colours_against_a_dictionary():
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (300, 3))
    entries = {tuple(color): index for index, color in enumerate(colors.tolist())}
    palette = palettes.Palette(
        "random", tuple(entries), tuple(entries.values()), 300, (), has_unknown=False
    )
    image = rng.permutation(np.concatenate([colors, rng.integers(0, 256, (300, 3))]))
    expected = [entries.get(tuple(color), -1) for color in image.tolist()]
    np.testing.assert_array_equal(palette.to_ids(image[None].astype(np.uint8))[0], expected)


COLORS = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [0, 0, 0]], np.uint8)


@pytest.fixture
def source(tmp_path):
    for kind in ("img", "label"):
        (tmp_path / "source" / f"train_{kind}").mkdir(parents=True)
    for i in range(3):
        ids = np.random.default_rng(i).integers(0, 4, (6, 8)).astype(np.uint8)
        image = Image.fromarray(COLORS[ids])
        if i == 1:
            # A palette whose indices are not the ids.
            image = Image.fromarray(3 - ids)
            image.putpalette(COLORS[::-1].ravel().tolist())
        if i == 2:
            image = image.convert("RGBA")
        image.save(tmp_path / "source" / "train_label" / f"{i}.png")
        Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(
            tmp_path / "source" / "train_img" / f"{i}.png"
        )
    return tmp_path / "source"


def prepare_source(source, data_dir, **kwargs):
    return prepare("paired_folder", source_dir=source, data_dir=data_dir, **kwargs)


def test_colour_masks_become_ids(source, tmp_path, palette_file):
    summary = prepare_source(source, tmp_path / "data", palette=palette_file)
    assert summary["num_off_palette"] == 0
    builder = open_dataset("paired_folder", tmp_path / "data")
    found = label_set(builder)
    assert found.class_names == ("sky", "tall grass", "sea")
    assert found.palette[0] == (10, 20, 30)
    decoders = {"image": tfds.decode.SkipDecoding()}
    for record in builder.as_dataset(split="train", decoders=decoders).as_numpy_iterator():
        expected = np.random.default_rng(int(record["name"])).integers(0, 4, (6, 8))
        np.testing.assert_array_equal(record["label"][..., 0], expected)


def test_colours_off_the_palette(source, tmp_path, palette_file):
    path = source / "train_label" / "0.png"
    colors = np.array(Image.open(path))
    colors[0, :3] = (11, 20, 30)
    colors[1, 0] = (1, 2, 3)
    Image.fromarray(colors).save(path)
    with raises(
        f"{path}: 4 of 48 pixels have colours that palette", "(11,20,30), (1,2,3); correct"
    ):
        prepare_source(source, tmp_path / "data", palette=palette_file)
    assert not (tmp_path / "data").exists()
    summary = prepare_source(
        source, tmp_path / "unknown", palette=palette_file, off_palette="unknown"
    )
    assert summary["num_off_palette"] == 4
    summary = prepare_source(source, tmp_path / "skip", palette=palette_file, on_bad_file="skip")
    assert summary["skipped"] == {"off palette": 1}
    diagnosis = diagnose("paired_folder", source, palette=palette_file)
    assert [finding.kind for finding in diagnosis.findings] == ["off palette"]


@pytest.mark.parametrize(
    ("mode", "color", "said"),
    [
        ("L", 1, "48 of 48 pixels have colours that palette"),
        ("L", 1, "(1,1,1); leave --palette out if these greys are ids"),
        ("I;16", 1, "PNG in mode I;16 where the colours of a palette"),
        ("RGBA", (70, 130, 180, 254), "48 of 48 pixels are transparent"),
        ("RGBA", (70, 130, 180, 254), "pass --off_palette=unknown"),
    ],
)
def test_masks_that_hold_no_colours(source, tmp_path, palette_file, mode, color, said):
    path = source / "train_label" / "0.png"
    Image.new(mode, (8, 6), color).save(path)
    with raises(f"{path}: ", said):
        prepare_source(source, tmp_path / "data", palette=palette_file)


def test_classes_that_do_not_fit_the_palette(source, tmp_path, palette_file):
    with raises("palette: ", "has 3 classes, but class_names has 2 names; make them agree"):
        prepare_source(source, tmp_path / "data", palette=palette_file, class_names=["a", "b"])
    with raises("num_classes: 9 received, but palette", "has 3 names"):
        prepare_source(source, tmp_path / "data", palette=palette_file, num_classes=9)
