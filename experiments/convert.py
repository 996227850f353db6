"""Turns checkpoints of the official release into workdirs, and back."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.schema import Config, ConfigError, read_workdir, write_workdir

if TYPE_CHECKING:
    from pipelines.schema import LabelSet
    from spade_tf.convert.nvlabs import Networks, Options

_FORMATS = ("nvlabs",)
_GAN_MODES = {"hinge": "hinge", "ls": "least_squares", "original": "original", "w": "wasserstein"}


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

    A workdir so written is taken by `generate`, `export` and `train`, which goes on from its
    weights with fresh optimizers. Of a workdir, what `generate` uses is written: the generator with
    averaged weights, where they were averaged.

    Args:
        output: folder to write; must not exist, or be empty.
        source: "nvlabs", to convert from the official release.
        target: "nvlabs", to convert to it. One of the two must be given.
        checkpoint_dir: from: folder of `latest_net_G.pth`, and `latest_net_D.pth` and
            `latest_net_E.pth` if there are.
        model: to: the workdir.
        options: from: official options, or a JSON file of them; see
            `spade_tf.convert.nvlabs.load_networks`.
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
        config, labels, networks = _from_nvlabs(
            Path(checkpoint_dir), options, class_names, dataset, data_dir, unknown_first
        )
        _write(output, config, labels, networks, data_dir)
        _say_what_next(output, config, networks)
    else:
        if model is None:
            raise ConfigError("--target=nvlabs needs --model, the workdir of a training")
        _to_nvlabs(Path(model), output, unknown_first, legacy)
        _say(f"converted {model} to {output}, as the official release loads it")
    return output


def _from_nvlabs(
    folder: Path,
    options: Mapping[str, Any] | str | os.PathLike[str] | None,
    class_names: Sequence[str] | str | os.PathLike[str] | None,
    dataset: str | None,
    data_dir: str | os.PathLike[str],
    unknown_first: bool,
) -> tuple[Config, LabelSet, Networks]:
    from spade_tf.convert.nvlabs import ConversionError, load_networks, read_options
    from spade_tf.convert.nvlabs_options import given_options

    official = read_options(folder, options)
    labels = _labels(official, class_names, dataset, data_dir)
    networks = load_networks(folder, options, unknown_first=unknown_first)
    if networks.generator is None:
        raise ConversionError(f"{folder}: no latest_net_G.pth in it, and no model without it")
    if networks.encoder is not None and networks.encoder.image_size != official.image_size:
        raise ConversionError(
            f"{folder}: its encoder reads pictures of 256x256 and its generator makes others, "
            f"{official.image_size[0]}x{official.image_size[1]}, which a workdir cannot hold; "
            "move latest_net_E.pth away to convert the rest"
        )
    config = _config(folder.name, official, networks, given_options(folder, options)[0])
    config.data.dataset = dataset or config.data.dataset
    config.validate()
    return config, labels, networks


def _labels(
    official: Options,
    class_names: Sequence[str] | str | os.PathLike[str] | None,
    dataset: str | None,
    data_dir: str | os.PathLike[str],
) -> LabelSet:
    from pipelines.inspection import read_class_names
    from pipelines.prepare import label_set, open_dataset
    from pipelines.schema import LabelSet, default_palette

    count, has_unknown = official.label_nc, official.contain_dontcare_label
    if dataset is not None:
        if class_names is not None:
            raise ConfigError(f"--dataset={dataset} has class names; leave --class_names out")
        labels = label_set(open_dataset(dataset, data_dir))
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
    return LabelSet(
        names, default_palette(count, has_unknown), has_unknown, not official.no_instance
    )


def _config(name: str, official: Options, networks: Networks, given: Mapping[str, Any]) -> Config:
    """The configuration that makes these networks, and trains them as the options say."""
    spectral_norm, norm, kernel_size = official.generator_norm
    config = Config(name=name)
    data = config.data
    data.height, data.width = official.image_size
    # In the proportion of the paper's 286 to 256.
    data.load_height, data.load_width = (-(-size * 286 // 256) for size in official.image_size)
    data.use_instance = not official.no_instance
    config.generator.filters = official.ngf
    config.generator.kernel_size = kernel_size
    config.generator.norm = norm
    config.generator.num_upsampling_layers = official.num_upsampling_layers
    config.generator.spectral_norm = spectral_norm
    config.generator.z_dim = official.z_dim if official.use_vae else 0
    config.discriminator.filters = official.ndf
    config.discriminator.num_scales = official.num_D
    config.discriminator.num_layers = official.n_layers_D
    config.encoder.enabled = networks.encoder is not None
    config.encoder.filters = official.ngf if networks.encoder else config.encoder.filters

    if given.get("gan_mode", "hinge") not in _GAN_MODES:
        raise ConfigError(
            f"gan_mode={given['gan_mode']!r} of the options: give one of {', '.join(_GAN_MODES)}"
        )
    loss, optimizer = config.loss, config.optimizer
    loss.adversarial = _GAN_MODES[given.get("gan_mode", "hinge")]
    loss.feature_matching_weight = _number(given, "lambda_feat", loss.feature_matching_weight)
    loss.perceptual_weight = _number(given, "lambda_vgg", loss.perceptual_weight)
    loss.kl_weight = _number(given, "lambda_kld", loss.kl_weight)
    if given.get("no_ganFeat_loss"):
        loss.feature_matching_weight = 0.0
    if given.get("no_vgg_loss"):
        loss.perceptual_weight = 0.0
    optimizer.beta_1 = _number(given, "beta1", optimizer.beta_1)
    optimizer.beta_2 = _number(given, "beta2", optimizer.beta_2)
    rate = _number(given, "lr", 2 * optimizer.generator_learning_rate)
    # The two time-scale update rule, as the official release derives it from one rate.
    apart = 1 if given.get("no_TTUR") else 2
    optimizer.generator_learning_rate = rate / apart
    optimizer.discriminator_learning_rate = rate * apart
    return config


def _number(given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}={value!r} of the options: give a number")
    return float(value)


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
    # Beside the output and then renamed, so that no half of a workdir is left.
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
    from spade_tf.convert.nvlabs import Networks, save_networks
    from spade_tf.training.checkpoints import restore_networks

    content = read_workdir(workdir)
    config = Config.from_dict(content["config"])
    labels = LabelSet.from_metadata(content["labels"])
    model = _gaugan(config, labels)
    name = "generator" if model.average is None else "average_generator"
    generator = getattr(model, name)
    parts = {name: generator, "discriminator": model.discriminator, "encoder": model.encoder}
    restore_networks(workdir / "checkpoints", **parts)
    save_networks(
        Networks(generator, model.discriminator, model.encoder),
        output,
        options=_training_options(config) | {"contain_dontcare_label": labels.has_unknown},
        unknown_first=unknown_first,
        legacy=legacy,
    )


def _training_options(config: Config) -> dict[str, Any]:
    loss, optimizer = config.loss, config.optimizer
    modes = {ours: theirs for theirs, ours in _GAN_MODES.items()}
    options = {
        "gan_mode": modes[loss.adversarial],
        "lambda_feat": loss.feature_matching_weight,
        "lambda_vgg": loss.perceptual_weight,
        "lambda_kld": loss.kl_weight,
        "no_ganFeat_loss": not loss.feature_matching_weight,
        "no_vgg_loss": not loss.perceptual_weight,
        "beta1": optimizer.beta_1,
        "beta2": optimizer.beta_2,
    }
    apart = optimizer.discriminator_learning_rate / optimizer.generator_learning_rate
    # Other proportions of the two rates have no official option.
    if apart in (1.0, 4.0):
        rate = optimizer.generator_learning_rate * apart**0.5
        options |= {"lr": rate, "no_TTUR": apart == 1.0}
    return options


def _gaugan(config: Config, labels: LabelSet) -> Any:
    """The experiment's model, without looking for the weights of a perceptual network."""
    from experiments.assemble import make_gaugan

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
        if value != defaults[section][name]
    ]
    _say(
        f"converted to {output}. Next:\n"
        f"  python run.py generate --model={output} --labels=DIR --output_dir=out/{config.name}\n"
        f"  python run.py export --model={output} --output_dir=saved_models/{config.name}\n"
        f"  python run.py train --config=experiments/paired_folder.py --data_dir=data "
        f"--workdir={output} {' '.join(overrides)}"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
