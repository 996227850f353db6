"""Counts the answers of a study: which model is preferred, and how sure that is."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.commands.study.make import KEY
from experiments.setup.config import ConfigError
from experiments.setup.output import write_text
from spade_tf.metrics.intervals import bootstrap_interval

COLUMNS = ("study", "participant", "trial", "left", "right", "chosen")
PREFERENCE = "preference.json"
_Z95 = 1.959963984540054


class Answer(NamedTuple):
    """One choice.

    Attributes:
        participant: who chose.
        trial: the key's entry.
        is_first: whether the first model's picture, or the layout's photograph, was chosen.
        is_left: whether the left one was.
    """

    participant: str
    trial: Mapping[str, Any]
    is_first: bool
    is_left: bool


def count_answers(
    answers: str | os.PathLike[str],
    *,
    output_dir: str | os.PathLike[str],
    min_checks: float = 0.75,
) -> dict[str, Any]:
    """Computes the preference, prints it, and writes `preference.json` into the study's folder.

    Args:
        answers: folder of CSV files.
        output_dir: folder of the study.
        min_checks: float in [0, 1], share of the attention checks that somebody has to answer
            rightly to be counted.

    Returns:
        The content of `preference.json`.

    Raises:
        ConfigError: if there is no study, or no answer to count, or a file is none of its answers.
    """
    if not 0 <= min_checks <= 1:
        raise ConfigError(f"--min_checks={min_checks}: give a share, 0 to 1")
    folder = Path(output_dir)
    key = _read_key(folder)
    if not Path(answers).is_dir():
        raise ConfigError(f"--answers={answers}: no such folder; give the folder of answers")
    files = sorted(Path(answers).glob("*.csv"))
    if not files:
        raise ConfigError(f"--answers={answers}: no CSV files in it; give the folder of answers")
    found: dict[tuple[str, str], Answer] = {}
    for path in files:
        for answer in _read(path, key):
            # A file that was sent twice counts once.
            found.setdefault((answer.participant, answer.trial["trial"]), answer)
    content = preference(list(found.values()), key["models"], min_checks)
    write_text(folder / PREFERENCE, json.dumps(content, indent=1) + "\n")
    _print(content, folder)
    return content


def preference(
    answers: Sequence[Answer], models: Sequence[str], min_checks: float
) -> dict[str, Any]:
    """How often the first model's pictures are preferred, with a 95 % interval.

    The interval is the wider one of two: Wilson's, of independent answers; and that of drawing the
    layouts again, as answers on one layout are alike.

    Args:
        answers: of all participants, at most one of each to a trial.
        models: names of the two models.
        min_checks: share of the attention checks that somebody has to answer rightly.

    Raises:
        ConfigError: if nobody's answers count.

    Reference: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    checks: dict[str, list[bool]] = {}
    for answer in answers:
        mine = checks.setdefault(answer.participant, [])
        if answer.trial["kind"] == "check":
            mine.append(answer.is_first)
    left_out = sorted(
        who for who, right in checks.items() if right and sum(right) / len(right) < min_checks
    )
    counted = [
        answer
        for answer in answers
        if answer.participant not in left_out and answer.trial["kind"] == "pair"
    ]
    if not counted:
        raise ConfigError(
            f"--answers: no answers to count of {len(checks)} participants, of whom "
            f"{len(left_out)} failed the attention checks; collect more, or lower --min_checks"
        )
    layouts: dict[str, list[int]] = {}
    for answer in counted:
        layouts.setdefault(answer.trial["layout"], [0, 0])[0] += answer.is_first
        layouts[answer.trial["layout"]][1] += 1
    chosen, total = np.array(list(layouts.values())).T
    share = float(chosen.sum() / total.sum())
    wilson = wilson_interval(int(chosen.sum()), int(total.sum()))
    drawn = bootstrap_interval(
        lambda index: float(chosen[index].sum() / total[index].sum()),
        len(total),
        num_resamples=1000,
        bounds=(0.0, 1.0),
    )
    return {
        "models": list(models),
        "preferred": models[0] if share > 0.5 else models[1] if share < 0.5 else None,
        "share_of_first": share,
        "interval": [min(wilson[0], drawn[0]), max(wilson[1], drawn[1])],
        "answers": len(counted),
        "participants": len(checks) - len(left_out),
        "left_out": left_out,
        # Far from a half, it says that people did not look.
        "share_of_left": sum(answer.is_left for answer in counted) / len(counted),
        "layouts": {name: {"first": one, "answers": all_} for name, (one, all_) in layouts.items()},
    }


def wilson_interval(chosen: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Args:
        chosen: int >= 0.
        total: int >= 1.
    """
    share, square = chosen / total, _Z95**2 / total
    middle = (share + square / 2) / (1 + square)
    half = _Z95 * math.sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _read_key(folder: Path) -> dict[str, Any]:
    try:
        key = json.loads((folder / KEY).read_text())
        key["trials"] = {trial["trial"]: trial for trial in key["trials"]}
        return {**key, "study": key["study"], "models": key["models"]}
    except FileNotFoundError:
        raise ConfigError(
            f"--output_dir={folder}: no {KEY} in it; give the folder where the study was made"
        ) from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"--output_dir={folder}: {KEY} cannot be read ({error}); give the folder where the "
            "study was made"
        ) from error


def _read(path: Path, key: Mapping[str, Any]) -> Iterator[Answer]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    for line, row in enumerate(rows, 2):
        missing = [name for name in COLUMNS if not row.get(name)]
        if missing:
            raise ConfigError(
                f"{path}: line {line} has no {', '.join(missing)}; give the files that the page "
                "makes"
            )
        if row["study"] != key["study"]:
            raise ConfigError(
                f"{path}: line {line} is of the study {row['study']}, not of {key['study']}; "
                "remove the file from --answers"
            )
        trial = key["trials"].get(row["trial"])
        if trial is None or {row["left"], row["right"]} != {"1", "2"}:
            raise ConfigError(f"{path}: line {line}: there is no such trial in {KEY}")
        if row["chosen"] not in ("1", "2"):
            raise ConfigError(f"{path}: line {line}: chosen is {row['chosen']}; it can be 1 or 2")
        yield Answer(
            row["participant"],
            trial,
            row["chosen"] == str(trial["first"]),
            row["chosen"] == row["left"],
        )


def _print(content: Mapping[str, Any], folder: Path) -> None:
    low, high = content["interval"]
    first, second = content["models"]
    print(
        f"{first} is preferred to {second} in {100 * content['share_of_first']:.1f} % of "
        f"{content['answers']} answers, 95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    )
    print(
        f"{content['participants']} participants; {len(content['left_out'])} more failed the "
        f"attention checks and are left out; {folder / PREFERENCE}",
        file=sys.stderr,
    )
