"""The main job on real photographs, where they lie beside the checkout."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_experiment import get_config

from experiments.commands.export.export import export
from experiments.commands.train import train
from experiments.setup.assemble import make_batches
from experiments.setup.trained_model import load_workdir
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import label_set, open_dataset

SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "coco_stuff_sample"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SAMPLE.exists(), reason=f"needs the COCO-Stuff sample in {SAMPLE}"),
]

SERVE = """
import sys
import numpy as np
import tensorflow as tf

signature = tf.saved_model.load(sys.argv[1]).signatures["generate"]
inputs = dict(np.load(sys.argv[2]))
image = signature(**{name: tf.constant(value) for name, value in inputs.items()})["image"]
assert not {"spade_tf", "pipelines", "experiments"} & set(sys.modules)
np.save(sys.argv[3], image.numpy())
"""


def test_export_equals_keras_on_all_pictures(tmp_path):
    prepare("paired_folder", source_dir=SAMPLE, data_dir=tmp_path / "data", num_classes=182)
    builder = open_dataset("paired_folder", tmp_path / "data")
    labels = label_set(builder)
    assert (labels.num_ids, labels.has_instance) == (183, True)
    config = get_config()
    config.data.val_split = ""
    config.train.steps = 2
    workdir = tmp_path / "run"
    train(config, data_dir=tmp_path / "data", workdir=workdir, strategy="one")

    batches = make_batches(config, builder, "train", training=False, batch_size=13)
    batch = next(iter(batches))
    z = np.random.default_rng(0).standard_normal((13, 8)).astype(np.float32)
    generator = load_workdir(workdir).generator
    expected = generator({"label": batch["label"], "instance": batch["instance"]}, z=z).numpy()

    version = export(workdir, output_dir=tmp_path / "exported")
    inputs = {"label": batch["label"].numpy(), "instance": batch["instance"].numpy(), "z": z}
    np.savez(tmp_path / "inputs.npz", **inputs)
    files = [str(version), str(tmp_path / "inputs.npz"), str(tmp_path / "image.npy")]
    subprocess.run([sys.executable, "-c", SERVE, *files], check=True, cwd=tmp_path)
    difference = np.abs(np.load(tmp_path / "image.npy") - expected).max()
    print(f"\nSavedModel - Keras, 13 pictures: {difference:.1e}")
    # The same operations on the same weights: what is left is the order of sums.
    assert difference <= 1e-5
