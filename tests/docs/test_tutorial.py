"""The commands of the tutorial run as they stand, one after the other, with tiny networks."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from served_process import ServedProcess

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "TUTORIAL.md"
BLOCK = re.compile(
    r"<!-- (run|run in the background|file: [\w.]+) -->\n```\w+\n(.*?)```", re.DOTALL
)
# Beside the page's own settings: a training of seconds.
TINY = """
page_config = get_config


def get_config():
    config = page_config()
    config.generator.filters = config.generator.hidden_filters = 2
    config.discriminator.filters = 2
    config.train.steps = 2
    return config
"""
SERVER = "http://localhost:8080"


def blocks():
    return BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))


def test_every_command_of_the_program_is_run():
    """But for what stands within a sentence."""
    text = TUTORIAL.read_text(encoding="utf-8")
    fenced = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    run = {body for kind, body in blocks() if kind.startswith("run")}
    assert len(run) >= 7
    assert {body for body in fenced if "spade-tf " in body and "mkdir" not in body} == run


@pytest.fixture
def folder(tmp_path):
    """An empty folder, and the program `spade-tf` of this checkout."""
    program = tmp_path / "bin" / "spade-tf"
    program.parent.mkdir()
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'run.py'))}"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    folder = tmp_path / "spade tutorial"
    folder.mkdir()
    return folder


def bash(command, folder):
    path = os.pathsep.join([str(folder.parent / "bin"), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    arguments = ["bash", "-euc", command]
    done = subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_commands_run_one_after_the_other(folder):
    server = None
    said = {}
    try:
        for kind, body in blocks():
            if kind == "run":
                command = body.replace(SERVER, server.url) if server else body
                said[command.split()[1]] = bash(command, folder)
            elif kind.startswith("file: "):
                name = kind.removeprefix("file: ")
                (folder / name).write_text(body + (TINY if name == "trial.py" else ""))
                if name != "trial.py":
                    bash(f"{shlex.quote(sys.executable)} {name}", folder)
            else:
                (model,) = re.findall(r"serve --model=(\S+)\n", body)
                server = ServedProcess(folder / model, folder / "server.txt").__enter__()
    finally:
        if server:
            server.__exit__()
    assert said["doctor"].splitlines()[-3].startswith("nothing is wrong")
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    text = TUTORIAL.read_text(encoding="utf-8")
    named = re.findall(r"`((?:out|runs|saved_models)/[\w./]+\.(?:png|html|json))`", text)
    assert len(named) >= 3
    assert set(named) <= made
    val = {path.stem for path in (folder / "photos" / "val_label").iterdir()}
    for place in ("out/pictures", "out/served"):
        assert {f"{place}/{name}.png" for name in val} <= made
    assert {"saved_models/trial/1/saved_model.pb", "out/phone.png"} <= made
    for name in ("generator_float16.tflite", "generator_float16.json"):
        assert f"saved_models/trial/litert/1/{name}" in made
