"""A tiny paired_folder data set, the workdir of a tiny model, and its export."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cheap_judges import mean_colours
from made_once import made_once
from PIL import Image
from served_networks import lively
from small_networks import SmallDiscriminator, SmallEncoder, SmallGenerator
from tiny_experiment import get_config

from experiments.commands.export.export import export
from experiments.setup.assemble import make_gaugan
from experiments.setup.predictors import load_model
from experiments.setup.trained_model import load_workdir
from experiments.setup.workdir import follow_instances, write_workdir
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import label_set, open_dataset
from spade_tf.training.checkpoints import Checkpoints

NUM_CLASSES = 4


@pytest.fixture(scope="session")
def source_dir(tmp_path_factory):
    return made_once(tmp_path_factory, "source", write_source)


def write_source(root):
    random = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 2)):
        for kind in ("img", "label", "inst"):
            (root / f"{split}_{kind}").mkdir()
        for index in range(count):
            label = random.integers(0, NUM_CLASSES, (9, 9)).repeat(8, 0).repeat(8, 1)
            label[:8] = 255
            colors = random.integers(0, 255, (256, 3))
            name = f"{index}.png"
            Image.fromarray(colors[label].astype(np.uint8)).save(root / f"{split}_img" / name)
            Image.fromarray(label.astype(np.uint8)).save(root / f"{split}_label" / name)
            Image.fromarray(label.astype(np.uint16) * 7).save(root / f"{split}_inst" / name)


@pytest.fixture(scope="session")
def data_dir(source_dir, tmp_path_factory):
    def make(folder):
        prepare("paired_folder", source_dir=source_dir, data_dir=folder, num_classes=NUM_CLASSES)

    return made_once(tmp_path_factory, "data", make)


@pytest.fixture(scope="session")
def workdir(data_dir, tmp_path_factory):
    """What a training of four steps leaves for other commands; tests only read it.

    The steps are not taken: to trace them takes a minute. The weights are random, and livelier
    than four steps make them. The conditioning is the one that is traced fastest.
    """

    def make(folder):
        labels = label_set(open_dataset("paired_folder", data_dir))
        config = follow_instances(get_config(), labels.has_instance)
        config.generator.conditioning = "clade"
        model = make_gaugan(config, labels)
        for generator in (model.generator, model.average_generator):
            lively(generator)
        write_workdir(config, folder / "tiny", labels.to_metadata(), str(data_dir))
        Checkpoints(model, folder / "tiny" / "checkpoints").save(4)

    return made_once(tmp_path_factory, "runs", make) / "tiny"


@pytest.fixture(scope="session")
def exported(workdir, tmp_path_factory):
    """The SavedModel of `workdir`; tests only read it."""

    def make(folder):
        export(workdir, output_dir=folder / "tiny")

    return made_once(tmp_path_factory, "saved_models", make) / "tiny" / "1"


@pytest.fixture(scope="module")
def loads_once():
    """Loads each model once for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.setup.predictors.load_model", by_path(load_model))
        patch.setattr("experiments.setup.trained_model.load_workdir", by_path(load_workdir))
        yield


def by_path(load):
    """A function that loads each path once, be it a string or a `Path`."""
    loaded = cache(load)
    return lambda path: loaded(Path(path))


@pytest.fixture
def cheap(monkeypatch):
    """Feature networks that cost nothing."""
    monkeypatch.setattr("experiments.commands.evaluate.judges.load_feature_network", mean_colours)


@pytest.fixture
def small(monkeypatch, eagerly):
    """The tiny experiment, with the small networks of the tests in place of the real ones.

    Their steps are taken eagerly: a few of them take less time than the graph of one.
    """

    def generator(config, labels, name="generator", form="auto"):
        return SmallGenerator(num_labels=labels.num_ids, name=name)

    def discriminator(config, labels):
        return SmallDiscriminator(labels.num_ids, name="discriminator")

    def encoder(config, labels):
        return SmallEncoder(name="encoder")

    for module in ("networks", "assemble", "trained_model"):
        for make in (generator, discriminator, encoder):
            name = f"experiments.setup.{module}.make_{make.__name__}"
            monkeypatch.setattr(name, make, raising=False)
    config = get_config()
    config.data.use_instance = False
    # Scaling takes longer to trace than these networks.
    config.data.preprocess = "crop"
    config.data.height = config.data.width = 32
    # Its batch statistics would want another input pipeline.
    config.train.average_decay = 0.0
    return config
