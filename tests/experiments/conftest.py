"""A tiny paired_folder data set, and a tiny model trained on it."""

import numpy as np
import pytest
from PIL import Image
from tiny_experiment import get_config

from experiments.commands.train import train
from pipelines.prepare.prepare import prepare

NUM_CLASSES = 4


@pytest.fixture(scope="session")
def source_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("source")
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
    return root


@pytest.fixture(scope="session")
def data_dir(source_dir, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    prepare("paired_folder", source_dir=source_dir, data_dir=data_dir, num_classes=NUM_CLASSES)
    return data_dir


@pytest.fixture(scope="session")
def workdir(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    assert train(get_config(), data_dir=data_dir, workdir=workdir, strategy="one") == 4
    return workdir
