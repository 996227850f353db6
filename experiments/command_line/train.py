"""The `train` command."""

from __future__ import annotations

import os
import sys

from experiments.command_line.command import Command, Flags
from experiments.setup.config import ConfigError
from spade_tf.training.cluster import STRATEGIES


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.string(
        "workdir",
        None,
        "Folder for checkpoints, samples and losses; default runs/NAME of the experiment.",
    )
    flags.string(
        "init_from",
        None,
        "Start from the weights of another training: its workdir, or a checkpoint in it. It may "
        "have had other classes.",
    )
    flags.enum(
        "strategy",
        "auto",
        STRATEGIES,
        "What to train on: auto is the workers that TF_CONFIG names, or all GPUs of this machine.",
    )
    flags.integer(
        "num_virtual_cpus",
        1,
        "Split the processor into so many devices, to try MirroredStrategy without GPUs.",
        not_with="strategy=one",
        lower_bound=1,
    )
    flags.integer(
        "local_workers",
        0,
        "Start so many worker processes on this machine, to try several workers.",
        lower_bound=0,
    )
    flags.float(
        "connect_seconds", 300.0, "How long to wait for the other workers to start, in seconds."
    )
    flags.list(
        "profile_steps", None, "First and last step to profile for TensorBoard, such as 100,110."
    )


def run(flags: Flags) -> int:
    """Trains an experiment."""
    if flags.local_workers > 1:
        from experiments.commands.launcher import train_local_workers

        own = ("--local_workers", "--nolocal_workers")
        of_one = [item for item in sys.argv[2:] if not item.startswith(own)]
        return train_local_workers(flags.local_workers, of_one)
    if flags.given("connect_seconds") and "TF_CONFIG" not in os.environ:
        raise ConfigError(
            f"--connect_seconds={flags.connect_seconds}: no effect without TF_CONFIG or "
            "--local_workers; leave it out"
        )
    # Read when TensorFlow starts. On processors without AVX-512 it is off unless asked for, but a
    # training step then takes a third longer. Inference is faster without, so others leave it off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from experiments.commands.train import train

    train(
        flags.config,
        workdir=flags.workdir or f"runs/{flags.config.name}",
        profile_steps=_steps(flags.profile_steps),
        **flags.arguments(without=["workdir", "profile_steps", "local_workers"]),
    )
    return 0


def _steps(given: list[str] | None) -> tuple[int, int] | None:
    if given is None:
        return None
    if len(given) != 2 or not all(item.isdecimal() for item in given):
        raise ValueError(f"--profile_steps={','.join(given)}: give two steps, such as 100,110")
    return int(given[0]), int(given[1])


COMMAND = Command(
    "trains an experiment, and goes on where it was interrupted",
    define,
    run,
    experiment="landscapes",
)
