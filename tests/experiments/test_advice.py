"""Every error names flags that the command has which it is an error of."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from experiments.command_line.command import Flags
from experiments.command_line.main import COMMANDS, find_command
from experiments.setup.layouts import read_map
from pipelines.schema import BadFileError, LabelFiles, LabelSet
from pipelines.sources.label_files import describe_files, read_label
from pipelines.sources.palettes import load_palette

ROOT = Path(__file__).parents[2]
FLAG = re.compile(r"--([a-z]\w*)")
# pip's, npm's, those of Python's http.server, and TF Serving's.
OF_OTHER_PROGRAMS = re.compile(
    "no|ignore|prefix|bind|directory|(rest_api_|model_config_|batching_parameters_|monitoring_config_|tensorflow_|enable_).*"
)

# Which commands come to the errors of a module, or of a function of it.
REACH = {
    "experiments/commands/evaluate": "evaluate",
    "experiments/commands/segment.py": "segment",
    "experiments/setup/segmenter_network.py": "evaluate",
    "experiments/setup/segmenter_network.py:make_network": "segment",
    "experiments/setup/assemble.py": "train",
    "experiments/setup/networks.py": "train",
    "experiments/commands/benchmark/benchmark.py": "benchmark",
    "experiments/commands/convert/convert.py": "convert",
    # The next command is `train`.
    "experiments/commands/convert/convert.py:_say_what_next": "train",
    "experiments/setup/teacher.py": "train",
    "experiments/commands/export/export.py": "export",
    "spade_tf/export/forms.py": "export",
    "experiments/commands/export/litert_js.py": "export",
    "experiments/commands/export/web.py": "export",
    "experiments/commands/export/staging.py": "export",
    "experiments/commands/generate.py": "generate",
    "experiments/setup/initialization.py": "train",
    "experiments/commands/launcher.py": "train",
    "experiments/setup/layouts.py": "generate evaluate",
    "experiments/setup/predictors.py": "generate evaluate",
    "experiments/setup/models.py": "generate evaluate",
    "experiments/setup/edge_models.py": "generate evaluate",
    "experiments/setup/workdir.py:read_model": "generate export convert",
    "experiments/setup/callbacks.py": "train",
    "experiments/setup/effects.py": "train benchmark",
    "experiments/setup/lock.py": "train sweep",
    "experiments/commands/study": "study",
    "experiments/commands/sweep": "sweep",
    # Command lines of the commands that it starts.
    "experiments/commands/sweep/runs.py:training": "train",
    "experiments/commands/sweep/runs.py:evaluation": "evaluate",
    "experiments/setup/feature_networks.py": "evaluate",
    "experiments/setup/output.py": "generate export",
    "experiments/setup/photographs.py": "generate",
    "experiments/setup/picture_styles.py": "generate",
    "experiments/setup/preflight.py": "train",
    "experiments/setup/shipped.py": "generate serve",
    "spade_tf/export/bounds.py": "export",
    "spade_tf/export/litert/variants.py": "export",
    "spade_tf/serving/model/folders.py": "serve",
    "experiments/setup/config.py": "train",
    "experiments/setup/validation.py": "train",
    "experiments/setup/workdir.py": "train",
    "experiments/commands/serve.py": "serve",
    "experiments/commands/train.py": "train",
    # The next commands: `export` has all flags of the others that are named.
    "experiments/commands/train.py:_next_commands": "export",
    "pipelines/sources/builders": "prepare doctor",
    "pipelines/sources/catalogue.py": "prepare doctor",
    "pipelines/sources/builders/flickr_landscapes.py": "prepare",
    "pipelines/doctor": "doctor",
    # What follows the finding is for those two; see the test of `generate` below.
    "pipelines/sources/inspection.py:remap_label": "prepare doctor",
    "pipelines/sources/inspection.py:_off_palette": "prepare doctor",
    "pipelines/sources/pictures.py:_palette_flag": "prepare doctor",
    "pipelines/sources/inspection.py": "prepare doctor generate benchmark",
    # The command that it says to run.
    "pipelines/reading/prepared.py:find_dataset": "prepare",
    "pipelines/reading/prepared.py:_command": "prepare",
    "pipelines/prepare/compose.py": "compose",
    "pipelines/prepare/journal.py": "prepare",
    "pipelines/prepare/shards.py": "prepare",
    "pipelines/sources/listing.py": "prepare doctor generate",
    "pipelines/sources/folders.py": "prepare doctor",
    "pipelines/sources/pictures.py": "prepare doctor generate benchmark",
    "pipelines/prepare/prepare.py": "prepare",
    "pipelines/sources/pairing.py": "prepare doctor",
    "spade_tf/export/litert/export.py": "export",
    "spade_tf/export/litert/model.py": "export",
    "spade_tf/export/saved_model.py": "export",
    "spade_tf/export/serving_config.py": "export",
    "spade_tf/export/serving_texts.py": "export",
    "spade_tf/serving/client/client.py": "generate",
    "spade_tf/serving/model/predictor.py": "serve",
    "spade_tf/serving/fronts/grpc_server.py": "serve",
    "spade_tf/serving/fronts/painter.py": "serve",
    "spade_tf/serving/listening.py": "serve",
    "spade_tf/serving/model/versions.py": "serve",
    "spade_tf/training/checkpoints.py": "train",
    "spade_tf/training/cluster.py": "train",
    "spade_tf/training/course.py": "train",
}


def flags_of(name):
    flags = Flags()
    command = find_command(name)
    command.define(flags)
    return {*flags.absl, "verbosity", *(["config"] if command.experiment else [])}


FLAGS = {name: flags_of(name) for name in COMMANDS}


def texts(node, function=""):
    """(function, text) of all that a module says, apart from docstrings."""
    if isinstance(node, ast.FunctionDef):
        function = node.name
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
        calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
        # The command line of another command is not advice on this one's flags.
        if not any(isinstance(call, ast.Name) and call.id == "program" for call in calls):
            yield function, "".join(parts)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield function, node.value
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        # The last argument of BadFileError: for prepare and the doctor, which alone show it.
        is_for_preparing = (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "BadFileError"
            and child in node.args[3:]
        )
        if not is_docstring and not is_for_preparing:
            yield from texts(child, function)


def advice():
    for package in ("experiments", "pipelines", "spade_tf"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("experiments/command_line/"):
                continue
            for function, text in texts(ast.parse(path.read_text())):
                said = re.sub(r"the command \w+( --\w+=\S*)*", "", text)
                found = {f for f in FLAG.findall(said) if not OF_OTHER_PROGRAMS.fullmatch(f)}
                if found and function != "serving_files":
                    yield name, function, text, found


@pytest.mark.parametrize(
    ("name", "function", "text", "found"), [pytest.param(*a, id=f"{a[0]}:{a[1]}") for a in advice()]
)
def test_errors_name_flags_that_their_commands_have(name, function, text, found):
    reach = REACH.get(f"{name}:{function}") or REACH.get(name) or REACH.get(str(Path(name).parent))
    assert reach, f"{name}:{function} names {found}: say in REACH which commands come to it"
    for command in reach.split():
        assert found <= FLAGS[command], text


@pytest.mark.parametrize(
    ("mode", "value", "palette"),
    [
        ("P", 1, None),
        ("RGB", (9, 8, 7), None),
        ("L", 7, None),
        ("L", 255, None),
        ("RGBA", (1, 2, 3, 0), "voc"),
        ("RGB", (9, 8, 7), "voc"),
        ("RGB", (9, 9, 9), "voc"),
        ("I;16", 9, "voc"),
    ],
)
def test_generate_gives_advice_that_it_can_take(mode, value, palette, tmp_path):
    path = tmp_path / "map.png"
    Image.new(mode, (4, 4), value).save(path)
    files = LabelFiles() if palette is None else describe_files(load_palette(palette))
    labels = LabelSet(("a", "b"), ((0, 0, 0), (1, 1, 1)), False, False, files=files)
    with pytest.raises(BadFileError) as caught:
        read_map(SimpleNamespace(labels=labels), path)
    said = str(caught.value)
    assert str(path) in said
    assert "like those that the model's data set was prepared from" in said
    assert set(FLAG.findall(said)) <= FLAGS["generate"]
    with pytest.raises(BadFileError, match=r"--|correct the file"):
        read_label(path, labels)
