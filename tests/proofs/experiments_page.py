"""Makes the figures of docs/EXPERIMENTS.md anew from the workdir of a sweep.

    python tests/proofs/experiments_page.py runs/ablations
    python tests/proofs/experiments_page.py runs/bake_off --experiment=bake_off

It writes the raw numbers to docs/results/ablations.json (or bake_off.json), the picture to
docs/images/ablations.png, and the parts of the page between its marks: how much was trained, the
table, and of the ablations which of the paper's orderings hold. The sweep is only read, and may
still be running. The rest of the page is written by hand: read it again after this.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from experiments import ablations, bake_off  # noqa: E402
from experiments.commands.sweep.orderings import Ordering, orderings_markdown  # noqa: E402
from experiments.commands.sweep.pictures import draw_pictures  # noqa: E402
from experiments.commands.sweep.table import markdown, read_results, summarise  # noqa: E402
from experiments.setup.output import write_text  # noqa: E402

PAGE = ROOT / "docs/EXPERIMENTS.md"
EXPERIMENTS = {"ablations": ablations, "bake_off": bake_off}


def main() -> int:
    """Writes numbers, picture and page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workdir", type=Path, help="of a sweep")
    parser.add_argument("--experiment", choices=EXPERIMENTS, default="ablations")
    given = parser.parse_args()
    variants = EXPERIMENTS[given.experiment].VARIANTS
    results = read_results(given.workdir, variants)
    if not results:
        print(f"{given.workdir}: no run of {given.experiment} is done in it", file=sys.stderr)
        return 1
    content = summarise(given.experiment, variants, results)
    page = filled(PAGE.read_text(encoding="utf-8"), parts(content))
    write_text(numbers(given.experiment), json.dumps(content, indent=1) + "\n")
    draw_pictures(given.workdir, results, picture(given.experiment))
    write_text(PAGE, page)
    print(f"{len(content['rows'])} rows: {PAGE}", file=sys.stderr)
    return 0


def numbers(experiment: str) -> Path:
    """The file of the raw numbers of an experiment."""
    return ROOT / f"docs/results/{experiment}.json"


def picture(experiment: str) -> Path:
    """The picture of an experiment."""
    return ROOT / f"docs/images/{experiment}.png"


def parts(content: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the page that numbers decide, by the names of their marks.

    Args:
        content: of `sweep.json`.
    """
    experiment = content["experiment"]
    counts = sorted({len(row["seeds"]) for row in content["rows"]})
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    count, total = len(content["rows"]), len(EXPERIMENTS[experiment].VARIANTS)
    rows = (
        f"All {total} rows are trained"
        if count == total
        else f"{count} of the {total} rows are trained so far"
    )
    done = f"{rows}, with {seeds} seed{'' if counts == [1] else 's'} each."
    if experiment == "bake_off":
        return {"bake-off": f"{done}\n\n{markdown(content, intervals=True).strip()}"}
    orderings = [Ordering(*each) for each in ablations.ORDERINGS]
    return {
        "table": f"{done}\n\n{markdown(content).strip()}",
        "orderings": orderings_markdown(content, orderings, "in the paper"),
    }


def filled(page: str, made: Mapping[str, str]) -> str:
    """The page with its marked parts made anew.

    Args:
        page: its text.
        made: the text of each part, by name.

    Raises:
        ValueError: if the page does not have the marks of a part once.
    """
    for name, text in made.items():
        begin, end = f"<!-- made: {name} -->", f"<!-- end: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"{PAGE}: {begin} … {end} should be there once")
        head, tail = page.partition(begin)[0], page.partition(end)[2]
        page = f"{head}{begin}\n{text}\n{end}{tail}"
    return page


if __name__ == "__main__":
    sys.exit(main())
