"""Times cases in turns, prints each result at once, and shows progress."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from experiments.commands.benchmark.cases import Layout, Setting, gmac

Seconds = Mapping[str, Mapping[str, list[float]]]


class Run(NamedTuple):
    """How a suite is run.

    Attributes:
        suite: name of the suite, part of every line.
        repeats: int >= 1, timed runs per case and label map.
        quick: whether to leave out slow parts: memory, and cases that no main ratio needs.
    """

    suite: str
    repeats: int
    quick: bool = False


def interleave(
    run: Run,
    setting: Setting,
    cases: Mapping[str, Callable[[Layout], Any]],
    layouts: Sequence[Layout],
    *,
    rss: Mapping[str, int] | None = None,
    warm: bool = False,
    batch: int = 1,
) -> dict[str, dict[str, list[float]]]:
    """Times cases in turns, and prints a line per case as soon as a label map is done.

    Args:
        run: how the suite is run.
        setting: the generator that is timed.
        cases: functions to time, by name: "CASE/DTYPE".
        layouts: label maps to time them with.
        rss: peak memory by case, in bytes.
        warm: whether all cases have already run with all label maps. If not, each runs once first.
        batch: int >= 1, pictures per run.

    Returns:
        Seconds by case and label map.
    """
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in cases}
    shares = {}
    for layout in progress(layouts, "label maps"):
        for case in () if warm else cases.values():
            case(layout)
        for _ in range(run.repeats):
            for name, case in cases.items():
                start = time.perf_counter()
                case(layout)
                taken = time.perf_counter() - start
                seconds[name].setdefault(layout.name, []).append(taken)
        shares[layout.name] = distinct_share(setting, layout)
        for name in cases:
            times = seconds[name][layout.name]
            _print_case(run, setting, name, layout.name, times, shares[layout.name], rss, batch)
    if len(layouts) > 1:
        share = float(np.median(list(shares.values())))
        for name, by_layout in seconds.items():
            medians = [float(np.median(taken)) for taken in by_layout.values()]
            _print_case(run, setting, name, "all", medians, share, rss, batch)
    return seconds


def progress(items: Iterable[Any], what: str) -> Iterator[Any]:
    """Goes through items with a progress bar on standard error."""
    return iter(tqdm(items, desc=what, leave=False, file=sys.stderr))


def print_line(line: Mapping[str, Any]) -> None:
    """Writes a JSON line to standard output at once, without disturbing the progress bar."""
    tqdm.write(json.dumps(line), file=sys.stdout)
    sys.stdout.flush()


def _print_case(run, setting, name, labels, taken, share, rss, batch):
    case, dtype = name.split("/")
    work = gmac(setting, batch)
    print_line(
        {
            "suite": run.suite,
            "case": case,
            "dtype": dtype,
            "labels": labels,
            "size": list(setting.size),
            "seconds": {
                "min": round(min(taken), 4),
                "median": round(float(np.median(taken)), 4),
                "max": round(max(taken), 4),
            },
            "peak_rss_bytes": (rss or {}).get(name),
            "gmac": work["main"] if case == "main_convolutions" else round(sum(work.values()), 2),
            "distinct_share": share,
            "threads": os.cpu_count(),
        }
    )


def ratio(seconds: Seconds, one: str, other: str) -> float:
    """Median over label maps of the time of one case divided by that of another."""
    ratios = [
        float(np.median(seconds[one][name]) / np.median(seconds[other][name]))
        for name in seconds[one]
    ]
    return round(float(np.median(ratios)), 4)


def distinct_share(setting: Setting, layout: Layout) -> float:
    """Distinct 5x5 neighbourhoods per pixel, at full size."""
    import tensorflow as tf

    from spade_tf.layers.semantics import Semantics

    semantics = Semantics.from_inputs(
        {"label": tf.constant(layout.label), "instance": tf.constant(layout.instance)},
        num_labels=setting.num_labels,
        use_instance_edges=setting.use_instance,
    )
    return round(int(semantics.neighbourhoods(3).second_count) / layout.label.size, 4)
