"""Times generators and training, and prints JSON lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from experiments.commands.benchmark import suites
from experiments.commands.benchmark.cases import Layout, Setting
from experiments.commands.benchmark.timing import Run, print_line
from experiments.setup.config import Config, ConfigError
from experiments.setup.validation import validate


def _device_suite(setting: Setting, layouts: list[Layout], run: Run) -> dict[str, Any]:
    # Imports TensorFlow, which takes seconds.
    from experiments.commands.benchmark.device import device_suite

    return device_suite(setting, layouts, run)


SUITES = {
    "generator": suites.generator_suite,
    "train": suites.train_suite,
    "style": suites.style_suite,
    "edit": suites.edit_suite,
    "scaling": suites.scaling_suite,
    "device": _device_suite,
}


def benchmark(
    suite: str,
    config: Config,
    *,
    labels: str | os.PathLike[str] | None = None,
    instances: str | os.PathLike[str] | None = None,
    num_labels: int = 183,
    repeats: int = 3,
    max_labels: int | None = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Times one suite and prints a JSON line for each figure when it is measured, the summary last.

    Cases take turns on each label map, so that other work on the machine slows all alike. A ratio
    is the median over label maps of the ratio of their medians. Each case has its own process for
    measuring memory. The reference "main_convolutions" is the generator without its SPADE layers:
    first layer, residual blocks with leaky ReLU and biases, upsampling and last convolution, with
    final kernels. No form with SPADE layers can be faster.

    Args:
        suite: "generator", "train", "style" (several styles of one layout), "edit" (1 % of the
            pixels changed), "scaling" (resolution, classes, batch) or "device" (all forms on a
            graphics processor).
        config: configuration of an experiment, whose generator and image size are timed.
        labels: folder of label map PNGs. They are resized to the image size. None with "device",
            which draws landscapes, so that its figures can be compared.
        instances: folder of instance PNGs with the same names; None for none.
        num_labels: int >= 1, ids of the generator, the unknown one, which takes the place of ids
            that are too large, included.
        repeats: int >= 1, runs per label map and case.
        max_labels: int >= 1, how many label maps; None for all.
        quick: whether to time at half the height and width (training at a quarter), one label map,
            once, without memory and with the main cases alone: ratios of the same kind within two
            minutes.

    Returns:
        The summary.

    Raises:
        ConfigError: if an argument cannot be used.
        DataError: if a label map cannot be read.
    """
    if suite not in SUITES:
        raise ConfigError(f"--suite={suite}: give one of {', '.join(SUITES)}")
    if repeats < 1:
        raise ConfigError(f"--repeats={repeats}: give 1 or more")
    validate(config)
    size = (config.data.height, config.data.width)
    if quick:
        size, repeats, max_labels = _smaller(size, 4 if suite == "train" else 2), 1, 1
    setting = Setting(
        num_labels, size, config.data.use_instance is not False, config.generator.filters
    )
    if labels is None:
        layouts = suites.drawn_layouts(setting)
    else:
        layouts = read_layouts(labels, instances, setting, max_labels)
    summary = SUITES[suite](setting, layouts, Run(suite, repeats, quick))
    print_line({"suite": suite, "summary": summary})
    return summary


def _smaller(size: tuple[int, int], divisor: int) -> tuple[int, int]:
    """Height and width divided, to the next multiples of 32, which generators make."""
    height, width = (max(side // divisor // 32, 1) * 32 for side in size)
    return height, width


def read_layouts(
    labels: str | os.PathLike[str],
    instances: str | os.PathLike[str] | None,
    setting: Setting,
    max_labels: int | None = None,
) -> list[Layout]:
    """Reads the label maps of a folder at the timed size.

    Args:
        labels: folder of PNGs.
        instances: folder of PNGs with the same names; None for none.
        setting: what is timed.
        max_labels: how many; None for all.

    Returns:
        One layout per file, with a batch of one.

    Raises:
        ConfigError: if there are none.
        DataError: if one cannot be read.
    """
    from pipelines.schema import BadFileError
    from pipelines.sources.pictures import read_ids, read_instances

    paths = sorted(Path(labels).glob("*.png"))[:max_labels]
    if not paths:
        raise ConfigError(f"--labels={labels}: no PNG files in it; give a folder of label maps")
    layouts = []
    for path in paths:
        try:
            label = suites.resized(read_ids(path).astype("int32"), setting.size)
        except BadFileError as error:
            raise BadFileError(path, error.kind, f"{error.found}; give PNGs of ids") from error
        label = np.minimum(label, setting.num_labels - 1)
        instance = np.zeros_like(label)
        if instances is not None:
            instance = suites.resized(
                read_instances(Path(instances) / path.name).astype("int32"), setting.size
            )
        layouts.append(Layout(path.stem, label[None], instance[None]))
    return layouts
