"""Styles that `generate` makes pictures in: of photographs, of single classes, drawn anew."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments.command_line.main import main
from experiments.commands import generate as module
from experiments.commands.generate import generate
from experiments.setup.config import Config, ConfigError
from experiments.setup.picture_styles import StyleSource, find_class, styles_of, wanted_styles
from experiments.setup.sizing import sizing_options
from pipelines.schema import BadFileError, LabelSet
from spade_tf.networks.styles import seeded_styles

SIZE = 32
# One number for the picture, and two for each of four ids.
LENGTH = 1 + 4 * 2
SKY, SEA, LAND = (slice(1 + 2 * i, 3 + 2 * i) for i in range(3))


class Styled(SimpleNamespace):
    """A model of styles of classes. The style of a class is the mean of its red, and its share."""

    labels = LabelSet(("sky", "Sea", "land"), ((0, 0, 0),) * 4, True, False)
    use_instance = use_canvas = False
    data_dir = None
    image_size = (SIZE, SIZE)

    def __init__(self, **changes):
        config = Config()
        config.data.preprocess = "fixed"
        config.data.height = config.data.width = SIZE
        config.data.load_height = config.data.load_width = SIZE
        facts = {"z_dim": LENGTH, "class_style_dim": 2, "has_encoder": True} | changes
        super().__init__(sizing=sizing_options(config), asked=[], **facts)

    def generate(self, maps, z):
        self.asked.append(z.copy())
        pictures = np.zeros((*z.shape[:2], SIZE, SIZE, 3), np.uint8)
        return pictures + np.clip(100 + 50 * z[..., 1], 0, 255).astype(np.uint8)[..., *[None] * 3]

    def encode(self, image, label=None):
        red = image[0, ..., 0]
        style = np.zeros((1, LENGTH), np.float32)
        style[0, 0] = red.mean()
        for index in range(4):
            pixels = red[label[0] == index] if label is not None else red.ravel()
            if pixels.size:
                style[0, 1 + 2 * index :][:2] = pixels.mean(), pixels.size / red.size
        return style


def save(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Files of one red each, a label map, and a map to make pictures of, where they are named."""
    monkeypatch.chdir(tmp_path)
    for name, red in (("day.png", 255), ("evening.png", 51)):
        save(tmp_path / name, np.full((SIZE, SIZE, 3), (red, 0, 0)))
    halves = np.zeros((SIZE, SIZE, 3))
    halves[:16, :, 0] = 255
    save(tmp_path / "halves.png", halves)
    label = np.ones((SIZE, SIZE))
    label[:16] = 0
    save(tmp_path / "halves_label.png", label)
    (tmp_path / "maps").mkdir()
    save(tmp_path / "maps" / "a.png", label)
    return tmp_path


def styles(model, images=(), labels=(), resample=None, seed=None, num_samples=1):
    source = StyleSource(images, labels, resample)
    return styles_of(model, wanted_styles(model, source, seed, num_samples))


def test_classes_have_names_and_ids():
    model = Styled()
    found = [find_class(model, name) for name in ("sky", "Sea", "sea", "2", "unknown", "3")]
    assert found == [0, 1, 1, 2, 3, 3]
    assert [find_class(model, name) for name in ("4", "-1", "s", "", "ski")] == [None] * 5
    model.labels = LabelSet(("1", "b"), ((0, 0, 0),) * 2, False, False)
    # A name before an id.
    assert find_class(model, "1") == 0


def test_one_class_takes_a_photograph_s_style_and_the_rest_is_drawn(photographs):
    made = styles(Styled(), ["sea:day.png"], seed=3, num_samples=2)
    expected = seeded_styles(np.array([3, 4], np.int64), LENGTH).numpy()
    # All of the photograph counts: red 1, a share of 1.
    expected[:, SEA] = 1.0
    np.testing.assert_array_equal(made, expected)


def test_later_photographs_win(photographs):
    made = styles(Styled(), ["day.png", "0:evening.png", "Sea:evening.png", "sky:day.png"])
    expected = np.ones((1, LENGTH), np.float32)
    # 51 / 127.5 - 1.
    expected[0, SEA] = -0.6, 1.0
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-7)


def test_a_label_map_tells_whose_pixels_are_whose(photographs):
    whole, labels = ["halves.png"], ["halves_label.png"]
    made = styles(Styled(), whole, labels)[0]
    np.testing.assert_array_equal(made, [0, 1, 0.5, -1, 0.5, 0, 0, 0, 0])
    one = styles(Styled(), ["sea:halves.png"], labels)[0]
    np.testing.assert_array_equal(one[SEA], [-1, 0.5])
    np.testing.assert_array_equal(styles(Styled(), ["sea:halves.png"])[0][SEA], [0, 1])
    with pytest.raises(BadFileError, match=r"halves_label\.png: no pixel of class land"):
        styles(Styled(), ["land:halves.png"], labels)
    small = save(photographs / "small.png", np.zeros((8, 8)))
    with pytest.raises(BadFileError, match=r"small\.png: 8x8 pixels .* scale one"):
        styles(Styled(), whole, [str(small)])


def test_paths_with_colons(photographs):
    for name in ("sky:evening.png", "a:b.png"):
        save(photographs / name, np.full((SIZE, SIZE, 3), (255, 0, 0)))
    # The file of this name, not the sky of the other.
    assert styles(Styled(), ["sky:evening.png"])[0, 0] == 1.0
    assert styles(Styled(), ["a:b.png"])[0, 0] == 1.0
    drawn = seeded_styles(np.zeros(1, np.int64), LENGTH).numpy()[0]
    made = styles(Styled(), ["sea:a:b.png"])[0]
    assert made[0] == drawn[0]
    np.testing.assert_array_equal(made[SEA], [1.0, 1.0])


@pytest.mark.parametrize("images", [[], ["day.png"], ["land:day.png"]])
def test_one_class_is_drawn_anew_and_nothing_else(photographs, images):
    made = styles(Styled(), images, resample="sky", seed=5, num_samples=3)
    drawn = seeded_styles(np.arange(5, 8, dtype=np.int64), LENGTH).numpy()
    np.testing.assert_array_equal(made[:, SKY], drawn[:, SKY])
    rest = np.delete(made, [1, 2], 1)
    np.testing.assert_array_equal(rest, rest[:1].repeat(3, 0))
    if not images:
        np.testing.assert_array_equal(made[0], drawn[0])


@pytest.fixture
def styled(monkeypatch, photographs):
    def use(**changes):
        model = Styled(**changes)
        monkeypatch.setattr(module, "find_model", lambda *_: model)
        return model

    return use


def test_the_command(styled, photographs, capsys):
    model = styled()
    flags = ["--style_image=day.png", "--style_image=sea:evening.png", "--labels=maps"]
    assert main(["generate", "--model=m", *flags, "--output_dir=out"]) == 0
    np.testing.assert_allclose(model.asked[0][0, 0, SEA], [-0.6, 1.0], atol=1e-7)
    assert (photographs / "out" / "a.png").exists()
    flags = ["--resample_class=sky", "--num_samples=2", "--labels=maps", "--seed=1"]
    assert main(["generate", "--model=m", *flags, "--output_dir=out"]) == 0
    assert model.asked[1].shape == (1, 2, LENGTH)
    capsys.readouterr()


def test_a_class_that_some_maps_have_is_told(styled, photographs, capsys):
    styled()
    save(photographs / "maps" / "b.png", np.ones((SIZE, SIZE)))
    generate("m", labels="maps", output_dir="out", styles=StyleSource(["sky:day.png"]))
    said = "--style_image=sky:day.png: 1 of 2 label maps have pixels of class sky"
    assert said in capsys.readouterr().err
    generate("m", labels="maps", output_dir="out", styles=StyleSource(["sea:day.png"]))
    assert "label maps have" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": ["sk:day.png"]}, "--style_image=sk:day.png: no class of this model; its "),
        ({"images": ["no.png"]}, "--style_image=no.png: no such file; give a photograph, or"),
        ({"images": ["sky:no.png"]}, "--style_image=sky:no.png: no such file"),
        ({"resample_class": "lake"}, "classes are sky, Sea, land, unknown$"),
        ({"resample_class": "land"}, "=land: the label map has no pixel of class land; give"),
        ({"images": ["land:day.png"]}, "the label map has no pixel of class land"),
        ({"resample_class": "sky", "num_samples": 1}, "give --num_samples=2 or more"),
        (
            {"resample_class": "sky", "images": ["SKY:day.png"]},
            "the style of --style_image=SKY:day.png; give one of the two",
        ),
        ({"images": ["day.png"]}, "--num_samples=2: the photograph of --style_image has one"),
        ({"images": ["day.png"], "num_samples": 1, "seed": 2}, "--seed=2: no effect with"),
        ({"images": ["sea:day.png"], "labels": ["no.png"]}, "--style_labels=no.png: no"),
        (
            {"images": ["sea:day.png"] * 2, "labels": ["halves_label.png"]},
            "1 label map for 2 photographs of --style_image; give one for each",
        ),
    ],
)
def test_what_cannot_be_used(styled, photographs, arguments, message):
    model = styled()
    names = StyleSource._fields
    source = StyleSource(**{name: arguments[name] for name in names if name in arguments})
    more = {"num_samples": 2} | {k: v for k, v in arguments.items() if k not in names}
    with pytest.raises(ConfigError, match=message):
        generate("m", labels="maps", output_dir="out", styles=source, **more)
    assert model.asked == []
    assert not (photographs / "out").exists()


@pytest.mark.parametrize(
    ("flag", "changes", "message"),
    [
        ("--resample_class=sky", {"class_style_dim": 0}, "this model has no styles of classes; le"),
        ("--style_image=sky:day.png", {"class_style_dim": 0}, "give --style_image=day.png alone"),
        ("--style_image=sky:day.png", {"has_encoder": False}, "no encoder; leave it out"),
        ("--style_labels=halves_label.png", {}, "no effect without --style_image; leave it out"),
    ],
)
def test_models_without_such_styles(styled, capsys, flag, changes, message):
    styled(**changes)
    flags = [flag, "--num_samples=2", "--labels=maps", "--output_dir=out"]
    assert main(["generate", "--model=m", *flags]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert flag in said
    assert message in said


def test_an_unreadable_photograph_is_named(styled, photographs, capsys):
    styled()
    (photographs / "bad.png").write_bytes(b"no picture")
    flags = ["--style_image=sky:bad.png", "--labels=maps", "--output_dir=out"]
    assert main(["generate", "--model=m", *flags]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert "bad.png" in said
