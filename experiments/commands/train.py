"""Trains an experiment."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.setup.config import Config, ConfigError
from experiments.setup.initialization import initialize
from experiments.setup.lock import locked
from experiments.setup.preflight import check_training, is_drawn
from experiments.setup.program import program
from experiments.setup.resume import explained_losses, read_course, resume
from experiments.setup.teacher import check_teacher
from experiments.setup.workdir import check_same, check_same_labels, follow_instances, write_workdir
from pipelines.sources.wording import counted
from spade_tf.training.cluster import cluster_for

if TYPE_CHECKING:
    from spade_tf.training.course import Course


def train(
    config: Config,
    *,
    data_dir: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    strategy: str = "auto",
    num_virtual_cpus: int = 1,
    profile_steps: tuple[int, int] | None = None,
    connect_seconds: float = 300.0,
    init_from: str | None = None,
) -> int:
    """Trains, from the newest checkpoint of the workdir if there is one.

    The built-in landscapes are drawn first if they have not been prepared.

    Args:
        config: the experiment.
        data_dir: folder of prepared data sets.
        workdir: folder for checkpoints, samples and losses.
        strategy: see `spade_tf.training.strategy.make_strategy`.
        num_virtual_cpus: int >= 1, devices to split the processor into, for `MirroredStrategy`
            without GPUs.
        profile_steps: first and last step to profile for TensorBoard; None for none.
        connect_seconds: float > 0, how long to wait for the other workers to start.
        init_from: workdir, or one of its checkpoints, whose weights this training starts from;
            None for the configuration's own.

    Returns:
        The total number of steps done.

    Raises:
        ConfigError: if the configuration cannot be used, or the workdir is another's.
        DataError: if the data set is not there or does not fit.
        CheckpointError: if a checkpoint cannot be written or read.
    """
    workdir = Path(workdir)
    if init_from is not None:
        config = dataclasses.replace(config, init_from=init_from)
    config = check_training(config, data_dir=data_dir, workdir=workdir, profile_steps=profile_steps)
    if num_virtual_cpus < 1:
        raise ConfigError(f"--num_virtual_cpus={num_virtual_cpus}: give 1 or more")
    cluster = cluster_for(strategy)
    with locked(workdir) if cluster is None or cluster.place == 0 else contextlib.nullcontext():
        devices = _make_devices(config, strategy, num_virtual_cpus, connect_seconds)
        return _train(config, data_dir, workdir, devices, profile_steps)


def _make_devices(
    config: Config, strategy: str, num_virtual_cpus: int, connect_seconds: float
) -> Any:
    import tensorflow as tf

    from spade_tf.layers.convolution import only_processors
    from spade_tf.training.strategy import check_batch_size, configure_virtual_cpus, make_strategy

    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    if num_virtual_cpus != 1:
        configure_virtual_cpus(num_virtual_cpus)
    devices = make_strategy(strategy, connect_seconds)
    check_batch_size(config.train.batch_size, devices)
    _check_parts(config, devices.num_replicas_in_sync)
    if only_processors():
        # Grappler takes more than half of the first step's time. On processors, later steps then
        # take as long as without it. On GPUs it chooses the layout of convolutions.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    return devices


def _train(
    config: Config,
    data_dir: str | os.PathLike[str],
    workdir: Path,
    devices: Any,
    profile_steps: tuple[int, int] | None,
) -> int:
    from spade_tf.training.checkpoints import latest_step
    from spade_tf.training.guard import NonFiniteError
    from spade_tf.training.strategy import from_chief, is_chief

    chief = is_chief(devices)
    with explained_losses():
        if chief:
            _remove_partial(workdir)
        else:
            # The chief may have to draw the data first.
            from_chief(devices, 0)
        builder, labels = _open_or_draw(config, data_dir)
        if chief:
            from_chief(devices, 0)
        config = follow_instances(config, labels.has_instance)
        check_same(config, workdir)
        check_same_labels(labels.to_metadata(), workdir)
        check_teacher(config, list(labels.class_names))
        course = read_course(config, workdir)
        if chief:
            write_workdir(config, workdir, labels.to_metadata(), str(data_dir))
        newest = latest_step(workdir / "checkpoints")
        (rate_factor,) = from_chief(devices, course.at(newest).rate_factor)
        run = _Run(config, builder, labels, workdir, devices, course, profile_steps)
        failures: list[NonFiniteError] = []
        while True:
            try:
                done = _run(run, rate_factor)
                break
            except NonFiniteError as error:
                failures.append(error)
                if len(failures) > config.train.max_rollbacks:
                    raise ConfigError(_non_finite(failures)) from error
                _say(f"{error}; going back to the last checkpoint, at half the learning rate")
                rate_factor /= 2
                if chief:
                    # At once, so that a restart before the next checkpoint knows it, too.
                    newest = latest_step(workdir / "checkpoints")
                    course.go_on(newest, config.train.batch_size, rate_factor)
        # A worker that ends while the chief still writes would count as lost.
        from_chief(devices, 0)
    if chief:
        _say(_next_commands(config, workdir, done))
    return done


class _Run(NamedTuple):
    """What stays the same when a training goes back to a checkpoint."""

    config: Config
    builder: Any
    labels: Any
    workdir: Path
    devices: Any
    course: Course
    profile_steps: tuple[int, int] | None


def _run(run: _Run, rate_factor: float) -> int:
    """Trains from the newest checkpoint to the last step, and returns that step."""
    import tensorflow as tf

    from experiments.setup.assemble import make_gaugan
    from experiments.setup.callbacks import make_callbacks
    from pipelines.reading.records import corrupt_record_error
    from spade_tf.training import loop
    from spade_tf.training.checkpoints import Checkpoints
    from spade_tf.training.strategy import is_chief

    config, builder, labels, workdir, devices, course, profile_steps = run
    settings, chief = config.train, is_chief(devices)
    with devices.scope():
        model = make_gaugan(config, labels, rate_factor)
    checkpoints = Checkpoints(
        model, workdir / "checkpoints", settings.max_to_keep, asynchronous=chief
    )
    if chief:
        checkpoints.remove_orphans()
    start_step, start_example = resume(
        checkpoints, course, settings.batch_size, rate_factor, devices
    )
    if config.init_from and not start_step:
        with devices.scope():
            lines = initialize(model, config, labels)
        if chief:
            _say("\n".join(lines))
    _announce(run, start_step)
    try:
        return loop.train(
            model,
            _batches(run, start_example),
            strategy=devices,
            steps=settings.steps,
            start_step=start_step,
            jit_compile=settings.jit_compile,
            warmup_steps=config.loss.warmup_steps,
            callbacks=make_callbacks(
                config, builder, labels, workdir, checkpoints, chief, profile_steps
            ),
        )
    except tf.errors.OpError as error:
        corrupt = corrupt_record_error(error)
        if corrupt is not None:
            raise corrupt from error
        raise
    finally:
        # A checkpoint must be complete before a training that goes back reads it.
        checkpoints.close()


def _batches(run: _Run, start_example: int) -> Any:
    """The data set; of several workers, a function that makes the one of a worker."""
    from experiments.setup.assemble import make_batches
    from spade_tf.training.strategy import is_multi_worker

    batch_size = run.config.train.batch_size
    examples = functools.partial(
        make_batches,
        run.config,
        run.builder,
        run.config.data.train_split,
        training=True,
        batch_size=batch_size,
        start_example=start_example,
    )

    def of_worker(context):
        import tensorflow as tf

        share = examples(input_context=context)
        # One element per replica, in the order of the rows.
        each = batch_size // context.num_replicas_in_sync
        return share.unbatch().batch(each, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    return of_worker if is_multi_worker(run.devices) else examples()


def _announce(run: _Run, start_step: int) -> None:
    config, settings, profile_steps = run.config, run.config.train, run.profile_steps
    _say(
        f"training {config.name} at {config.data.height}x{config.data.width}, batch "
        f"{settings.batch_size} on {counted(run.devices.num_replicas_in_sync, 'device')}, to step "
        f"{settings.steps}; samples and losses in {run.workdir}"
    )
    if start_step >= settings.steps:
        _say(f"{start_step} steps are done already; for more, give a higher --config.train.steps")
    if profile_steps is not None and profile_steps[0] <= start_step:
        _say(
            f"--profile_steps={profile_steps[0]},{profile_steps[1]}: nothing is profiled, as the "
            f"training goes on after step {start_step}"
        )
    # A training that goes on cannot change it.
    if config.optimizer.decay_steps > settings.steps and not start_step:
        _say(
            f"optimizer.decay_steps={config.optimizer.decay_steps} is more than "
            f"train.steps={settings.steps}: the rates fall to zero over all steps; for constant "
            "rates give --config.optimizer.decay_steps=0"
        )


def _remove_partial(workdir: Path) -> None:
    """Removes files that a killed process left half-written."""
    for path in [*workdir.glob("*.part"), *workdir.glob("samples/*.part")]:
        path.unlink(missing_ok=True)


def _check_parts(config: Config, replicas: int) -> None:
    parts, each = config.train.accumulation_steps, config.train.batch_size // replicas
    if each % parts:
        fitting = [number for number in range(1, each + 1) if not each % number]
        raise ConfigError(
            f"--config.train.accumulation_steps={parts}: each of {replicas} devices has {each} "
            f"pictures of train.batch_size={config.train.batch_size}, which must divide into so "
            f"many parts; give one of {', '.join(map(str, fitting))}"
        )


def _open_or_draw(config, data_dir):
    from pipelines.prepare.prepare import prepare
    from pipelines.prepare.read_ahead import num_cores
    from pipelines.reading.prepared import label_set, open_dataset
    from pipelines.schema import DataError

    try:
        builder = open_dataset(config.data.prepared, data_dir)
    except DataError:
        if not is_drawn(config):
            raise
        # The built-in data set needs no source: draw it at the size that is loaded.
        prepare(
            "landscapes",
            data_dir=data_dir,
            height=config.data.load_height,
            width=config.data.load_width,
            num_train=1500,
            num_val=64,
            num_processes=num_cores(),
        )
        builder = open_dataset(config.data.prepared, data_dir)
    return builder, label_set(builder)


def _non_finite(failures: list) -> str:
    story = "; ".join(str(error) for error in failures)
    return (
        f"training gave NaN or infinity {counted(len(failures), 'time')}, with the learning rate "
        f"halved each time ({story}); look for wrong pictures around those steps, lower "
        "--config.optimizer.generator_learning_rate, or give --config.optimizer.clip_norm=1"
    )


def _next_commands(config: Config, workdir: Path, done: int) -> str:
    state = "finished" if done >= config.train.steps else "stopped, to go on run the same command"
    name = workdir.resolve().name
    model, out = f"--model={workdir}", f"out/{name}"
    commands = [["generate", model, f"--output_dir={out}"]]
    if config.data.use_canvas:
        # Servers cannot compose canvases, so that such a model is not exported.
        commands.append(["evaluate", model, f"--output_dir={out}_evaluation"])
    else:
        # The repository's own model has this name.
        name = "my_landscapes" if name == "landscapes" else name
        target = f"--output_dir=saved_models/{name}"
        commands.append(["export", model, "--format=saved_model", target])
    return "\n".join(
        [
            f"step {done}: {state}. Curves and samples: {workdir / 'report.html'}. Next:",
            *(f"  {program()} {shlex.join(arguments)}" for arguments in commands),
        ]
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
