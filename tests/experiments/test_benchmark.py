import json

import numpy as np
import pytest
from PIL import Image

from experiments.commands.benchmark import cases, suites
from experiments.commands.benchmark.benchmark import benchmark, read_layouts
from experiments.commands.benchmark.cases import Setting, gmac, peak_rss
from experiments.commands.benchmark.suites import noise
from experiments.commands.benchmark.timing import Run, distinct_share, interleave, ratio
from experiments.setup.config import Config, ConfigError

KEYS = {
    "suite",
    "case",
    "dtype",
    "labels",
    "size",
    "seconds",
    "peak_rss_bytes",
    "gmac",
    "distinct_share",
    "threads",
}


@pytest.fixture
def labels(tmp_path):
    ids = np.arange(64 * 64).reshape(64, 64) // 300 % 7
    for name in ("a", "b"):
        Image.fromarray(ids.astype("uint8")).save(tmp_path / f"{name}.png")
    return tmp_path


def small(size=32):
    config = Config(name="small")
    config.data.height = config.data.width = size
    config.generator.filters = 2
    return config


def test_multiply_adds_are_the_published_ones():
    """190.9 GMAC for COCO-Stuff at 256x256: 42.0 in the main convolutions, 93.3, 55.6."""
    counted = gmac(Setting(183, (256, 256), True, 64))
    # The first convolution over the label map accounts for the last decimal.
    assert counted["modulation"] == pytest.approx(93.3, abs=0.06)
    assert counted["labels"] == pytest.approx(55.6, abs=0.06)
    assert counted["main"] == pytest.approx(42.0, abs=0.3)


def test_layouts(labels):
    setting = Setting(5, (32, 16), True, 2)
    layouts = read_layouts(labels, labels, setting)
    assert [layout.name for layout in layouts] == ["a", "b"]
    assert layouts[0].label.shape == (1, 32, 16)
    # Ids that are too large become the unknown one.
    assert layouts[0].label.max() == 4
    assert layouts[0].instance.max() == 6
    assert len(read_layouts(labels, None, setting, max_labels=1)) == 1
    assert distinct_share(setting, layouts[0]) < 0.8 < distinct_share(setting, noise(setting))


def test_cases_take_turns_and_each_line_is_printed_when_it_is_measured(capsys):
    calls, printed = [], []
    setting = Setting(5, (32, 32), False, 2)
    layouts = [noise(setting)._replace(name=name) for name in "xy"]

    def case(name):
        def run(layout):
            calls.append(name + layout.name)
            printed.extend(capsys.readouterr().out.splitlines())

        return run

    both = {f"{name}/float32": case(name) for name in "ab"}
    seconds = interleave(Run("edit", repeats=2), setting, both, layouts)
    assert calls == ["ax", "bx"] * 3 + ["ay", "by"] * 3
    assert [len(times["x"]) for times in seconds.values()] == [2, 2]
    # The lines of the first label map were printed before the second was done.
    assert [json.loads(line)["labels"] for line in printed] == ["x", "x"]
    rest = [json.loads(line)["labels"] for line in capsys.readouterr().out.splitlines()]
    assert rest == ["y", "y", "all", "all"]


def test_ratio():
    assert ratio({"a": {"x": [2.0], "y": [9.0]}, "b": {"x": [1.0], "y": [3.0]}}, "a", "b") == 2.5


@pytest.mark.usefixtures("eagerly")
def test_lines(labels, capsys, monkeypatch):
    # Starting another process takes as long as all the rest.
    monkeypatch.setattr(suites, "peak_rss", lambda *_: 1000)
    monkeypatch.setattr("experiments.commands.benchmark.suites._REACHES", (1,))
    summary = benchmark("edit", small(), labels=labels, num_labels=7, repeats=1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == {"suite": "edit", "summary": summary}
    assert all(set(line) == KEYS for line in lines[:-1])
    assert {line["labels"] for line in lines[:-1]} == {"a", "b", "all"}
    assert all(line["seconds"].keys() == {"min", "median", "max"} for line in lines[:-1])


@pytest.mark.usefixtures("eagerly")
def test_quick(labels, capsys, monkeypatch):
    monkeypatch.setattr(suites, "peak_rss", lambda *_: pytest.fail("measured"))
    summary = benchmark("generator", small(128), labels=labels, num_labels=7, quick=True)
    assert {
        "float32_dense_over_deduplicated_without_xla",
        "float32_deduplicated_without_xla_over_main_convolutions",
    } < summary.keys()
    output = capsys.readouterr()
    lines = [json.loads(line) for line in output.out.splitlines()]
    assert [line["labels"] for line in lines[:-1]] == ["a"] * 3
    assert lines[0]["size"] == [64, 64]
    # A fast machine is done before the bar is drawn again.
    assert "label maps: " in output.err


def test_peak_memory_tells_a_large_picture_from_a_small_one(monkeypatch):
    start = cases._in_process

    def start_or_call(function, *arguments):
        # Each process takes seven seconds to start. What is measured runs in one of its own.
        saves = function is cases._save_case
        return function(*arguments) if saves else start(function, *arguments)

    monkeypatch.setattr(cases, "_in_process", start_or_call)
    peaks = []
    for size in (32, 1024):
        setting = Setting(5, (size, size), False, 2)
        case = "main_convolutions/float32"
        peaks.append(peak_rss(case, setting, noise(setting), num_processes=1))
    maps = (peaks[1] - peaks[0]) / (1024 * 1024 * 4)
    # The last convolution holds at least its input of two channels. No layer of the large one has
    # more than four channels of full size, and ten layers are never held at once.
    assert 2 < maps < 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"suite": "speed"}, "--suite=speed: give one of generator"),
        ({"repeats": 0}, "--repeats=0"),
        ({"labels": "nowhere"}, "--labels=nowhere: no PNG files"),
    ],
)
def test_bad_arguments(arguments, message, labels):
    with pytest.raises(ConfigError, match=message):
        benchmark(**{"suite": "edit", "config": small(), "labels": labels, **arguments})
