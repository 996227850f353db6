"""Checks a student's teacher, and loads its networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.setup.config import Config, ConfigError
from experiments.setup.workdir import read_workdir
from pipelines.sources.wording import counted

if TYPE_CHECKING:
    from spade_tf.training.distillation import Teacher


def check_teacher(config: Config, class_names: list[str] | None = None) -> None:
    """Raises a ConfigError if a student cannot learn from its teacher.

    Args:
        config: configuration of the student; without a teacher, nothing is checked.
        class_names: class names of the student's data set; None if it is not open yet.

    Raises:
        ConfigError: naming what differs.
    """
    if not config.teacher:
        return
    where = f"--config.teacher={config.teacher}"
    if not Path(config.teacher).is_dir():
        raise ConfigError(f"{where}: no such folder; give the workdir of a trained model")
    try:
        content = read_workdir(config.teacher)
        teacher = Config.from_dict(content["config"])
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    same = [
        ("data", "height"),
        ("data", "width"),
        ("data", "use_instance"),
        ("data", "use_canvas"),
        ("generator", "z_dim"),
        ("generator", "class_style_dim"),
        ("encoder", "enabled"),
        ("encoder", "per_class"),
    ]
    if teacher.encoder.enabled:
        # The student's encoder is a copy of the teacher's.
        same.append(("encoder", "filters"))
    for section, name in same:
        ours, theirs = (getattr(getattr(c, section), name) for c in (config, teacher))
        if ours is None and class_names is None:
            continue  # It follows the data set, which is not open yet.
        if ours != theirs:
            raise ConfigError(
                f"{where}: the teacher has {section}.{name}={theirs}, and the student {ours}; "
                f"give --config.{section}.{name}={theirs}, or another teacher"
            )
    architectures = {config.generator.architecture, teacher.generator.architecture}
    weight = config.loss.distillation_feature_weight
    if weight and architectures != {"spade"}:
        raise ConfigError(
            f"--config.loss.distillation_feature_weight={weight}: only generators of "
            "architecture spade have features to compare, on both sides; give 0"
        )
    if not weight and not config.loss.distillation_output_weight:
        raise ConfigError(
            f"{where}: nothing would be learned from it with both weights 0; give more than 0 "
            "to --config.loss.distillation_output_weight or distillation_feature_weight"
        )
    if class_names is not None:
        _check_classes(where, class_names, content["labels"]["class_names"])


def _check_classes(where: str, ours: list[str], theirs: list[str]) -> None:
    if len(ours) != len(theirs):
        found = f"{counted(len(theirs), 'class')}, and the data set {len(ours)}"
    else:
        different = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
        if not different:
            return
        found = f"a class {different[0][1]!r} where the data set has {different[0][0]!r}"
    raise ConfigError(
        f"{where}: the teacher has {found}; give a teacher that was trained on these labels, or "
        "another --data_dir"
    )


def load_teacher(config: Config, labels: Any) -> Teacher:
    """Loads the teacher's networks. Call it within the strategy's scope.

    Args:
        config: configuration of the student.
        labels: the label set of its data set.

    Raises:
        ConfigError: if the student cannot learn from it.
        CheckpointError: if it holds no matching checkpoint.
    """
    from experiments.setup.trained_model import load_workdir
    from spade_tf.training.distillation import Teacher

    check_teacher(config, list(labels.class_names))
    model = load_workdir(config.teacher)
    return Teacher(model.generator, model.encoder)
