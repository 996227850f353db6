"""The example in the docstring of every public name gives what it says."""

import doctest
import importlib
import os
import sys

import pytest

PACKAGES = (
    *("layers", "networks", "losses", "metrics", "training", "export", "convert", "serving"),
    "",
)
# Their examples need files or a server; tests of their own cover them.
NOT_RUN = {
    *("restore_networks", "train", "ExportedModel", "export_saved_model", "export_litert"),
    *("load_vgg", "load_alexnet", "load_lpips", "load_inception"),
    *("load_checkpoint", "load_networks", "save_networks", "serve", "connect", "Client"),
}
# Their examples trace large graphs.
SLOW = {
    *("Checkpoints", "DistilledGauGAN", "EditableGenerator", "FusedGenerator"),
    *("InceptionFeatures", "ProjectedDiscriminator", "ProjectedSegmentationDiscriminator"),
    "Teacher",
}

SKIP = doctest.OPTIONFLAGS_BY_NAME["SKIP"]


def public():
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(f"spade_tf.{package}".rstrip("."))
        found |= {name: getattr(module, name) for name in module.__all__}
    return found


def needs_example(value):
    """An error is raised, and a protocol is written, by others."""
    is_error = isinstance(value, type) and issubclass(value, Exception)
    return not is_error and not getattr(value, "_is_protocol", False)


NAMES = {name: value for name, value in public().items() if needs_example(value)}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in sorted(NAMES)],
)
def test_the_example_gives_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = NAMES[name].__doc__
    module_names = dict(vars(sys.modules[NAMES[name].__module__]))
    assert text.count("Example:") == 1
    test = doctest.DocTestParser().get_doctest(text, module_names, name, None, 0)
    assert any(example.want or SKIP in example.options for example in test.examples)
    assert any(SKIP in example.options for example in test.examples) == (name in NOT_RUN)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
    assert not os.listdir(tmp_path)
