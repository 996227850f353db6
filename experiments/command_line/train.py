"""The `train` command."""

from __future__ import annotations

import os
import sys

from experiments.command_line.command import Command, Flags
from experiments.setup.config import ConfigError

STRATEGIES = ("auto", "one", "mirrored", "multi_worker_mirrored", "tpu")


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.string("workdir", None, "Folder to write; default runs/NAME.")
    flags.string(
        "init_from",
        None,
        "Workdir of a training, or a checkpoint in it, to start from the weights of; its classes "
        "may be others.",
    )
    flags.enum(
        "strategy",
        "auto",
        STRATEGIES,
        "What to train on; auto: the workers of TF_CONFIG, or all devices of this machine.",
    )
    flags.integer(
        "num_virtual_cpus",
        1,
        "Devices to split the processor into: MirroredStrategy without GPUs.",
        not_with="strategy=one",
    )
    flags.integer(
        "local_workers", 0, "Worker processes to start on this machine, to try.", lower_bound=0
    )
    flags.float("connect_seconds", 300.0, "How long to wait for the other workers.")
    flags.list("profile_steps", None, "First and last step to profile for TensorBoard.")


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
