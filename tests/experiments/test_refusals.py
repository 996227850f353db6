"""What flags, folders and JSON tell to be wrong is said before TensorFlow is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from experiments import landscapes
from experiments.setup.config import Config
from experiments.setup.workdir import write_workdir
from pipelines.schema import LabelSet, default_palette

ROOT = Path(__file__).parents[2]

# Runs each case in this one process, and tells what it printed.
SCRIPT = """
import contextlib, io, json, os, sys
from experiments.command_line.main import main
for case in json.load(sys.stdin):
    os.environ.pop("TF_CONFIG", None)
    os.environ.update(case["environment"])
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(case["arguments"])
    found = [name for name in ("tensorflow", "keras") if sys.modules.get(name)]
    print(json.dumps([code, said.getvalue(), found]), flush=True)
    if found:
        break
"""

CLUSTER = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}

# Arguments, what is said, and TF_CONFIG.
CASES = [
    ("train --config.train.stepz=3", "did you mean --config.train.steps?", None),
    ("train --config.batch_size=3", "did you mean --config.train.batch_size?", None),
    ("train --config.train=3", "a group of keys", None),
    ("train --config.qqqq=3", "train --help lists all keys", None),
    ("train --config.generator.filters=abc", "filters=abc: give a whole number", None),
    ("train --config.train.deterministic=abc", "deterministic=abc: give True or False", None),
    ("train --config.loss.kl_weight=abc", "kl_weight=abc: give a number", None),
    ("train --config.data.height=100", "give 96", None),
    ("train --config.train.seed=-1", "--config.train.seed=-1: give 0 to", None),
    ("train --strategy=two", "--strategy=two: give one of auto|one|mirrored", None),
    ("train --num_virtual_cpus=0", "--num_virtual_cpus=0: give 1 or more", None),
    ("evaluate --num_virtual_cpus=0", "--num_virtual_cpus=0: give 1 or more", None),
    ("evaluate --seed=-1", "--seed=-1: give 0 or more", None),
    ("study --seed=-1", "--seed=-1: give 0 or more", None),
    ("segment --workdir=s --seed=4294967296", "--seed=4294967296: give a whole number in", None),
    ("evaluate --model=m --labels=l --images=i --noattribute", "--noattribute: no effect", None),
    ("sweep --config=ablations:spade", "give --config=ablations, and for one of them", None),
    ("sweep --config=blank", "--config=blank: it defines no get_config()", None),
    ("train --workdir=afile", "--workdir=afile: cannot be written", None),
    ("train --config=coco_stuff --data_dir=none", "prepare --dataset=coco_stuff", None),
    ("train --init_from=none", "--init_from=none: neither", None),
    ("train --init_from=fresh", "--init_from=fresh: it has no checkpoint", None),
    ("train --init_from=other", "architecture=pix2pixhd", None),
    ("train --config.teacher=none", "--config.teacher=none: no such folder", None),
    (
        "train --config=landscapes_student --config.teacher=taught",
        "--config.teacher=taught: no checkpoint in it",
        None,
    ),
    (
        "train --config.loss.perceptual_network=vgg --config.loss.vgg_weights=none.pth",
        "--config.loss.vgg_weights=none.pth: no such file",
        None,
    ),
    ("train --profile_steps=5", "--profile_steps=5: give two steps", None),
    ("train --profile_steps=9,5", "--profile_steps=9,5: give the first step and then", None),
    ("train --profile_steps=5000,5010", "the training ends at step 460", None),
    ("train", "TF_CONFIG cannot be used: it is not JSON", "{"),
    (
        "train",
        "parameter servers",
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ),
    ("train --strategy=one", "TF_CONFIG names 2 workers", json.dumps(CLUSTER)),
    ("train --strategy=multi_worker_mirrored", "needs TF_CONFIG", None),
    ("train --config=coco_stuff --local_workers=-1", "--local_workers=-1: give", None),
    (
        "train --workdir=begun --config=coco_stuff --data_dir=none",
        "this workdir was begun with",
        None,
    ),
    ("evaluate", "--model: required; give the workdir of a training", None),
    ("generate --endpoint=http://x", "--model_name: required with --endpoint; give", None),
    ("generate --model=x --endpoint=http://x --model_name=y", "--model=x: no effect with", None),
    ("generate --model=none", "--model=none: no such folder", None),
    (
        "export --model=broken/config.json --output_dir=d",
        "config.json: a file; give the workdir",
        None,
    ),
    ("generate --model=empty", "neither the workdir of a training", None),
    ("generate --model=fresh", "no checkpoint in it; train a model there first", None),
    ("generate --model=broken", "cannot be read", None),
    ("generate --model=begun --output_dir=afile", "--output_dir=afile: afile is a file", None),
    ("generate --model=begun --labels=none", "--labels=none: no such folder", None),
    ("generate --model=begun --labels=empty", "empty", None),
    ("generate --model=begun --labels=maps --instances=none", "--instances=none: no such", None),
    ("generate --model=begun --style_image=none", "--style_image=none: no such file", None),
    ("generate --model=begun --num_samples=0", "--num_samples=0: give 1 or more", None),
    ("generate --model=begun", "--data_dir: the data set of this model was prepared in", None),
    (
        "generate --model=begun --data_dir=empty",
        "error: --data_dir: no landscapes prepared in empty",
        None,
    ),
    (
        "train --data_dir=empty --workdir=new --config.data.dataset=landscapes/64x64",
        "run the command prepare --dataset=landscapes --config_name=64x64 --data_dir=empty",
        None,
    ),
    ("generate --model=plain --seed=1 --labels=maps", "knows one style only", None),
    ("generate --model=notours", "not an export of this project", None),
    ("export", "--model: required; give the workdir of a training, such as", None),
    ("export --model=begun", "--output_dir: required; give a folder", None),
    ("export --model=begun --output_dir=afile", "--output_dir=afile: afile is a file", None),
    ("export --model=none --output_dir=x", "--model=none: no such folder", None),
    ("export --model=fresh --output_dir=x", "fresh: no checkpoint in it", None),
    ("export --model=begun --output_dir=x --format=onnx", "saved_model, litert", None),
    ("export --model=begun --output_dir=x --max_pixels=9", "give 16384 or more", None),
    ("export --model=begun --output_dir=x --format=litert --data_dir=none", "no landscapes", None),
    ("export --model=begun --output_dir=.x!", "--output_dir", None),
    ("serve --model=none", "--model=none: no such folder", None),
    ("serve --model=empty", "--model=empty: no SavedModel in it", None),
    ("serve --model=begun", "a workdir, and exports are served", None),
    ("serve --model=none --model_name=a/b", "--model_name=a/b: it is part of addresses", None),
    ("serve --model=none --port=abc", "--port=abc: give a whole number", None),
    ("serve --model=none --port=8080 --grpc_port=8080", "--port is the same", None),
    ("convert --output=x", "--source: required; give --source=nvlabs to convert from", None),
    ("convert --source=nvlabs --output=x", "--checkpoint_dir: required with --source", None),
    ("convert --target=nvlabs --output=x", "--model: required with --target", None),
    ("convert --source=nvlabs --checkpoint_dir=x", "--output: required; give a new folder", None),
    ("convert --source=nvlabs --checkpoint_dir=none --output=x", "none: no such folder", None),
    ("convert --source=nvlabs --checkpoint_dir=empty --output=x", "no latest_net_G.pth", None),
    (
        "convert --source=nvlabs --checkpoint_dir=pth --output=x --options=o",
        "--options=o: no",
        None,
    ),
    ("convert --target=nvlabs --model=none --output=x", "--model=none: no such folder", None),
    (
        "convert --target=nvlabs --model=begun --output=maps",
        "--output=maps: is there already",
        None,
    ),
    ("prepare", "--source_dir: required; give the folder of your photographs", None),
    ("prepare --source_dir=none", "error: --source_dir: no folder none", None),
    ("prepare --source_dir=empty --num_classes=3", "train_img", None),
    ("prepare --dataset=coc", "--dataset=coc: give one of paired_folder|", None),
    ("prepare --dataset=landscapes --source_dir=x", "--source_dir=x: no effect with", None),
    ("prepare --dataset=manifest --source_dir=x --image_files=y", "no effect without", None),
    ("doctor", "--source_dir: required; give the folder of your photographs", None),
    ("benchmark", "--labels: required; give a folder of label map PNGs", None),
    ("benchmark --labels=none", "--labels=none: no PNG files in it", None),
    ("benchmark --labels=maps --config.train.steps=3", "no effect on benchmark", None),
    (
        "benchmark --suite=input --data_dir=none",
        "error: --data_dir: no paired_folder prepared",
        None,
    ),
]


def prepare_files(folder):
    for name in ("empty", "maps", "pth"):
        (folder / name).mkdir()
    (folder / "afile").write_text("a file")
    (folder / "blank").touch()
    (folder / "pth" / "latest_net_G.pth").write_bytes(b"")
    Image.new("L", (64, 64)).save(folder / "maps" / "0.png")
    labels = LabelSet(("a", "b"), default_palette(2, True), True, False).to_metadata()
    begun = Config(name="begun")
    begun.data.dataset = "landscapes"
    begun.data.height = begun.data.width = 128
    begun.generator.z_dim = 4
    begun.encoder.enabled = True
    plain = Config(name="plain")
    plain.data.dataset = "landscapes"
    other = Config(name="other")
    other.generator.architecture = "pix2pixhd"
    for name, config, has_checkpoint in (
        ("begun", begun, True),
        ("plain", plain, True),
        ("other", other, True),
        ("fresh", landscapes.get_config(), False),
        ("taught", landscapes.get_config(), False),
    ):
        write_workdir(config, folder / name, labels, str(folder / "gone"))
        (folder / name / "checkpoints").mkdir()
        if has_checkpoint:
            (folder / name / "checkpoints" / "step-1.index").write_bytes(b"")
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_text("{")
    (folder / "notours").mkdir()
    (folder / "notours" / "saved_model.pb").write_bytes(b"")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refusals")
    prepare_files(folder)
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    cases = [
        {"arguments": line.split(), "environment": {"TF_CONFIG": given} if given else {}}
        for line, _, given in CASES
    ]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        # Python keeps the bytecode of what it imports beside it, unless told not to.
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    after = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    return [json.loads(line) for line in result.stdout.splitlines()], before, after


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case[0] for case in CASES])
def test_it_is_one_line_without_tensorflow(number, outcomes):
    found, _, _ = outcomes
    assert len(found) > number, f"TensorFlow was imported by {CASES[len(found) - 1][0]}"
    code, said, imported = found[number]
    assert code == 2, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert CASES[number][1] in said
    assert not imported


def test_nothing_is_left_behind(outcomes):
    _, before, after = outcomes
    assert after == before


def test_tensorflow_starts_silently():
    script = (
        "import importlib.util, logging, sys; "
        "from experiments.command_line.quiet import quieten; quieten(-1); "
        # Libraries ask whether TensorFlow is installed, before anybody imports it.
        "assert importlib.util.find_spec('tensorflow'); "
        "assert 'tensorflow' not in sys.modules; import keras; "
        "import tensorflow as tf; assert tf.zeros(1).shape == (1,); "
        # A deprecated function, which users did not call.
        "tf.compat.v1.to_float(1); logging.getLogger('tensorflow').warning('for users')"
    )
    environment = {name: v for name, v in os.environ.items() if not name.startswith("TF_")}
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    assert result.stderr.splitlines() == ["WARNING:tensorflow:for users"]
