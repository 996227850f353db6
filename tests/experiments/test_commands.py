import configparser
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags as absl_flags

from experiments.command_line.command import Flags
from experiments.command_line.errors import is_for_the_user
from experiments.command_line.experiment import define_config, names
from experiments.command_line.main import COMMANDS, find_command, main
from experiments.setup.config import ConfigError

ROOT = Path(__file__).parents[2]
HUGE = 10**20  # More than 64 bits hold.


def fails(capsys, *arguments):
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["paint"], "prepare, doctor, compose, train"),
        (["train", "--steps=3"], "steps"),
        (["train", "now"], "'now' is not a flag"),
        (["train", "--config=nowhere.py"], "nowhere.py"),
        (["train", "--config.train.stepz=3"], "stepz"),
        (["train", "--config.train.steps=many"], "many"),
        (["train", "--config.data.height=100"], "give 96"),
        (["evaluate"], "--model: required; give the workdir"),
        (["generate", "--endpoint=ftp://x", "--model_name=y"], "grpc://HOST:PORT"),
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
        (["export", "--model=x", "--output_dir=x", "--format=litert,onnx"], "litert, web"),
        (["prepare", "--source_dir=nowhere", "--num_classes=3"], "nowhere"),
        (["prepare", "--dataset=coc"], "coc"),
        (["generate", "--model=x", f"--seed={HUGE}"], f"--seed={HUGE}: give"),
        (["prepare", "--dataset=landscapes", f"--seed=-{HUGE}"], f"--seed=-{HUGE}: give"),
        (["serve", "--model=x", f"--max_queue={HUGE}"], f"--max_queue={HUGE}: give"),
        (["benchmark", f"--repeats={HUGE}"], f"--repeats={HUGE}: give"),
        (["train", "--local_workers=-1"], "--local_workers=-1: give"),
    ],
)
def test_bad_input_is_one_line_that_names_it(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert text in fails(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_crop_larger_than_the_picture_is_refused(capsys):
    arguments = ["train", "--config.data.height=256", "--config.data.load_height=128"]
    assert "256" in fails(capsys, *arguments)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--verbosity" in text
    # What absl adds of its own tells a newcomer nothing.
    for words in ("absl", "9223372036854775807", "experiments.command_line", "flagfile"):
        assert words not in text
    flags = Flags()
    find_command(command).define(flags)
    assert all(f"{name}\n      " in text for name in flags.arguments())


def test_usage_lists_every_command(capsys):
    assert main(["--help"]) == 0
    usage = capsys.readouterr().out
    assert all(f"\n  {command} " in usage for command in COMMANDS)


def test_a_data_set_that_is_not_prepared_names_the_command(capsys, tmp_path):
    arguments = ["--config=coco_stuff", f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'w'}"]
    assert "the command prepare --dataset=coco_stuff" in fails(capsys, "train", *arguments)


def test_help_does_not_wait_for_tensorflow():
    listing = (
        "import sys; from experiments.command_line.main import main; "
        "main(['train', '--help']); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", listing], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", names())
def test_an_experiment_is_given_by_its_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = Flags()
    rest = define_config(
        flags, "landscapes", [f"--config={name}", "--config.train.steps=70000"], "train"
    )
    flags.absl(["program", *rest])
    assert flags.config.name == name
    assert flags.config.train.steps == 70000


def test_a_file_with_the_name_of_an_experiment_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "experiments" / "facades.py").read_text()
    for path in ("landscapes", "mine.py"):
        (tmp_path / path).write_text(text)
        flags = Flags()
        flags.absl(["program", *define_config(flags, "coco_stuff", ["--config", path], "train")])
        assert flags.config.name == "facades"


def test_an_unknown_experiment_is_refused_with_the_names(capsys):
    assert "coco_stuff, decoder_concat" in fails(capsys, "train", "--config=paired_folders")


@pytest.mark.parametrize("name", COMMANDS)
def test_functions_take_the_flags_of_their_commands(name):
    flags = Flags()
    find_command(name).define(flags)
    assert set(flags.arguments()) == set(flags.absl) - {"flagfile", "undefok", "help"}


def test_no_module_named_run_is_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert "py_modules" not in setup["options"]
    name, _, entry = setup["options.entry_points"]["console_scripts"].strip().partition(" = ")
    assert name == "spade-tf"
    module, _, function = entry.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert not module.startswith("run")


def configuration(path, text):
    path.write_text(f"import math\nfrom experiments import landscapes\n\n\n{text}\n")
    return f"--config={path}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def get_config():\n    return math.infinity", "line 6: AttributeError"),
        ("def get_config():\n    return {}['a']", "line 6: KeyError: 'a'"),
        ("def get_config():\n    return len(3)", "line 6: TypeError"),
        ("def get_config():\n    return int('x')", "line 6: ValueError"),
        ("def get_config():\n    return open('gone')", "line 6: FileNotFoundError"),
        ("def get_config(:", "line 5: SyntaxError"),
        ("import nowhere_to_be_found", "line 5: ModuleNotFoundError"),
        ("x = 1", "get_config"),
        ("def get_config():\n    return {}", "get_config() returned dict"),
    ],
)
def test_what_a_config_file_raises_is_said_with_its_line(text, said, capsys, tmp_path):
    argument = configuration(tmp_path / "mine.py", text)
    error = fails(capsys, "train", argument, "--config.train.steps=3")
    assert said in error
    assert "mine.py" in error
    assert "the keys are those" not in error
    with pytest.raises(ConfigError):
        main(["train", argument, "--verbosity=1"])


@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_help_lists_the_keys_of_the_experiment_that_is_named(command, capsys):
    assert main([command, "--config=facades", "--help"]) == 0
    listing = capsys.readouterr().out
    assert "--config.data.height=256" in listing
    assert ("--config.optimizer.decay_steps=10000" in listing) == (command == "train")


@pytest.mark.parametrize(
    ("experiment", "override", "needed"),
    [
        ("paired_folder", "encoder.filters=8", "--config.encoder.enabled=True"),
        ("paired_folder", "loss.kl_weight=1", "--config.encoder.enabled=True"),
        ("paired_folder", "encoder.trainable=False", "--config.encoder.enabled=True"),
        ("landscapes --config.encoder.trainable=False", "loss.kl_weight=1", "encoder.trainable"),
        ("paired_folder", "generator.num_blocks=3", "architecture=pix2pixhd"),
        ("landscapes", "loss.vgg_weights=imagenet", "--config.loss.perceptual_network=vgg"),
        (
            "paired_folder --config.loss.perceptual_weight=0",
            "loss.perceptual_network=efficientnet_lite0",
            "--config.loss.perceptual_weight",
        ),
        ("landscapes", "loss.distillation_output_weight=1", "--config.teacher"),
        ("landscapes_edge_clade", "generator.hidden_filters=8", "conditioning=spade"),
        (
            "landscapes --config.train.average_decay=0",
            "train.statistics_batches=3",
            "average_decay",
        ),
        ("landscapes --config.data.preprocess=fixed", "data.load_width=300", "preprocess"),
        ("landscapes --config.data.preprocess=scale_width", "data.load_height=300", "height"),
        (
            "landscapes --config.generator.architecture=pix2pixhd",
            "train.rematerialize=True",
            "architecture=spade",
        ),
        (
            "landscapes --config.generator.architecture=pix2pixhd",
            "generator.padding=replicate",
            "architecture=spade",
        ),
        (
            "landscapes --config.generator.architecture=pix2pixhd",
            "generator.upsampling=bilinear",
            "architecture=spade",
        ),
        (
            "landscapes --config.generator.architecture=pix2pixhd",
            "generator.noise_inputs=True",
            "architecture=spade",
        ),
    ],
)
def test_a_key_without_effect_is_refused(experiment, override, needed, capsys):
    arguments = [*f"--config={experiment}".split(), f"--config.{override}"]
    error = fails(capsys, "train", *arguments)
    assert f"--config.{override}: no effect without" in error
    assert needed in error
    assert "leave it out" in error


def test_a_key_with_effect_is_taken(capsys, tmp_path):
    keys = ["encoder.filters=8", "generator.hidden_filters=8", "loss.kl_weight=1"]
    arguments = [*(f"--config.{key}" for key in keys), "--config.data.dataset=facades"]
    # So far that the data set is looked for. The folder that tests run in may hold a training.
    arguments += [f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'run'}"]
    assert "no facades prepared" in fails(capsys, "train", *arguments)


def raised(function):
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError


def test_only_what_is_raised_on_purpose_is_for_the_user(tmp_path):
    import tensorflow as tf

    from experiments.commands.launcher import train_local_workers

    assert is_for_the_user(raised(lambda: train_local_workers(0, [])))
    assert is_for_the_user(raised(lambda: (tmp_path / "gone").read_text()))
    assert is_for_the_user(
        raised(lambda: define_config(Flags(), "landscapes", ["--config=x"], "train"))
    )
    assert not is_for_the_user(raised(lambda: tf.zeros([2]) + tf.zeros([2, "x"])))
    assert not is_for_the_user(raised(lambda: tf.ensure_shape(tf.zeros([2]), [3])))
    assert not is_for_the_user(raised(lambda: tf.keras.layers.Dense(-1)))
    assert not is_for_the_user(raised(lambda: {}["a"]))
    # As if a module of the project had called a function written in C.
    name = {"__name__": "experiments.commands.train"}
    assert not is_for_the_user(raised(lambda: exec("int('x')", dict(name))))
    assert is_for_the_user(raised(lambda: exec("raise ValueError('a b')", dict(name))))


@pytest.mark.parametrize("error", [ValueError("of TensorFlow"), AttributeError("x"), KeyError("x")])
def test_a_fault_of_our_own_has_a_traceback(error, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("experiments.commands.train.train", fail)
    with pytest.raises(type(error)):
        main(["train"])


@pytest.mark.parametrize(
    "arguments",
    [["train", "--steps=3"], ["train", "now"], ["train", "--config=nowhere"], ["evaluate"]],
)
def test_verbosity_gives_the_traceback(arguments):
    with pytest.raises((ValueError, absl_flags.Error)):
        main([*arguments, "--verbosity=1"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", "--model=x", "--model_name=y"], "--model_name=y: no effect without"),
        (["generate", "--model=x", "--instances=y"], "--instances=y: no effect without --labels"),
        (["generate", "--model=x", "--labels=a", "--data_dir=y"], "--data_dir=y: no effect with"),
        (["generate", "--model=x", "--style_labels=a"], "--style_labels=a: no effect without"),
        (["export", "--model=x", "--output_dir=y", "--variants=int8"], "--format=litert"),
        (
            ["export", "--model=x", "--output_dir=y", "--format=litert", "--max_pixels=9"],
            "--max_pixels=9: no effect without --format=saved_model",
        ),
        (["convert", "--output=x", "--source=nvlabs", "--legacy"], "--legacy: no effect"),
        (["convert", "--output=x", "--target=nvlabs", "--options=y"], "--options=y: no effect"),
        (["convert", "--output=x", "--source=nvlabs", "--data_dir=y"], "without --dataset"),
        (["prepare", "--beam_options=a=b"], "no effect without --beam_runner"),
        (["prepare", "--seed=3"], "--seed=3: no effect without --dataset=landscapes"),
        (["prepare", "--segmenter_scale=3"], "no effect without --segmenter"),
        (["train", "--strategy=one", "--num_virtual_cpus=2"], "no effect with --strategy=one"),
        (["generate", "--model=x", "--endpoint=y", "--model_name=z"], "--model=x: no effect with"),
        (["doctor", "--dataset=landscapes", "--source_dir=x"], "no effect with"),
        (["train", "--connect_seconds=3"], "no effect without TF_CONFIG"),
        (["benchmark", "--suite=input", "--labels=x"], "--labels=x: no effect with"),
        (["benchmark", "--suite=input", "--config=facades"], "--config: no effect with"),
        (["benchmark", "--labels=x", "--dataset=y"], "no effect without --suite=input"),
        (["benchmark", "--labels=x", "--quick", "--repeats=2"], "no effect with --quick"),
    ],
)
def test_a_flag_that_has_no_effect_is_refused(arguments, said, capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    error = fails(capsys, *arguments)
    assert said in error
    assert "leave it out" in error
