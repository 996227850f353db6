"""Trains and scores the variants of an experiment, one after another."""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from experiments.commands.sweep.checks import check_runs
from experiments.commands.sweep.runs import RESULT, Run, count_parameters
from experiments.commands.sweep.table import describe, write_tables
from experiments.setup.config import Config, ConfigError
from experiments.setup.lock import held
from experiments.setup.program import start_command
from pipelines.sources.wording import counted

_SECONDS_BETWEEN_LOOKS = 0.5


def sweep(
    experiment: str,
    variants: Mapping[str, tuple[str, Config]],
    changed: Sequence[str] = (),
    *,
    data_dir: str,
    workdir: str | os.PathLike[str],
    rows: Sequence[str] | None = None,
    seeds: int = 1,
    segmenter: str | None = None,
    max_images: int | None = None,
    features: Sequence[str] = ("efficientnet_lite2",),
    inception_weights: str | None = None,
    table_only: bool = False,
) -> int:
    """Trains and scores variants, each in processes of its own, and tabulates all that are done.

    A killed sweep goes on where it was. What is done with the same settings is not done again.
    A run that fails is named, and the others go on.

    Args:
        experiment: what `--config` names.
        variants: what each variant is, and its configuration, by name.
        changed: keys that were set in these configurations, such as "train.steps".
        data_dir: folder of prepared data sets.
        workdir: folder to write; a run is in `VARIANT/seed-SEED`.
        rows: names of variants; None for all.
        seeds: int >= 1: seeds 0 to `seeds` - 1 are trained, the first one of all rows first.
        segmenter: workdir of a `segment`, or None for no segmentation scores.
        max_images: int >= 2, how many pictures are scored; None for all.
        features: networks whose features are compared; see `evaluate`.
        inception_weights: file of the network of "inception" among the features.
        table_only: whether to tabulate what is done, and to train nothing.

    Returns:
        The number of runs that failed.

    Raises:
        ConfigError: if an argument cannot be used, or another process holds the workdir.
        DataError: if a data set is not there.
    """
    folder = Path(workdir)
    runs = _plan(experiment, variants, changed, folder, rows, seeds)
    titles = {name: title for name, (title, _) in variants.items()}
    if table_only:
        text = write_tables(folder, experiment, titles)
        if not text:
            raise ConfigError(
                f"--workdir={folder}: no {RESULT} of a run in it; nothing is done yet"
            )
        print(text, end="")
        return 0
    settings: dict[str, Any] = {
        "segmenter": None if segmenter is None else os.path.abspath(segmenter),
        "max_images": max_images,
        "features": ",".join(features),
    }
    if inception_weights is not None:
        settings["inception_weights"] = os.path.abspath(inception_weights)
    check_runs(runs, data_dir, settings)
    with held(folder) as lock, _signals() as received:
        pending = [run for run in runs if not run.is_done(settings)]
        _say(f"{counted(len(runs), 'run')}, of which {len(runs) - len(pending)} are done")
        failed = []
        with _bar(pending) as look:
            for run in pending:
                command = _Commands(run, lock, received, look)
                said = _do(run, command, data_dir, settings)
                if said is not None:
                    failed.append(run)
                    _say(f"{run.name}: failed: {said}")
                write_tables(folder, experiment, titles)
    print(write_tables(folder, experiment, titles), end="")
    return len(failed)


def _plan(
    experiment: str,
    variants: Mapping[str, tuple[str, Config]],
    changed: Sequence[str],
    folder: Path,
    rows: Sequence[str] | None,
    seeds: int,
) -> list[Run]:
    if "train.seed" in changed:
        raise ConfigError("--config.train.seed: a sweep counts seeds from 0; give --seeds")
    if seeds < 1:
        raise ConfigError(f"--seeds={seeds}: give 1 or more")
    for row in rows or ():
        if row not in variants:
            raise ConfigError(f"--rows={row}: no such variant; give some of {', '.join(variants)}")
    runs = []
    for seed in range(seeds):
        for name in dict.fromkeys(rows or variants):
            title, config = variants[name]
            config = copy.deepcopy(config)
            config.train.seed = seed
            place = folder / name / f"seed-{seed}"
            runs.append(Run(experiment, name, title, config, tuple(changed), place))
    return runs


def _do(run: Run, command: _Commands, data_dir: str, settings: Mapping[str, Any]) -> str | None:
    """Trains and scores; returns what went wrong, or None."""
    said = command.run(run.training(data_dir))
    if said is None and run.saved_step() < run.config.train.steps:
        # Somebody has ended the training alone, which it takes for no failure.
        said = f"it was stopped at step {run.saved_step()}; the same command goes on"
    if said is None:
        said = command.run(run.evaluation(data_dir, settings))
    if said is not None:
        return said
    result = run.finish(settings, _parameters(run.folder))
    _say(f"{run.name}: {describe(result)}")
    return None


def _parameters(workdir: Path) -> dict[str, int]:
    # In another process: this one does without TensorFlow, which would keep its memory.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_without_stderr) as pool:
        return pool.submit(count_parameters, workdir).result()


def _without_stderr() -> None:
    # TensorFlow's start-up writes lines that no setting turns off. Errors are passed on.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class _Commands:
    """The commands of one run, in processes of their own, with a log each.

    Args:
        run: the run.
        lock: file descriptor of the lock that they hold, too, should this process be killed.
        received: signals that this process has received, which are passed on.
        look: called now and then.
    """

    def __init__(self, run: Run, lock: int, received: list[int], look: Callable[[Run], None]):
        self.run_, self.lock, self.received, self.look = run, lock, received, look

    def run(self, arguments: Sequence[str]) -> str | None:
        """Runs a command; returns what went wrong, or None.

        Raises:
            KeyboardInterrupt: if this process was told to end; the command then has ended.
        """
        if self.received:
            raise KeyboardInterrupt
        self.run_.folder.mkdir(parents=True, exist_ok=True)
        path = self.run_.folder / f"{arguments[0]}.log"
        with path.open("wb") as log:
            process = start_command(
                arguments, stdout=log, stderr=subprocess.STDOUT, pass_fds=(self.lock,)
            )
            try:
                self._wait(process)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        self.look(self.run_)
        if self.received:
            raise KeyboardInterrupt
        return _failure(process.returncode, path)

    def _wait(self, process: subprocess.Popen) -> None:
        passed_on = 0
        while process.poll() is None:
            for number in self.received[passed_on:]:
                passed_on += 1
                process.send_signal(number)
            self.look(self.run_)
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _failure(code: int, log: Path) -> str | None:
    if code == 0:
        return None
    if code < 0:
        return f"killed by {signal.Signals(-code).name}; {log}"
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error: ")] or lines or [f"code {code}"]
    return f"{errors[-1].removeprefix('error: ')} ({log})"


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Notes Ctrl-C and SIGTERM instead of ending this process."""
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _bar(pending: Sequence[Run]) -> Iterator[Callable[[Run], None]]:
    """A progress bar of training steps; gives what updates it."""
    from tqdm import tqdm

    steps = {run.name: run.step() for run in pending}
    # Where there is no terminal, every refresh is a line in somebody's log.
    with tqdm(
        total=sum(run.config.train.steps for run in pending),
        initial=sum(steps.values()),
        unit="step",
        mininterval=0.1 if sys.stderr.isatty() else 60,
        disable=not pending,
    ) as bar:

        def look(run: Run) -> None:
            step = run.step()
            bar.set_description(run.name, refresh=False)
            bar.update(step - steps[run.name])
            steps[run.name] = step

        yield look


def _say(text: str) -> None:
    from tqdm import tqdm

    # Above the bar.
    tqdm.write(text, file=sys.stderr)
