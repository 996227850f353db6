"""The workdir of a training: its `config.json`, and which trainings may continue in it."""

import copy
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from experiments.setup.config import Config, ConfigError
from experiments.setup.data_dirs import data_dir_entries
from experiments.setup.effects import lacks_for_effect
from experiments.setup.output import write_text
from pipelines.sources.wording import counted

# Settings that may differ between two runs in one workdir: how long they are, what they write.
_ADJUSTABLE = {
    "train": (
        "steps",
        "batch_size",
        "log_every",
        "sample_every",
        "num_samples",
        "checkpoint_every",
        "max_to_keep",
        "eval_every",
        "eval_features",
        "eval_images",
        "keep_best",
        "histograms_every",
        "accumulation_steps",
        "rematerialize",
        "jit_compile",
        "spade_form",
        "deterministic",
        "max_rollbacks",
    ),
}


def is_begun(workdir: str | os.PathLike[str]) -> bool:
    """Whether a workdir holds a checkpoint, which ties it to its configuration.

    Before the first checkpoint, a wrong setting can be corrected in the same workdir.
    """
    path = Path(workdir)
    return (path / "config.json").exists() and any(path.glob("checkpoints/*.index"))


def follow_instances(config: Config, has_instance: bool) -> Config:
    """Returns the configuration with `data.use_instance` decided.

    Args:
        config: configuration of the run.
        has_instance: whether its data set has instance maps.

    Raises:
        ConfigError: if instances are asked for and there are none.
    """
    wanted = config.data.use_instance
    if wanted and not has_instance:
        raise ConfigError(
            f"--config.data.use_instance=True: the data set {config.data.dataset} was prepared "
            "without instance maps; give False, or leave it out to follow the data set"
        )
    decided = has_instance if wanted is None else wanted
    return dataclasses.replace(config, data=dataclasses.replace(config.data, use_instance=decided))


def check_same(config: Config, workdir: str | os.PathLike[str]) -> None:
    """Raises a ConfigError if a workdir was begun with another configuration.

    Args:
        config: configuration of the run that is about to start. A `data.use_instance` of None is
            not compared.
        workdir: its directory, with a checkpoint if a run was begun there.
    """
    path = Path(workdir) / "config.json"
    if not is_begun(workdir):
        return
    old = read_workdir(workdir)["config"]
    changed: list[tuple[str, Any, Any]] = []
    if old.get("teacher", "") != config.teacher:
        changed.append(("teacher", old.get("teacher", ""), config.teacher))
    for section, values in config.to_dict().items():
        if not isinstance(values, dict):
            continue
        for name, value in values.items():
            before = old.get(section, {}).get(name, value)
            if (section, name, value) == ("data", "use_instance", None):
                continue
            if before != value and name not in _ADJUSTABLE.get(section, ()):
                changed.append((f"{section}.{name}", before, value))
    # What has no effect there needs no flag, and the command line would refuse it.
    first = copy.deepcopy(config)
    first.change({key: before for key, before, _ in changed})
    changed = [each for each in changed if not lacks_for_effect(first, each[0])]
    if changed:
        begun = ", ".join(f"{key}={before!r}, not {value!r}" for key, before, value in changed)
        if old.get("name", config.name) != config.name:
            begun = f"the experiment {old['name']}: {begun}"
        flags = " ".join(f"--config.{key}={before}" for key, before, _ in changed)
        raise ConfigError(
            f"{path}: this workdir was begun with {begun}; choose another --workdir, or {flags}"
        )


def check_same_labels(labels: dict[str, Any], workdir: str | os.PathLike[str]) -> None:
    """Raises a ConfigError if a workdir was begun on a data set with other classes.

    Args:
        labels: the label set of the data set, as a dictionary.
        workdir: its directory, with a checkpoint if a run was begun there.
    """
    path = Path(workdir) / "config.json"
    if not is_begun(workdir):
        return
    before, now = read_workdir(workdir)["labels"]["class_names"], list(labels["class_names"])
    if before != now:
        raise ConfigError(
            f"{path}: this workdir was begun on {counted(len(before), 'class')}, and the data set "
            f"has {len(now)}, or others; choose another --workdir or --data_dir"
        )


def write_workdir(
    config: Config, workdir: str | os.PathLike[str], labels: dict[str, Any], data_dir: str
) -> None:
    """Writes `config.json`: everything that `generate` and `export` need to know.

    Args:
        config: configuration of the run.
        workdir: its directory.
        labels: the label set of its data set, as a dictionary.
        data_dir: where the data set was prepared. The absolute path and the path relative to the
            workdir are recorded, so that it is found from any folder, and after both were moved.
    """
    path = Path(workdir) / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"config": config.to_dict(), "labels": labels, **data_dir_entries(data_dir, workdir)}
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_workdir(workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a workdir's `config.json`: `config`, `labels`, `data_dir` (`data_dir_of`).

    Raises:
        ConfigError: if there is none, or it cannot be read.
    """
    path = Path(workdir) / "config.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"{workdir}: no config.json in it; give the workdir of a training run"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    missing = [key for key in ("config", "labels", "data_dir") if key not in content]
    if missing:
        raise ConfigError(f"{path}: no {', '.join(missing)} in it; it was not written by train")
    return content


def read_trained(workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """As `read_workdir`, of a workdir that must hold a checkpoint.

    Raises:
        ConfigError: as `read_workdir`, and if there is no checkpoint.
    """
    content = read_workdir(workdir)
    if not is_begun(workdir):
        raise ConfigError(f"{workdir}: no checkpoint in it; train a model there first")
    return content


def read_model(workdir: str | os.PathLike[str], flag: str = "--model") -> dict[str, Any]:
    """As `read_trained`, of what a flag names.

    Args:
        workdir: the workdir.
        flag: the flag that gave it. Errors name it.

    Raises:
        ConfigError: as `read_trained`, naming the flag.
    """
    if Path(workdir).is_file():
        raise ConfigError(f"{flag}={workdir}: a file; give the workdir of a training")
    if not Path(workdir).is_dir():
        raise ConfigError(f"{flag}={workdir}: no such folder; give the workdir of a training")
    try:
        return read_trained(workdir)
    except ConfigError as error:
        raise ConfigError(f"{flag}={error}") from error
