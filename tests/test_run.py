import os
import subprocess
import sys
from pathlib import Path

import pytest

import run

ROOT = Path(__file__).parents[1]


def fails(capsys, *arguments):
    assert run.main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["paint"], "prepare, doctor, train"),
        (["train", "--steps=3"], "steps"),
        (["train", "now"], "'now' is not a flag"),
        (["train", "--config=nowhere.py"], "nowhere.py"),
        (["train", "--config.train.stepz=3"], "stepz"),
        (["train", "--config.train.steps=many"], "many"),
        (["train", "--config.data.height=100"], "give 96"),
        (["generate"], "--model or --endpoint"),
        (["generate", "--endpoint=ftp://x", "--model_name=y"], "grpc://HOST:PORT"),
        (["serve"], "model"),
        (["serve", "--model=nowhere"], "nowhere"),
        (["serve", "--model=nowhere", "--port=0"], "port"),
        (["serve", "--model=nowhere", "--grpc_port=99999"], "99999"),
        (["serve", "--model=x", "--port=8080", "--grpc_port=8080"], "--port is the same"),
        (["serve", "--model=x", "--model_name=a/b"], "--model_name=a/b: it is part of addresses"),
        (["serve", "--model=x", "--model_name="], "--model_name=: it is part of addresses"),
        (["serve", "--model=x", "--model_name=übung"], "letters, digits"),
        (["generate", "--model=nowhere"], "nowhere"),
        (["export", "--model=nowhere", "--output_dir=x"], "nowhere"),
        (["export", "--model=nowhere", "--output_dir=x", "--format=litert"], "nowhere"),
        (["export", "--model=x", "--output_dir=x", "--format=litert,onnx"], "saved_model, litert"),
        (["prepare", "--source_dir=nowhere", "--num_classes=3"], "nowhere"),
        (["prepare", "--dataset=coc"], "coc"),
    ],
)
def test_bad_input_is_one_line_that_names_it(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert text in fails(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_crop_larger_than_the_picture_is_refused(capsys):
    arguments = ["train", "--config.data.height=256", "--config.data.load_height=128"]
    assert "256" in fails(capsys, *arguments)


@pytest.mark.parametrize("command", list(run.COMMANDS))
def test_every_command_has_help(command, capsys):
    assert run.main([command, "--help"]) == 0
    assert "--verbosity" in capsys.readouterr().out


def test_usage_lists_every_command(capsys):
    assert run.main(["--help"]) == 0
    usage = capsys.readouterr().out
    assert all(f"\n  {command} " in usage for command in run.COMMANDS)


def test_a_data_set_that_is_not_prepared_names_the_command(capsys, tmp_path):
    config = str(ROOT / "experiments" / "coco_stuff.py")
    arguments = [f"--config={config}", f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'w'}"]
    assert "run.py prepare --dataset=coco_stuff" in fails(capsys, "train", *arguments)


def test_start_up_is_silent_and_quick_to_help(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    result = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "generate", "--model=nowhere"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    # TensorFlow has been imported by then.
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    listing = (
        "import run, sys; run.main(['train', '--help']); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", listing], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
