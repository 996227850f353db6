"""The flags that say which model makes pictures, and what judges them."""

from __future__ import annotations

from typing import Any

from experiments.command_line.command import Flags

# What a command takes that is given no model.
SHIPPED = "; default the trained model of landscapes that comes with a clone"


def define_model(flags: Flags, *, shipped: bool = False) -> None:
    """Defines the flags of a model in a folder or on a server.

    Args:
        flags: of the command.
        shipped: whether the model of landscapes that comes with a clone is the default.
    """
    required = (
        "the workdir of a training, such as --model=runs/landscapes, or a SavedModel; or a server "
        "with --endpoint=http://HOST:PORT"
    )
    flags.string(
        "model",
        None,
        f"Workdir of a training, a SavedModel, or a LiteRT file{SHIPPED if shipped else ''}.",
        not_with="endpoint",
        required=None if shipped else required,
    )
    flags.string("endpoint", None, "Server to ask: grpc://HOST:PORT or http://HOST:PORT.")
    flags.string(
        "model_name",
        None,
        "Name of the model on the server.",
        only_with="endpoint",
        required="the model's name on the server, such as --model_name=landscapes",
    )


def define_data_dir(flags: Flags, not_with: str = "labels") -> None:
    """Defines the flag that says where a model's data set is."""
    flags.string(
        "data_dir",
        None,
        "Folder of prepared data sets, if it was moved since the training.",
        not_with=not_with,
    )


def define_features(flags: Flags, help: str, **more: Any) -> None:
    """Defines the flags of the networks whose features are compared."""
    flags.list("features", ["efficientnet_lite2"], help, **more)
    flags.string(
        "inception_weights",
        None,
        "File of FID's network, pt_inception-2015-12-05-6726825d.pth.",
        only_with="features=inception",
        required="the file, such as --inception_weights=pt_inception-2015-12-05-6726825d.pth",
    )
