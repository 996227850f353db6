"""The tests' tiny model in two variants."""

import importlib.util
from pathlib import Path

from experiments.setup.config import Config

VARIANTS = {"spade": "the tiny model", "concat": "the tiny model with Concat"}


def get_config(variant: str = "spade") -> Config:
    # By its path: this file is read by processes that know no helpers.
    spec = importlib.util.spec_from_file_location(
        "tiny", Path(__file__).parent / "tiny_experiment.py"
    )
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    config = tiny.get_config()
    config.name = f"tiny_{variant}"
    if variant == "concat":
        config.change({"generator.conditioning": "affine", "generator.concat": "convs"})
    return config
