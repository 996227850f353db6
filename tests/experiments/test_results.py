"""The figures of docs/EXPERIMENTS.md are those of the raw numbers that are kept beside it."""

import json
import re
from pathlib import Path

import pytest

from experiments import ablations
from experiments.commands.sweep.table import markdown

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "EXPERIMENTS.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def content():
    return json.loads((DOCS / "results" / "ablations.json").read_text(encoding="utf-8"))


def test_the_table_is_made_of_the_raw_numbers(content):
    assert markdown(content).strip() in PAGE


def test_the_rows_are_trained_as_the_experiment_says(content):
    config = ablations.get_config()
    assert content["steps"] == [config.train.steps]
    assert content["batch_sizes"] == [config.train.batch_size]
    assert content["datasets"] == [config.data.dataset]
    assert {row["variant"] for row in content["rows"]} <= set(ablations.VARIANTS)
    assert not content["warnings"]


def test_orderings_are_those_of_the_raw_numbers(content):
    scores = {row["variant"]: row["scores"] for row in content["rows"]}
    spade, concat, plain = (scores[name] for name in ("spade", "decoder_concat", "pix2pixhdpp"))
    (low, high), (other_low, other_high) = (
        each["mIoU"]["intervals"][0] for each in (spade, concat)
    )
    assert max(low, other_low) < min(high, other_high)
    assert plain["mIoU"]["intervals"][0][1] < min(low, other_low)
    for title in ("FD(efficientnet_lite2)", "KD(efficientnet_lite2)", "LPIPS"):
        assert spade[title]["mean"] < concat[title]["mean"] < plain[title]["mean"]
    assert min(spade["mIoU"]["mean"], concat["mIoU"]["mean"]) > content["real"]["mIoU"]
    assert plain["sharpness"]["mean"] == max(each["sharpness"]["mean"] for each in scores.values())


def test_no_other_figure_is_named(content):
    prose = PAGE.replace(markdown(content).strip(), "")
    # The paper's own are whole tenths, in one table.
    prose = "\n".join(line for line in prose.splitlines() if not line.startswith("| a decoder"))
    prose = re.sub(r"```.*?```", "", prose, flags=re.DOTALL)
    assert re.findall(r"\d+\.\d+", prose) == []
