"""docs/EXPERIMENTS.md says what the raw numbers beside it say, whatever rows they have."""

import copy
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import ablations
from experiments.commands.sweep.orderings import Ordering, orderings_markdown, verdict
from experiments.commands.sweep.table import scores_of
from experiments.setup.segmenter_network import WEIGHTS, read_description

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/EXPERIMENTS.md").read_text(encoding="utf-8")
_SPEC = importlib.util.spec_from_file_location(
    "experiments_page", ROOT / "tests/proofs/experiments_page.py"
)
made = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)


@pytest.fixture
def content():
    return read("ablations")


def read(experiment):
    return json.loads(made.numbers(experiment).read_text(encoding="utf-8"))


both = pytest.mark.parametrize("experiment", made.EXPERIMENTS)


@both
def test_the_page_is_made_of_the_raw_numbers(experiment):
    assert made.filled(PAGE, made.parts(read(experiment))) == PAGE


@both
def test_the_picture_has_all_rows(experiment):
    with Image.open(made.picture(experiment)) as picture:
        # Label maps, a row for each variant, real pictures: 128 pixels each, and 6 between them.
        assert picture.height == 134 * (len(read(experiment)["rows"]) + 2)


@both
def test_the_rows_are_trained_as_the_experiment_says(experiment):
    content, module = read(experiment), made.EXPERIMENTS[experiment]
    configs = [module.get_config(row["variant"]) for row in content["rows"]]
    assert content["steps"] == sorted({config.train.steps for config in configs})
    assert content["batch_sizes"] == [configs[0].train.batch_size]
    assert content["datasets"] == [configs[0].data.dataset]
    assert {row["variant"] for row in content["rows"]} <= set(module.VARIANTS)
    # The rows of the bake-off make as many steps as they can in one time; no other thing differs.
    differ = len(content["steps"]) > 1
    assert differ == (experiment == "bake_off")
    assert len(content["warnings"]) == differ
    assert all("numbers of steps" in said for said in content["warnings"])


def test_no_figure_is_written_by_hand():
    prose = re.sub(r"<!-- made: ([\w-]+) -->.*?<!-- end: \1 -->", "", PAGE, flags=re.DOTALL)
    prose = re.sub(r"```.*?```", "", prose, flags=re.DOTALL)
    assert re.findall(r"\d+\.\d+", prose) == []


def test_more_rows_and_seeds_make_another_page(content):
    more = copy.deepcopy(content)
    more["rows"] = [row for row in more["rows"] if row["variant"] not in ("clade", "kernel_1")]
    row = copy.deepcopy(more["rows"][0])
    row.update(variant="clade", title="CLADE", seeds=[0, 1])
    row["scores"]["mIoU"].update(
        mean=0.25, deviation=0.01, values=[0.2429, 0.2571], intervals=[[0.2, 0.3], [0.21, 0.31]]
    )
    more["rows"].append(row)
    page = made.filled(PAGE, made.parts(more))
    assert "| CLADE | 5.85 M | 2 | 0.250 ± 0.0100 |" in page
    total = len(ablations.VARIANTS)
    count = len(more["rows"])
    most = max(len(row["seeds"]) for row in more["rows"])
    said = f"{count} of the {total} rows are trained so far, with 1 to {most} seeds each."
    assert f"\n{said}\n" in page
    # What is written by hand stays, and what is made does not pile up.
    assert made.filled(page, made.parts(content)) == PAGE
    with pytest.raises(ValueError, match="should be there once"):
        made.filled(PAGE.replace("<!-- end: table -->", ""), made.parts(content))


def test_the_orderings_name_variants_and_scores():
    titles = {score.title for score in scores_of(["efficientnet_lite2"], ["time of day"])}
    for each in map(Ordering._make, ablations.ORDERINGS):
        assert each.score in titles
        assert len(each.variants) > 1
        assert set(each.variants) <= set(ablations.VARIANTS)


def of_intervals(higher, **intervals):
    """The content of a sweep whose variants have these intervals, one for each seed."""
    return {
        "columns": [{"title": "s", "higher_is_better": higher}],
        "rows": [
            {"variant": name, "scores": {"s": {"intervals": each} if each else None}}
            for name, each in intervals.items()
        ],
    }


@pytest.mark.parametrize(
    ("higher", "intervals", "expected"),
    [
        (True, {"a": [[5, 6]], "b": [[3, 4]], "c": [[1, 2]]}, ("holds", [])),
        (False, {"a": [[1, 2]], "b": [[3, 4]], "c": [[5, 6]]}, ("holds", [])),
        (True, {"a": [[3, 6]], "b": [[3, 4]], "c": [[1, 2]]}, ("undecided", ["a", "b"])),
        # Two seeds of b: one alone is clearly better than c, both together are not.
        (True, {"a": [[5, 6]], "b": [[3, 4], [1, 2]], "c": [[1, 2]]}, ("undecided", ["b", "c"])),
        (True, {"a": [[5, 6]], "b": [[1, 2]], "c": [[3, 4]]}, ("does not hold", ["b", "c"])),
        # One pair is the wrong way round, whatever the other is.
        (True, {"a": [[1, 4]], "b": [[1, 2]], "c": [[3, 4]]}, ("does not hold", ["b", "c"])),
        (False, {"a": [[3, 4]], "b": [[1, 2]], "c": [[5, 6]]}, ("does not hold", ["a", "b"])),
        (True, {"a": [[5, 6]], "c": [[1, 2]]}, ("not trained", ["b"])),
        (True, {"a": [[5, 6]], "b": None, "c": [[1, 2]]}, ("not trained", ["b"])),
    ],
)
def test_verdicts_by_hand(higher, intervals, expected):
    content = of_intervals(higher, **intervals)
    ordering = Ordering("s", ("a", "b", "c"))
    assert verdict(content, ordering) == expected
    line = orderings_markdown(content, [ordering], "in the paper").splitlines()[-1]
    assert line.startswith("| s | `a` > `b` > `c` | – | ")
    assert expected[0] in line
    assert all(f"`{name}`" in line.rpartition(" | ")[2] for name in expected[1])


def test_a_score_without_a_better_side_has_no_order():
    with pytest.raises(ValueError, match="neither higher nor lower"):
        verdict(of_intervals(None, a=[[1, 2]], b=[[3, 4]]), Ordering("s", ("a", "b")))


def test_the_segmenter_of_the_page_is_there(content):
    described = read_description(ROOT / "docs/results/segmenter")
    assert described["dataset"] == content["datasets"][0]
    # `evaluate` rounds pictures to 8 bits before it enlarges them.
    assert abs(described["validation"]["mean_iou"] - content["real"]["mIoU"]) < 0.002
    with np.load(ROOT / "docs/results/segmenter" / WEIGHTS, allow_pickle=False) as arrays:
        assert all(np.isfinite(array).all() for array in arrays.values())


def test_the_table_of_short_trainings_is_made_of_the_raw_numbers():
    content = json.loads((ROOT / "docs/results/short_trainings.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/TRAINING.md").read_text(encoding="utf-8")
    table = page.partition("<!-- made: short trainings -->\n")[2].partition("\n<!-- end")[0]
    for line, row in zip(table.split("\n")[2:], content["rows"], strict=True):
        scores = row["scores"]
        numbers = [
            scores["efficientnet_lite2"]["frechet_distance"],
            scores["lpips"],
            scores.get("segmentation", {}).get("fake", {}).get("mean_iou"),
            scores["sharpness"],
            scores["attributes"]["time of day"]["reproduced"],
        ]
        shown = ["–" if each is None else f"{each['value']:#.3g}".rstrip(".") for each in numbers]
        assert line == f"| {' | '.join([row['size'], row['training'], *shown])} |"
