"""Pictures and profile of docs/PERFORMANCE.md.

`python tests/proofs/performance_figures.py plot RESULTS.jsonl` draws the output of
`run.py benchmark --suite=generator` as docs/images/performance_generator.png and
performance_share.png (needs matplotlib).

`python tests/proofs/performance_figures.py profile --labels=DIR --instances=DIR` calls each form
once with the label map of median diversity, and writes the milliseconds of each operation to
docs/performance_profile.json.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/helpers"))
sys.path.insert(0, str(ROOT))

FORMS = {
    "dense": "dense",
    "layers": "deduplicated layers",
    "deduplicated_without_xla": "fused",
    "deduplicated": "fastest",
    "main_convolutions": "main convolutions alone",
}
COLORS = {"dense": "#b5543c", "main_convolutions": "#8c9097"}
CASES = [
    *(f"{form}/float32" for form in FORMS),
    *(f"{form}/bfloat16" for form in list(FORMS)[2:]),
]
LEAST_MILLISECONDS = 1.0


def plot(path: Path) -> None:
    """Draws seconds by form, and how they grow with the diversity of the label map."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
    seconds: dict[str, dict[str, float]] = defaultdict(dict)
    shares = {}
    for line in lines:
        if line.get("labels") not in (None, "all", "noise"):
            case = f"{line['case']}/{line['dtype']}"
            seconds[case][line["labels"]] = line["seconds"]["median"]
            shares[line["labels"]] = line["distinct_share"]

    figure, axis = pyplot.subplots(figsize=(9.5, 3.8))
    medians = [statistics.median(seconds[case].values()) for case in CASES]
    forms, dtypes = zip(*(case.split("/") for case in CASES), strict=True)
    bars = axis.barh(
        [f"{dtype}   {FORMS[form]}" for form, dtype in zip(forms, dtypes, strict=True)],
        medians,
        color=[COLORS.get(form, "#2f6f9f") for form in forms],
    )
    axis.bar_label(bars, [f" {median:.2f} s" for median in medians])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.12 * max(medians))
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(
        f"Generator, 97.5 M parameters, 256x256, batch 1, two cores: median of {len(shares)} maps",
        fontsize=11,
    )
    figure.tight_layout()
    figure.savefig(ROOT / "docs/images/performance_generator.png", dpi=100)

    figure, axis = pyplot.subplots(figsize=(8, 4.6))
    for dtype, marker in (("float32", "o"), ("bfloat16", "^")):
        main = seconds[f"main_convolutions/{dtype}"]
        for form, color in (
            ("deduplicated_without_xla", "#67b0dd"),
            ("deduplicated", "#2f6f9f"),
        ):
            taken = seconds[f"{form}/{dtype}"]
            axis.plot(
                [100 * shares[name] for name in taken],
                [taken[name] / main[name] for name in taken],
                marker,
                color=color,
                label=f"{FORMS[form]}, {dtype}",
            )
    axis.set_xlabel("distinct 5x5 neighbourhoods, % of pixels")
    axis.set_ylabel("time / main convolutions alone")
    axis.set_ylim(bottom=0.8)
    axis.grid(axis="y", alpha=0.4)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=9, frameon=False)
    figure.tight_layout()
    figure.savefig(ROOT / "docs/images/performance_share.png", dpi=100)


def profile(labels: Path, instances: Path) -> None:
    """Sums the time of each operation, form by form."""
    from operation_times import milliseconds_by_operation

    from experiments.commands.benchmark.benchmark import read_layouts
    from experiments.commands.benchmark.cases import (
        Setting,
        make_case,
        make_generator,
        make_network,
    )
    from experiments.commands.benchmark.timing import distinct_share

    setting = Setting(num_labels=183, size=(256, 256), use_instance=True, filters=64)
    layouts = read_layouts(labels, instances, setting)
    layout = sorted(layouts, key=lambda each: distinct_share(setting, each))[len(layouts) // 2]
    source, result = make_generator(setting), {}
    for case in CASES:
        compiled, taken = make_case(make_network(case, setting, source)), []

        def run(compiled=compiled):
            compiled(layout.label, layout.instance).numpy()

        for _ in range(4):
            start = time.perf_counter()
            run()
            taken.append(1e3 * (time.perf_counter() - start))
        sums = milliseconds_by_operation(run)
        result[case] = {
            "label_map": layout.name,
            "wall_milliseconds": round(statistics.median(taken[1:]), 1),
            "operations": {
                operation: {"milliseconds": round(sum(each), 1), "calls": len(each)}
                for operation, each in sorted(sums.items(), key=lambda item: -sum(item[1]))
                if sum(each) >= LEAST_MILLISECONDS
            },
        }
        print(case, json.dumps(result[case]), flush=True)
    (ROOT / "docs/performance_profile.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("plot").add_argument("results", type=Path)
    task = tasks.add_parser("profile")
    task.add_argument("--labels", type=Path, required=True)
    task.add_argument("--instances", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.task == "plot":
        plot(arguments.results)
    else:
        profile(arguments.labels, arguments.instances)
