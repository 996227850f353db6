"""Maps and photographs from files, as training saw those of its data set."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments.setup.config import Config, ConfigError
from experiments.setup.layouts import dataset_layouts, folder_layouts
from experiments.setup.photographs import read_photograph
from experiments.setup.sizing import sizing_options
from pipelines.schema import BadFileError, LabelSet
from pipelines.sources.builders.ade20k import ADE20K
from pipelines.sources.builders.cityscapes import Cityscapes
from pipelines.sources.builders.facades import Facades
from pipelines.sources.label_files import describe_files
from pipelines.sources.palettes import load_palette


def make_model(labels, preprocess="fixed", size=(64, 64), use_instance=False, **generator):
    """A model for `generate`, without networks."""
    config = Config()
    config.data.preprocess = preprocess
    config.data.load_height, config.data.load_width = config.data.height, config.data.width = size
    for name, value in generator.items():
        setattr(config.generator, name, value)
    return SimpleNamespace(
        labels=labels,
        sizing=sizing_options(config),
        use_instance=use_instance,
        use_canvas=False,
        data_dir="gone",
    )


@pytest.fixture
def labels_dir(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    return folder


def write(folder, pixels, name="x.png"):
    Image.fromarray(pixels).save(folder / name)
    return folder


def only(model, folder, instances=None):
    count, (layout,) = folder_layouts(model, folder, instances, None)
    assert count == 1
    return layout.maps


def ade20k(root):
    for kind in ("images", "annotations"):
        (root / kind / "training").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(root / "images" / "training" / "x.jpg")
    values = np.tile(np.array([0, 3, 5, 150], np.uint8).repeat(16), (64, 1))
    write(root / "annotations" / "training", values)
    return ADE20K(source_dir=root), root / "annotations" / "training", [150, 2, 4, 149]


def facades(root):
    (root / "base").mkdir()
    Image.new("RGB", (64, 64)).save(root / "base" / "x.jpg")
    values = np.tile(np.array([1, 2, 12, 7], np.uint8).repeat(16), (64, 1))
    mask = Image.fromarray(values)
    mask.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    mask.save(root / "base" / "x.png")
    return Facades(source_dir=root), root / "base", [0, 1, 11, 6]


def cityscapes(root):
    places = {
        "leftImg8bit/train/a": "x_leftImg8bit.png",
        "gtFine/train/a": "x_gtFine_labelIds.png",
    }
    values = np.tile(np.array([0, 7, 255, 33], np.uint8).repeat(16), (64, 1))
    for place, name in places.items():
        (root / place).mkdir(parents=True)
        write(root / place, values, name)
    write(root / "gtFine/train/a", values.astype(np.uint16), "x_gtFine_instanceIds.png")
    labels = root / "labels"
    labels.mkdir()
    return Cityscapes(source_dir=root), write(labels, values), [0, 7, 34, 33]


@pytest.mark.parametrize("source", [ade20k, facades, cityscapes])
def test_files_of_a_data_set_with_a_table_are_read_as_prepare_reads_them(source, tmp_path):
    builder, folder, expected = source(tmp_path)
    # Through JSON, as in a workdir.
    labels = LabelSet.from_metadata(builder.label_set.to_metadata())
    if source is facades:
        (folder / "x.jpg").unlink()
    assert only(make_model(labels), folder)["label"][0, ::16].tolist() == expected


def test_colour_masks_of_a_palette_are_read_by_it(labels_dir, tmp_path):
    (tmp_path / "p.txt").write_text("0 9 9 9 sky\n1 200 0 0 roof\nunknown 0 0 0\n")
    palette = load_palette(tmp_path / "p.txt")
    labels = LabelSet(("sky", "roof"), ((9, 9, 9), (200, 0, 0), (0, 0, 0)), True, False)
    model = make_model(labels._replace(files=describe_files(palette)))
    colors = np.zeros([64, 64, 3], np.uint8)
    colors[:, 16:] = (200, 0, 0)
    colors[:, 32:] = (9, 9, 9)
    assert only(model, write(labels_dir, colors))["label"][0, ::16].tolist() == [2, 1, 0, 0]
    colors[0, 0] = (1, 2, 3)
    with pytest.raises(BadFileError, match=r"palette p\.txt does not hold: \(1,2,3\)"):
        only(model, write(labels_dir, colors))


TWO = LabelSet(("a", "b"), ((1, 1, 1), (2, 2, 2)), False, False)


def test_oblong_maps_are_not_squeezed(labels_dir):
    # A square of 32 pixels stays a square, because training scaled both sides alike and cropped.
    label = np.zeros([64, 192], np.uint8)
    label[16:48, 80:112] = 1
    write(labels_dir, label)
    made = only(make_model(TWO, "scale_short_side_and_crop"), labels_dir)["label"]
    assert np.argwhere(made).min(0).tolist() == [16, 16]
    assert np.argwhere(made).max(0).tolist() == [47, 47]
    # Starting from the label map, a generator makes any multiple of 32.
    made = only(make_model(TWO, "scale_short_side", (64, 64)), labels_dir)["label"]
    assert made.shape == (64, 192)
    # Starting from a style, it makes one size: the middle again.
    made = only(make_model(TWO, "scale_short_side", z_dim=8), labels_dir)["label"]
    assert made.shape == (64, 64)
    assert made.sum() == 32 * 32
    made = only(make_model(TWO, "scale_short_side", num_upsampling_layers="more"), labels_dir)
    assert made["label"].shape == (64, 192)


def test_instances_follow_their_label_map(labels_dir, tmp_path):
    instances = tmp_path / "instances"
    instances.mkdir()
    label = np.arange(64 * 192, dtype=np.uint16).reshape(64, 192)
    write(labels_dir, (label % 2).astype(np.uint8))
    model = make_model(TWO, "scale_short_side_and_crop", use_instance=True)
    made = only(model, labels_dir, write(instances, label))
    np.testing.assert_array_equal(made["instance"], label[:, 64:128])
    with pytest.raises(BadFileError, match=r"32x32 pixels .* has 192x64"):
        only(model, labels_dir, write(instances, label[:32, :32]))


def test_a_map_smaller_than_the_crop_is_named(labels_dir):
    write(labels_dir, np.zeros([32, 192], np.uint8))
    with pytest.raises(BadFileError, match=r"x\.png: 192x32 pixels .* crops of 64x64"):
        only(make_model(TWO, "crop"), labels_dir)


@pytest.mark.parametrize(
    ("dtype", "channels", "largest"),
    [(np.uint8, 1, 255), (np.uint16, 1, 65535), (np.uint8, 3, 255)],
)
def test_continuous_maps(labels_dir, dtype, channels, largest):
    shape = (64, 64) if channels == 1 else (64, 64, channels)
    values = np.random.default_rng(0).integers(0, largest, shape).astype(dtype)
    model = make_model(LabelSet((), (), False, False, channels))
    made = only(model, write(labels_dir, values))["condition"]
    assert made.shape == (64, 64, channels)
    # The scale that changes nothing: what is left is float32.
    np.testing.assert_allclose(made.reshape(shape), values / largest, atol=1e-6)
    other = make_model(LabelSet((), (), False, False, 4))
    with pytest.raises(BadFileError, match=f"{channels} channels, and this model takes 4"):
        only(other, labels_dir)


def test_photographs_are_turned_and_sized_as_in_training(tmp_path):
    # Stored 64 high and 192 wide, to be seen a quarter turn to the right: 192 high, 64 wide.
    stored = np.zeros([64, 192, 3], np.uint8)
    stored[:, 96:] = 240
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
    model = make_model(TWO, "scale_short_side_and_crop")
    image, none = read_photograph(model, tmp_path / "x.png")
    assert none is None
    assert image.shape == (1, 64, 64, 3)
    # Of the middle of what is seen, the upper half is black and the lower half is white.
    assert image[0, :32].max() == -1.0
    np.testing.assert_allclose(image[0, 32:], 240 / 127.5 - 1, atol=1e-6)


def test_a_data_set_that_is_gone_is_told_by_the_flag():
    with pytest.raises(ConfigError, match=r"--data_dir: .* prepared in gone.* with --data_dir"):
        dataset_layouts(make_model(TWO), None, 1)
