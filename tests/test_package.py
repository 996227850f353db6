"""The wheel, made from the source archive, installed into a new environment, and used there."""

import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "saved_models" / "landscapes"
EARLIER = ROOT / "tests" / "goldens" / "earlier" / "workdir"
PACKAGES = ("spade_tf", "pipelines", "experiments")
BUILT = {"tests", "build", "dist", "data", "runs", "out", "__pycache__"}

pytestmark = pytest.mark.slow


def attempt(*command, **options):
    # PYTHONPATH may name a checkout.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, env=env, **options)


def run(*command, **options):
    done = attempt(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The source archive, and the wheel that is made from it."""
    copy, made = (tmp_path_factory.mktemp(name) for name in ("copy", "made"))
    ignored = shutil.ignore_patterns(*BUILT - {"tests"}, "*.egg-info", ".*")
    shutil.copytree(ROOT, copy, ignore=ignored, dirs_exist_ok=True)
    builder = tmp_path_factory.mktemp("builder")
    run(sys.executable, "-m", "venv", builder)
    run(builder / "bin/python", "-m", "pip", "install", "-q", "build")
    run(builder / "bin/python", "-m", "build", "--outdir", made, copy)
    (source,), (wheel,) = made.glob("*.tar.gz"), made.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(archives, tmp_path_factory):
    """The folder of programs of an environment that has the wheel and what it asks for, alone."""
    folder = tmp_path_factory.mktemp("an environment, installé")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "-q", archives[1])
    return folder / "bin"


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with modules that have the names of ours."""
    for name in ("run.py", "pipelines/__init__.py", "experiments/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('not the installed one')")
    return tmp_path


def files_of_packages():
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not BUILT & {*path.parts}
    }


def test_the_wheel_holds_the_files_of_the_packages_and_nothing_else(archives):
    names = {name for name in zipfile.ZipFile(archives[1]).namelist() if ".dist-info/" not in name}
    assert names == files_of_packages()
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_the_source_archive_holds_no_part_of_tests_docs_or_models(archives):
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files_of_packages() <= names
    top = {name.partition("/")[0] for name in names if name}
    assert top == {
        *(*PACKAGES, "spade_tf.egg-info", "PKG-INFO"),
        *("LICENSE", "README.md", "MANIFEST.in", "pyproject.toml", "setup.cfg"),
    }


def test_a_type_checker_reads_the_installed_annotations(installed, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text("from spade_tf import LossWeights\nLossWeights(kl='much')\n")
    python = f"--python-executable={installed / 'python'}"
    done = attempt(sys.executable, "-m", "mypy", python, code, cwd=tmp_path)
    assert 'Argument "kl" to "LossWeights" has incompatible type "str"' in done.stdout


def test_the_program_makes_pictures_beside_modules_of_the_same_names(installed, elsewhere):
    program = installed / "spade-tf"
    usage = run(program, "--help", cwd=elsewhere)
    assert usage.startswith("usage: spade-tf COMMAND")
    assert "run.py" not in usage
    run(program, "generate", f"--model={SHIPPED}", "--max_labels=1", cwd=elsewhere)
    (picture,) = (elsewhere / "out").glob("1*.png")
    assert np.asarray(Image.open(picture)).shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["generate"], "comes with a clone of the repository"),
        (["serve", f"--model={SHIPPED}"], "pip install 'spade-tf[serve]'"),
        (["train", "--config=paired_folder"], "prepare --dataset=paired_folder"),
        (
            ["export", f"--model={EARLIER}", "--output_dir=y", "--format=litert"],
            "pip install 'spade-tf[litert]'",
        ),
    ],
    ids=["no model", "no server", "no data", "no LiteRT"],
)
def test_what_is_not_installed_is_said_in_one_line(command, said, installed, elsewhere):
    done = attempt(installed / "spade-tf", *command, cwd=elsewhere)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_every_name_of_the_library_needs_no_extra(installed, elsewhere):
    code = "import importlib, spade_tf\n"
    code += "for part in ('layers', 'networks', 'losses', 'metrics', 'training', 'convert'):\n"
    code += "    module = importlib.import_module('spade_tf.' + part)\n"
    code += "    [getattr(module, name) for name in module.__all__]\n"
    code += "[getattr(spade_tf, name) for name in spade_tf.__all__]\n"
    run(installed / "python", "-P", "-c", code, cwd=elsewhere)


def test_extras_can_be_installed_alone_and_together(installed, archives):
    text = zipfile.ZipFile(archives[1]).read("spade_tf-0.1.0.dist-info/METADATA").decode()
    extras = set(email.message_from_string(text).get_all("Provides-Extra"))
    # NVIDIA's packages take gigabytes.
    extras -= {"gpu"}
    # `serve` has the strictest bounds. The others were tried alone, too; they take pip long.
    for chosen in (["serve"], sorted(extras)):
        wanted = f"{archives[1]}[{','.join(chosen)}]"
        run(installed / "python", "-m", "pip", "install", "-q", "--dry-run", wanted)
