"""What the experiments of the paper share: its data sets and its baselines."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from experiments import ade20k, cityscapes, coco_stuff
from experiments.setup.config import Config

# What each setting of an experiment is, and the keys that it changes, by name.
Settings: TypeAlias = Mapping[str, tuple[str, Mapping[str, Any]]]

DATASETS: Mapping[str, str] = {
    "coco_stuff": "COCO-Stuff",
    "ade20k": "ADE20K",
    "cityscapes": "Cityscapes",
}
_MODULES = {"coco_stuff": coco_stuff, "ade20k": ade20k, "cityscapes": cityscapes}

PIX2PIXHD: Mapping[str, Any] = {
    "generator.architecture": "pix2pixhd",
    "generator.conditioning": "none",
    "generator.norm": "instance",
    "generator.spectral_norm": False,
    "discriminator.num_layers": 3,
    "discriminator.spectral_norm": False,
    "loss.adversarial": "least_squares",
    "optimizer.generator_learning_rate": 2e-4,
    "optimizer.discriminator_learning_rate": 2e-4,
    "optimizer.beta_1": 0.5,
}
PIX2PIXHDPP: Mapping[str, Any] = {
    "generator.architecture": "pix2pixhd",
    "generator.conditioning": "affine",
}
CONCAT: Mapping[str, Any] = {"generator.conditioning": "affine", "generator.concat": "convs"}


def table(
    settings: Settings,
    datasets: Mapping[str, str] = DATASETS,
) -> dict[str, str]:
    """The variants of an experiment that has each setting on each data set.

    Args:
        settings: what each is, and the keys that it changes, by name.
        datasets: what each is, by name.

    Returns:
        What each variant is, by names such as "kernel_5_ade20k".
    """
    return {
        f"{setting}_{dataset}": f"{title}, {name}"
        for dataset, name in datasets.items()
        for setting, (title, _) in settings.items()
    }


def from_table(experiment: str, variant: str, settings: Settings) -> Config:
    """The configuration of a variant of `table`.

    Args:
        experiment: the name of the experiment.
        variant: the name of the variant; empty for the first setting, on COCO-Stuff.
        settings: as of `table`.
    """
    setting, dataset = next(iter(settings)), "coco_stuff"
    for name in DATASETS if variant else ():
        if variant.endswith(f"_{name}"):
            setting, dataset = variant.removesuffix(f"_{name}"), name
    config = on_dataset(dataset, settings[setting][1])
    config.name = f"{experiment}_{variant}" if variant else experiment
    return config


def on_dataset(dataset: str, changes: Mapping[str, Any]) -> Config:
    """SPADE on a data set of the paper, with changes.

    Args:
        dataset: one of `DATASETS`.
        changes: values by key, such as "generator.kernel_size".
    """
    config = _MODULES[dataset].get_config()
    config.change(changes)
    return config
