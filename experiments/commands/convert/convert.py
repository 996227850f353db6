"""Turns checkpoints of the official release into workdirs, and back."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.commands.convert.config import config_of, training_options
from experiments.setup.config import Config, ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.program import program
from experiments.setup.validation import validate
from experiments.setup.workdir import read_model, read_workdir, write_workdir
from pipelines.reading.prepared import find_dataset
from spade_tf.convert.errors import ConversionError

if TYPE_CHECKING:
    from pipelines.schema import LabelFiles, LabelSet
    from spade_tf.convert.nvlabs.checkpoint import Networks
    from spade_tf.convert.nvlabs.options import Options, Pix2PixHDOptions

_FORMATS = ("nvlabs",)


def convert(
    *,
    output: str | os.PathLike[str],
    source: str | None = None,
    target: str | None = None,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    class_names: Sequence[str] | str | os.PathLike[str] | None = None,
    dataset: str | None = None,
    data_dir: str | os.PathLike[str] = "data",
    unknown_first: bool = False,
    legacy: bool = False,
) -> Path:
    """Writes the workdir of an official checkpoint, or the official checkpoint of a workdir.

    `generate`, `export` and `train` accept the written workdir. `train` continues from its weights
    with new optimizers. From a workdir, the weights that `generate` uses are written: the averaged
    ones if there are any.

    Both generators of the official SPADE release (`netG=spade`, `netG=pix2pixhd`) are converted in
    both directions. The global generator of pix2pixHD's own repository can be read. If it takes
    pictures instead of labels (`label_nc=0`), its discriminator is left out: pictures are -1 to 1
    there and 0 to 1 here, and a discriminator's zero padding does not allow a correction.

    Args:
        output: folder to write; must not exist, or be empty.
        source: "nvlabs", to convert from the official release.
        target: "nvlabs", to convert to it. One of the two must be given.
        checkpoint_dir: from: folder of `latest_net_G.pth`, and `latest_net_D.pth` and
            `latest_net_E.pth` if there are.
        model: to: the workdir.
        options: from: official options, or a file of them, JSON or the `opt.txt` of the training;
            see `spade_tf.convert.nvlabs.load_networks`.
        class_names: from: names of the classes, or a text file of one a line, id 0 first. Default
            "class 0" and so on, as of a data set that was prepared without names.
        dataset: from: the prepared data set to go on training on; its class names are taken.
        data_dir: from: where it was prepared.
        unknown_first: whether the official networks have id 0 for unknown, as the official
            release trains on ADE20K. A workdir always has it last.
        legacy: to: write the file format of PyTorch before 1.6.

    Returns:
        `output`.

    Raises:
        ConfigError: if an argument cannot be used.
        ConversionError: if the checkpoint or the model cannot be converted.
        CheckpointError: if a workdir holds no checkpoint that fits.
        DataError: if the data set or the class names cannot be read.
    """
    if (source is None) == (target is None):
        raise ConfigError("give either --source=nvlabs or --target=nvlabs")
    for name, value in (("source", source), ("target", target)):
        if value not in (None, *_FORMATS):
            raise ConfigError(f"--{name}={value}: give one of {', '.join(_FORMATS)}")
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"--output={output}: is there already; give a new folder")
    if source is not None:
        if checkpoint_dir is None:
            raise ConfigError("--source=nvlabs needs --checkpoint_dir, the folder of its files")
        _check_files(Path(checkpoint_dir), options, class_names)
        if dataset is not None:
            find_dataset(dataset, data_dir)
        config, labels, networks = _from_nvlabs(
            Path(checkpoint_dir), options, class_names, dataset, data_dir, unknown_first
        )
        _write(output, config, labels, networks, data_dir)
        _say_what_next(output, config, networks)
    else:
        if model is None:
            raise ConfigError("--target=nvlabs needs --model, the workdir of a training")
        read_model(model)
        _to_nvlabs(Path(model), output, unknown_first, legacy)
        _say(f"converted {model} to {output}, as the official release loads it")
    return output


def _check_files(
    folder: Path,
    options: Mapping[str, Any] | str | os.PathLike[str] | None,
    class_names: Sequence[str] | str | os.PathLike[str] | None,
) -> None:
    """Raises an error where a file is not there, before anything is read."""
    where = f"--checkpoint_dir={folder}"
    if not folder.is_dir():
        raise ConversionError(f"{where}: no such folder; give that of an official checkpoint")
    if not (folder / "latest_net_G.pth").is_file():
        raise ConversionError(f"{where}: no latest_net_G.pth in it, and no model without it")
    for name, file in (("options", options), ("class_names", class_names)):
        if isinstance(file, (str, os.PathLike)) and not Path(file).is_file():
            raise ConfigError(f"--{name}={file}: no such file; give one, or leave it out")


def _from_nvlabs(
    folder: Path,
    options: Mapping[str, Any] | str | os.PathLike[str] | None,
    class_names: Sequence[str] | str | os.PathLike[str] | None,
    dataset: str | None,
    data_dir: str | os.PathLike[str],
    unknown_first: bool,
) -> tuple[Config, LabelSet, Networks]:
    from spade_tf.convert.nvlabs.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(folder, options, unknown_first=unknown_first)
    official, networks = checkpoint.options, checkpoint.networks
    if networks.generator is None:
        raise ConversionError(f"{folder}: no latest_net_G.pth in it, and no model without it")
    if networks.encoder is not None and networks.encoder.image_size != official.image_size:
        raise ConversionError(
            f"{folder}: its encoder reads pictures of 256x256 and its generator makes others, "
            f"{official.image_size[0]}x{official.image_size[1]}, which a workdir cannot hold; "
            "move latest_net_E.pth away to convert the rest"
        )
    if getattr(official, "condition_channels", 0):
        networks = _of_pictures(folder, official, networks)
    labels = _labels(official, class_names, dataset, data_dir)
    if dataset is None:
        labels = labels._replace(files=label_files_of(checkpoint.given, labels))
    if not {"crop_size", "aspect_ratio"} <= set(checkpoint.given):
        height, width = official.image_size
        _say(
            f"its pictures are taken to be {width}x{height}; if they were not, add crop_size (the "
            "width) and aspect_ratio (width over height) to its options"
        )
    config = config_of(folder.name, checkpoint)
    config.data.dataset = dataset or config.data.dataset
    validate(config)
    return config, labels, networks


def label_files_of(given: Mapping[str, Any], labels: LabelSet) -> LabelFiles:
    """How to read the label map files that an official checkpoint was trained on.

    Args:
        given: its options; `dataset_mode` names the data set.
        labels: its label set.

    Returns:
        For ADE20K, the table of its file ids (0 is unknown, 1 to 150 are the classes); for others,
        ids are read unchanged.
    """
    from pipelines.schema import LabelFiles

    if given.get("dataset_mode") == "ade20k" and labels.num_classes == 150 and labels.has_unknown:
        return LabelFiles(id_table=(150, *range(150)))
    return LabelFiles()


def _of_pictures(
    folder: Path, official: Options | Pix2PixHDOptions, networks: Networks
) -> Networks:
    """Changes networks to take pictures of 0 to 1 instead of labels, as in data sets."""
    from spade_tf.convert.nvlabs.pix2pixhd_repository import from_unit_range
    from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

    if not official.no_instance:
        raise ConversionError(
            f"{folder}: takes pictures in place of labels and instance edges beside them, which a "
            "workdir cannot hold together"
        )
    if official.num_labels not in (1, 3, 4):
        raise ConversionError(
            f"{folder}: takes pictures of {official.num_labels} channels in place of labels; data "
            "sets here have 1, 3 or 4"
        )
    if networks.discriminator is not None:
        _say("latest_net_D.pth: left out, since it knows pictures of -1 to 1 in place of labels")
    assert isinstance(networks.generator, Pix2PixHDGenerator)
    from_unit_range(networks.generator)
    return networks._replace(discriminator=None)


def _labels(
    official: Options | Pix2PixHDOptions,
    class_names: Sequence[str] | str | os.PathLike[str] | None,
    dataset: str | None,
    data_dir: str | os.PathLike[str],
) -> LabelSet:
    from pipelines.reading.prepared import label_set, open_dataset
    from pipelines.schema import LabelSet, default_palette
    from pipelines.sources.inspection import read_class_names

    count, has_unknown = official.label_nc, official.contain_dontcare_label
    channels = getattr(official, "condition_channels", 0)
    if channels:
        count = 0
    if dataset is not None:
        if class_names is not None:
            raise ConfigError(f"--dataset={dataset} has class names; leave --class_names out")
        labels = label_set(open_dataset(dataset, data_dir))
        if labels.condition_channels != channels:
            raise ConfigError(
                f"--dataset={dataset}: maps of {labels.condition_channels} channels in place of "
                f"labels, but the checkpoint takes {channels}; give its own data set"
            )
        if (labels.num_classes, labels.has_unknown) != (count, has_unknown):
            raise ConfigError(
                f"--dataset={dataset}: {labels.num_classes} classes, unknown={labels.has_unknown}, "
                f"but the checkpoint has {count}, unknown={has_unknown}; give its own data set, "
                "or label_nc and contain_dontcare_label in --options"
            )
        return labels
    if class_names is None:
        names = tuple(f"class {index}" for index in range(count))
    elif isinstance(class_names, (str, os.PathLike)):
        names = read_class_names(Path(class_names))
    else:
        names = tuple(class_names)
    if len(names) != count:
        raise ConfigError(
            f"--class_names: {len(names)} received, but the checkpoint has {count} classes; name "
            "each once, unknown not counted, or give label_nc in --options"
        )
    palette = default_palette(count, has_unknown) if count else ()
    return LabelSet(names, palette, has_unknown, not official.no_instance, channels)


def _write(
    output: Path,
    config: Config,
    labels: LabelSet,
    networks: Networks,
    data_dir: str | os.PathLike[str],
) -> None:
    from spade_tf.training.checkpoints import Checkpoints

    model = _gaugan(config, labels)
    for name, network in networks._asdict().items():
        if network is not None:
            getattr(model, name).set_weights(network.get_weights())
    if model.average is not None and networks.generator is not None:
        model.average_generator.set_weights(networks.generator.get_weights())
    # Written beside the output and then renamed, so that no half-written workdir is left.
    partial = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        Checkpoints(model, partial / "checkpoints").save(0)
        write_workdir(config, partial, labels.to_metadata(), str(data_dir))
        os.replace(partial, output)
    except OSError as error:
        raise ConfigError(f"--output={output}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _to_nvlabs(workdir: Path, output: Path, unknown_first: bool, legacy: bool) -> None:
    from pipelines.schema import LabelSet
    from spade_tf.convert.nvlabs.checkpoint import Networks, save_networks
    from spade_tf.training.checkpoints import restore_networks

    content = read_workdir(workdir)
    config = Config.from_dict(content["config"])
    labels = LabelSet.from_metadata(content["labels"])
    if labels.condition_channels:
        raise ConversionError(
            f"{workdir}: continuous maps in place of labels have no official counterpart"
        )
    if config.data.use_canvas:
        raise ConversionError(f"{workdir}: canvases have no official counterpart")
    model = _gaugan(config, labels)
    name = "generator" if model.average is None else "average_generator"
    generator = getattr(model, name)
    parts = {name: generator, "discriminator": model.discriminator, "encoder": model.encoder}
    restore_networks(workdir / "checkpoints", **parts)
    save_networks(
        Networks(generator, model.discriminator, model.encoder),
        output,
        options=training_options(config) | {"contain_dontcare_label": labels.has_unknown},
        unknown_first=unknown_first,
        legacy=legacy,
    )


def _gaugan(config: Config, labels: LabelSet) -> Any:
    """The experiment's model, without the weights of a perceptual network."""
    from experiments.setup.assemble import make_gaugan

    without = Config.from_dict(config.to_dict())
    without.loss.perceptual_weight = 0.0
    return make_gaugan(without, labels)


def _say_what_next(output: Path, config: Config, networks: Networks) -> None:
    if networks.discriminator is None:
        _say("no latest_net_D.pth: train will begin with a new discriminator")
    defaults = Config().to_dict()
    overrides = [
        f"--config.{section}.{name}={value}"
        for section, values in config.to_dict().items()
        if isinstance(values, dict)
        for name, value in values.items()
        if value != defaults[section][name] and not lacks_for_effect(config, f"{section}.{name}")
    ]
    _say(
        f"converted to {output}. Next:\n"
        f"  {program()} generate --model={output} --labels=DIR --output_dir=out/{config.name}\n"
        f"  {program()} export --model={output} --output_dir=saved_models/{config.name}\n"
        f"  {program()} train --config=paired_folder --data_dir=data "
        f"--workdir={output} {' '.join(overrides)}"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
