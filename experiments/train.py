"""Trains an experiment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from experiments.schema import Config, check_same, write_workdir


def train(
    config: Config,
    *,
    data_dir: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    num_virtual_cpus: int = 1,
) -> int:
    """Trains, from the newest checkpoint of the workdir on if there is one.

    The built-in landscapes are drawn first where they have not been prepared.

    Args:
        config: the experiment.
        data_dir: where its data set was prepared.
        workdir: where checkpoints, samples and losses go.
        num_virtual_cpus: int >= 1; several make `MirroredStrategy` run without GPUs.

    Returns:
        The number of steps done in all.

    Raises:
        ConfigError: if the configuration cannot be used, or the workdir is another's.
        DataError: if the data set is not there or does not fit.
        CheckpointError: if a checkpoint cannot be written or read.
    """
    config.validate()
    from experiments.assemble import make_batches, make_gaugan
    from pipelines.prepare import label_set
    from spade_tf.training import callbacks, loop, strategy
    from spade_tf.training.checkpoints import Checkpoints

    if num_virtual_cpus != 1:
        strategy.configure_virtual_cpus(num_virtual_cpus)
    devices = strategy.make_strategy()
    strategy.check_batch_size(config.train.batch_size, devices)

    builder = _open_or_draw(config, data_dir)
    labels = label_set(builder)
    workdir = Path(workdir)
    check_same(config, workdir, labels.to_metadata())

    with devices.scope():
        model = make_gaugan(config, labels)
    checkpoints = Checkpoints(model, workdir / "checkpoints", config.train.max_to_keep)
    start_step = checkpoints.restore_latest() or 0
    if start_step:
        _say(f"resumed from step {start_step} of {workdir / 'checkpoints'}")
    batches = make_batches(
        config,
        builder,
        config.data.train_split,
        training=True,
        batch_size=config.train.batch_size,
        start_step=start_step,
    )
    split = config.data.val_split or config.data.train_split
    if split not in builder.info.splits:
        split = config.data.train_split
    samples = next(
        iter(
            make_batches(
                config, builder, split, training=False, batch_size=config.train.num_samples
            )
        )
    )
    write_workdir(config, workdir, labels.to_metadata(), str(data_dir))
    _say(
        f"training {config.name} at {config.data.height}x{config.data.width}, batch "
        f"{config.train.batch_size} on {devices.num_replicas_in_sync} device(s), to step "
        f"{config.train.steps}; samples and losses in {workdir}"
    )
    every = config.train.log_every
    done = loop.train(
        model,
        batches,
        strategy=devices,
        steps=config.train.steps,
        start_step=start_step,
        callbacks=[
            callbacks.SampleGrid(
                workdir / "samples", samples, labels.palette, config.train.sample_every
            ),
            callbacks.JsonLines(workdir / "losses.jsonl", every),
            callbacks.SaveCheckpoints(checkpoints, config.train.checkpoint_every),
            callbacks.ProgressBar(config.train.batch_size, every),
        ],
    )
    _say(_next_commands(config, workdir, done))
    return done


def _open_or_draw(config, data_dir):
    from pipelines.prepare import open_dataset, prepare
    from pipelines.schema import DataError

    try:
        return open_dataset(config.data.dataset, data_dir)
    except DataError:
        if not config.data.dataset.startswith("landscapes"):
            raise
    # The built-in data set needs no source: draw it at the size that is loaded.
    prepare(
        "landscapes",
        data_dir=data_dir,
        height=config.data.load_height,
        width=config.data.load_width,
    )
    return open_dataset(config.data.dataset, data_dir)


def _next_commands(config: Config, workdir: Path, done: int) -> str:
    state = "finished" if done >= config.train.steps else "stopped, to go on run the same command"
    return "\n".join(
        [
            f"step {done}: {state}. Samples: {workdir / 'samples'}. Next:",
            f"  python run.py generate --model={workdir} --output_dir=out/{config.name}",
            f"  python run.py export --model={workdir} "
            f"--format=saved_model --output_dir=saved_models/{config.name}",
        ]
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
