"""Fine-tuning: a training that starts from the weights of another one."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.setup.config import Config, ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.workdir import is_begun, read_workdir

if TYPE_CHECKING:
    from pipelines.schema import LabelSet
    from spade_tf.training.gaugan import GauGAN

# Settings that change what a network computes, or which weights it has, but not their shapes.
_SAME = ("architecture", "conditioning", "concat", "norm", "class_style_dim", "noise_inputs")


def follow_init_from(config: Config, workdir: str | os.PathLike[str]) -> Config:
    """Settles `init_from`: takes a begun workdir's own, otherwise checks it and makes it absolute.

    Args:
        config: configuration of the run that is about to start.
        workdir: its directory. If it was begun, its source is no longer needed.

    Raises:
        ConfigError: if the workdir was begun from another source, or the source does not exist.
    """
    given = os.path.abspath(config.init_from) if config.init_from else ""
    if is_begun(workdir):
        begun = read_workdir(workdir)["config"].get("init_from", "")
        if given and given != begun:
            raise ConfigError(
                f"--init_from={config.init_from}: the workdir {workdir} was begun from "
                f"{begun or 'new weights'}; leave the flag out to go on, or choose another "
                "--workdir"
            )
        return dataclasses.replace(config, init_from=begun)
    if given:
        _check_source(config)
    return dataclasses.replace(config, init_from=given)


def initialize(model: GauGAN, config: Config, labels: LabelSet) -> list[str]:
    """Gives a new model the weights of the training that `config.init_from` names.

    Generator and average start from the source's averaged generator, or from its only one. The
    optimizers stay new. Call it within the strategy's scope.

    Args:
        model: model of the new training.
        config: configuration of the new training.
        labels: label set of its data set.

    Returns:
        Lines that say what was done.

    Raises:
        ConfigError: if the source cannot be read, or its architecture differs.
    """
    from pipelines.schema import LabelSet
    from spade_tf.training.checkpoints import CheckpointError
    from spade_tf.training.distillation import DistilledGauGAN
    from spade_tf.training.transfer import TransferError

    where = f"--init_from={config.init_from}"
    workdir, checkpoint = _find(config.init_from)
    try:
        content = read_workdir(workdir)
        old = Config.from_dict(content["config"])
        old_labels = LabelSet.from_metadata(content["labels"])
        _check_settings(config, old)
        source = _networks(old, old_labels)
        if isinstance(model, DistilledGauGAN):
            # A student uses its teacher's encoder.
            source["encoder"] = None
        step = _restore(source, old, checkpoint)
        lines = _transfer_all(model, source, (config, labels), (old, old_labels))
    except (ConfigError, CheckpointError, TransferError) as error:
        raise ConfigError(f"{where}: {error}") from error
    return [f"starting from step {step} of {config.init_from}", *lines]


def _find(init_from: str) -> tuple[Path, Path]:
    """The workdir, and the folder of its checkpoints or one checkpoint."""
    path = Path(init_from.removesuffix(".index"))
    if (path / "config.json").is_file():
        return path, path / "checkpoints"
    if path.is_dir() or Path(f"{path}.index").is_file():
        for parent in path.parents:
            if (parent / "config.json").is_file():
                return parent, path
    raise ConfigError(
        f"--init_from={init_from}: neither the --workdir of a training nor a checkpoint in one (no "
        "config.json); to start from a release's .pth files, make a workdir of them with the "
        "convert command"
    )


def _check_source(config: Config) -> None:
    """Checks what files tell of the training that is started from, but for its weights."""
    workdir, checkpoint = _find(config.init_from)
    try:
        old = Config.from_dict(read_workdir(workdir)["config"])
        _check_settings(config, old)
        if checkpoint.is_dir() and not any(checkpoint.glob("*.index")):
            raise ConfigError("it has no checkpoint; give a training that has written one")
    except ConfigError as error:
        raise ConfigError(f"--init_from={config.init_from}: {error}") from error


def _check_settings(config: Config, old: Config) -> None:
    for name in _SAME:
        ours, theirs = getattr(config.generator, name), getattr(old.generator, name)
        if ours != theirs and not lacks_for_effect(config, f"generator.{name}"):
            raise ConfigError(
                f"its generator has {name}={theirs}, and this one {ours}; give "
                f"--config.generator.{name}={theirs}"
            )


def _networks(config: Config, labels: LabelSet) -> dict[str, Any]:
    from experiments.setup.networks import make_discriminator, make_encoder, make_generator

    return {
        "generator": make_generator(config, labels),
        "discriminator": make_discriminator(config, labels),
        "encoder": make_encoder(config, labels),
    }


def _restore(source: dict[str, Any], config: Config, checkpoint: Path) -> int:
    from spade_tf.training.checkpoints import restore_networks

    saved = dict(source)
    if config.train.average_decay:
        saved["average_generator"] = saved.pop("generator")
    return restore_networks(checkpoint, **saved)


def _transfer_all(
    model: GauGAN,
    source: dict[str, Any],
    new: tuple[Config, LabelSet],
    old: tuple[Config, LabelSet],
) -> list[str]:
    from spade_tf.training.transfer import transfer

    channels, count, lines = _channels(new, old)
    names = ["generator"]
    if _form(new[0]) == _form(old[0]):
        names.append("discriminator")
    else:
        lines.append(f"its discriminator: {_form(old[0])}; this one is new")
    axes = _axes(model, {name: source[name] for name in names}, (channels, count), old)
    for name in names:
        transfer(
            source[name],
            getattr(model, name),
            axes=axes[name],
            channels=channels,
            source_channels=count,
            first=name == "discriminator",
        )
    if model.average_generator is not None:
        model.average_generator.set_weights(model.generator.get_weights())
    if source["encoder"] is not None and model.encoder is not None:
        transfer(
            source["encoder"],
            model.encoder,
            axes={},
            channels=channels,
            source_channels=count,
            first=False,
        )
    elif model.encoder is not None and model.encoder.trainable:
        lines.append("its encoder: none; this one is new")
    return lines


def _form(config: Config) -> str:
    settings = config.discriminator
    return settings.architecture + (" of full resolution" if settings.full_resolution else "")


def _axes(model, source, mapping, old):
    """The weights with one entry per channel, found by comparing networks of other channels."""
    from spade_tf.training.transfer import semantic_axes

    (channels, count), (old_config, old_labels) = mapping, old
    if channels == list(range(count)):
        return {name: {} for name in source}
    difference = len(channels) - count
    others = {name: getattr(model, name) for name in source}
    if not difference:
        # With as many classes in another order, shapes are equal. One more class shows the axes.
        more = old_labels._replace(
            class_names=(*old_labels.class_names, ""),
            palette=((0, 0, 0), *old_labels.palette),
        )
        difference, others = 1, _networks(old_config, more)
    return {
        name: semantic_axes(network, others[name], difference) for name, network in source.items()
    }


def _channels(
    new: tuple[Config, LabelSet], old: tuple[Config, LabelSet]
) -> tuple[list[int | None], int, list[str]]:
    """The source's channel for each semantic channel, its number of channels, and a message."""
    from experiments.setup.networks import sees_instances

    edges, old_edges = sees_instances(*new), sees_instances(*old)
    labels, old_labels = new[1], old[1]
    if labels.condition_channels != old_labels.condition_channels:
        kinds = [
            f"continuous maps of {each.condition_channels} channels"
            if each.condition_channels
            else "label maps"
            for each in (old_labels, labels)
        ]
        raise ConfigError(
            f"it was trained on {kinds[0]}, and the data set has {kinds[1]}; give another "
            "--init_from, or another data set"
        )
    canvas = _canvas_channels(new[0], old[0])
    lines: list[str] = []
    channels: list[int | None]
    if labels.condition_channels:
        channels = list(range(labels.condition_channels))
        count = len(channels)
    else:
        channels, lines = match_classes(labels, old_labels)
        count = old_labels.num_ids
        if labels.has_unknown:
            channels.append(old_labels.num_classes if old_labels.has_unknown else None)
    channels += range(count, count + canvas)
    count += canvas
    if edges:
        channels.append(count if old_edges else None)
    return channels, count + old_edges, lines


def _canvas_channels(new: Config, old: Config) -> int:
    """How many channels are those of a canvas."""
    from experiments.setup.networks import CANVAS_CHANNELS

    if new.data.use_canvas != old.data.use_canvas:
        kinds = ["a canvas" if each.data.use_canvas else "no canvas" for each in (old, new)]
        raise ConfigError(
            f"it was trained with {kinds[0]} beside the label map, and this training has "
            f"{kinds[1]}; give another --init_from, or --config.data.use_canvas="
            f"{old.data.use_canvas}"
        )
    return CANVAS_CHANNELS if new.data.use_canvas else 0


def match_classes(labels: LabelSet, old: LabelSet) -> tuple[list[int | None], list[str]]:
    """Finds each class among those of an earlier training: by name, or by id where none has one.

    Args:
        labels: label set of the new training.
        old: label set of the earlier one.

    Returns:
        The earlier id of each class, None for a new one, and a line that tells how many matched.
    """
    names, old_names = labels.class_names, old.class_names
    if not (_are_names(names) and _are_names(old_names)):
        by_id = [index if index < len(old_names) else None for index in range(len(names))]
        new = [name for name, index in zip(names, by_id, strict=True) if index is None]
        dropped = list(old_names[len(names) :])
        return by_id, [_story("id", names, new, dropped)]
    index = {name: position for position, name in enumerate(old_names)}
    channels = [index.get(name) for name in names]
    new = [name for name in names if name not in index]
    dropped = [name for name in old_names if name not in set(names)]
    return channels, [_story("name", names, new, dropped)]


def _are_names(names: tuple[str, ...]) -> bool:
    """Whether classes have real names, not the numbered ones that nameless data sets get."""
    return len(set(names)) == len(names) and not all(re.fullmatch(r"class \d+", n) for n in names)


def _story(kind: str, names: tuple[str, ...], new: list[str], dropped: list[str]) -> str:
    text = f"classes matched by {kind}: {len(names) - len(new)} of {len(names)}"
    for word, some in (("new", new), ("left out", dropped)):
        if some:
            more = f" and {len(some) - 10} more" if len(some) > 10 else ""
            text += f"; {word}: {', '.join(some[:10])}{more}"
    return text
