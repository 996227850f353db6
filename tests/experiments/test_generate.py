"""Pictures of any number of label maps: batch by batch, in flat memory."""

import json
import shutil
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments.command_line.main import main
from experiments.commands import generate as module
from experiments.commands.generate import generate
from experiments.setup import layouts
from experiments.setup.config import Config, ConfigError
from experiments.setup.sizing import sizing_options
from pipelines.schema import BadFileError, LabelSet

MAPS = 41
SIZE = 32


class Painter(SimpleNamespace):
    """A model whose pictures are as bright as the class, plus ten times the style."""

    labels = LabelSet(("a", "b"), ((0, 0, 0), (255, 255, 255)), False, False)
    use_instance = use_canvas = has_encoder = False
    class_style_dim = 0

    def __init__(self, z_dim=1):
        config = Config()
        config.data.preprocess = "fixed"
        config.data.height = config.data.width = SIZE
        config.data.load_height = config.data.load_width = SIZE
        super().__init__(sizing=sizing_options(config), z_dim=z_dim, made=[], alive=[])

    def generate(self, maps, z):
        label = maps["label"]
        styles = np.zeros([len(label), 1, 1]) if z is None else z
        assert len(styles) == len(label)
        pictures = np.clip(100 * label[:, None] + 50 + 10 * styles[..., :1, None], 0, 255)
        pictures = np.repeat(pictures[..., None], 3, -1).astype(np.uint8)
        self.alive = [each for each in self.alive if each() is not None]
        self.made.append((pictures.shape[:2], len(self.alive)))
        self.alive.append(weakref.ref(pictures))
        return pictures


@pytest.fixture
def painter(monkeypatch):
    model = Painter()
    monkeypatch.setattr(module, "find_model", lambda *_: model)
    return model


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(MAPS):
        label = random.integers(0, 2, (SIZE, SIZE)).astype(np.uint8)
        Image.fromarray(label).save(folder / f"{index:02d}.png")
    return folder


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_maps_are_read_when_it_is_their_turn(painter, many, tmp_path, monkeypatch):
    """Of 41 maps, no more than a batch and the next one are in memory."""
    read_so_far, ahead = [], []
    read_map, whole = layouts.read_map, painter.generate

    def counted(model, path):
        read_so_far.append(path)
        return read_map(model, path)

    def noted(maps, z):
        # All have been read once, to be checked.
        done = sum(shape[0] for shape, _ in painter.made)
        ahead.append(len(read_so_far) - MAPS - done)
        return whole(maps, z)

    monkeypatch.setattr(layouts, "read_map", counted)
    painter.generate = noted
    paths = generate("m", labels=many, output_dir=tmp_path / "out", batch_size=4)
    assert [shape for shape, _ in painter.made] == [(4, 1)] * 10 + [(1, 1)]
    assert max(ahead) <= 5
    # The one before has gone when the second next is made.
    assert max(alive for _, alive in painter.made) <= 1
    assert len(paths) == MAPS
    labels = read(many / "17.png").astype(int)
    assert np.ptp(read(tmp_path / "out" / "17.png")[..., 0].astype(int) - 100 * labels) == 0


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "shapes"),
    [(3, 8, {(2, 3), (1, 3)}), (5, 2, {(1, 2), (1, 1)}), (1, 1, {(1, 1)})],
)
def test_a_picture_is_the_same_in_every_batch(
    painter, many, tmp_path, num_samples, batch_size, shapes
):
    options = {"labels": many, "num_samples": num_samples, "seed": 4, "max_labels": 5}
    paths = generate("m", output_dir=tmp_path / "a", batch_size=batch_size, **options)
    assert {shape for shape, _ in painter.made} == shapes
    assert [path.name for path in paths[:num_samples]] == (
        [f"00_{k}.png" for k in range(num_samples)] if num_samples > 1 else ["00.png"]
    )
    for path in generate("m", output_dir=tmp_path / "b", batch_size=100, **options):
        np.testing.assert_array_equal(read(path), read(tmp_path / "a" / path.name))


def test_the_overview_has_the_first_sixteen(painter, many, tmp_path, capsys):
    generate("m", labels=many, output_dir=tmp_path / "out", batch_size=5)
    overview = read(tmp_path / "out" / "overview.png")
    # Two maps beside their pictures in each of eight rows, with gaps of 2 pixels.
    assert overview.shape == (8 * (SIZE + 2) - 2, 4 * (SIZE + 2) - 2, 3)
    fifteenth = overview[-SIZE:, -SIZE:]
    np.testing.assert_array_equal(fifteenth, read(tmp_path / "out" / "15.png"))
    assert f"41 pictures of {SIZE}x{SIZE} in" in capsys.readouterr().err


def test_maps_of_several_sizes_are_not_mixed(painter, many, tmp_path, capsys):
    """A model that makes any size gets each map in its own."""
    painter.sizing = {**painter.sizing, "preprocess": "none", "one_size": False}
    Image.new("L", (2 * SIZE, SIZE)).save(many / "02b.png")
    generate("m", labels=many, output_dir=tmp_path / "out", max_labels=6, batch_size=4)
    assert [shape for shape, _ in painter.made] == [(3, 1), (1, 1), (2, 1)]
    assert read(tmp_path / "out" / "02b.png").shape == (SIZE, 2 * SIZE, 3)
    assert f"6 pictures of {SIZE}x{SIZE} and other sizes in" in capsys.readouterr().err


def test_the_size_of_the_pictures_is_said_where_maps_have_another(painter, many, tmp_path, capsys):
    Image.new("L", (4 * SIZE, 3 * SIZE)).save(many / "00.png")
    generate("m", labels=many, output_dir=tmp_path / "out", max_labels=1)
    assert read(tmp_path / "out" / "00.png").shape == (SIZE, SIZE, 3)
    assert f"1 picture of {SIZE}x{SIZE} in" in capsys.readouterr().err


def test_a_bad_map_is_found_before_there_are_pictures(painter, many, tmp_path):
    Image.new("L", (SIZE, SIZE), 9).save(many / "40.png")
    with pytest.raises(BadFileError, match=r"40\.png: .*9"):
        generate("m", labels=many, output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert painter.made == []


def test_a_batch_of_none_is_refused(painter, many, tmp_path):
    with pytest.raises(ConfigError, match="--batch_size=0: give 1 or more"):
        generate("m", labels=many, output_dir=tmp_path / "out", batch_size=0)


def test_nan_is_no_picture(workdir, source_dir, tmp_path, capsys, monkeypatch):
    """The model is named, and the first map; the exit code is 2."""
    from experiments.setup import predictors

    class Broken(predictors.WorkdirModel):
        _networks = (lambda inputs, z: _nan_in_the_second(inputs), True, None)

    monkeypatch.setattr(predictors, "WorkdirModel", Broken)
    arguments = [f"--model={workdir}", f"--labels={source_dir / 'val_label'}"]
    code = main(["generate", *arguments, f"--output_dir={tmp_path / 'out'}"])
    error = capsys.readouterr().err
    assert code == 2
    assert f"--model={workdir}: the model makes NaN or infinity" in error
    assert "first for the map 1)" in error
    assert not (tmp_path / "out").exists()


def _nan_in_the_second(inputs):
    import tensorflow as tf

    shape = inputs["label"].shape
    return tf.concat([tf.zeros([1, *shape[1:], 3]), tf.fill([1, *shape[1:], 3], np.nan)], 0)


def test_a_data_set_of_other_classes_is_refused(workdir, data_dir, tmp_path):
    """The folder of a data set of the same name that holds other classes."""
    moved = shutil.copytree(data_dir, tmp_path / "data")
    (metadata,) = moved.rglob("metadata.json")
    content = json.loads(metadata.read_text())
    content["class_names"][2] = "sea"
    metadata.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"has 'sea' as class 2, and the model"):
        generate(workdir, data_dir=str(moved), output_dir=tmp_path / "out")
