import json

import numpy as np
import pytest
from PIL import Image

from experiments import benchmark_cases
from experiments.benchmark import benchmark, distinct_share, interleave, noise, ratio, read_layouts
from experiments.benchmark_cases import Layout, Setting, gmac
from experiments.schema import Config, ConfigError

KEYS = {
    "suite",
    "case",
    "dtype",
    "labels",
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


def small():
    config = Config(name="small")
    config.data.height = config.data.width = 32
    config.generator.filters = 2
    return config


def test_multiply_adds_are_the_published_ones():
    """190.9 GMAC for COCO-Stuff at 256x256: 42.0 in the main convolutions, 93.3, 55.6."""
    counted = gmac(Setting(183, (256, 256), True, 64))
    # The first convolution over the label map has one decimal's worth of them.
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


def test_cases_take_turns():
    calls = []
    layouts = [Layout(name, np.zeros((1, 1, 1)), np.zeros((1, 1, 1))) for name in "xy"]
    cases = {name: (lambda layout, name=name: calls.append(name + layout.name)) for name in "ab"}
    seconds = interleave(cases, layouts, repeats=2)
    assert calls == ["ax", "bx"] * 3 + ["ay", "by"] * 3
    assert {name: len(times["x"]) for name, times in seconds.items()} == {"a": 2, "b": 2}
    assert ratio({"a": {"x": [2.0], "y": [9.0]}, "b": {"x": [1.0], "y": [3.0]}}, "a", "b") == 2.5


def test_lines(labels, capsys, monkeypatch):
    # A process of its own takes as long to start as all the rest.
    monkeypatch.setattr("experiments.benchmark.peak_rss", lambda *_: 1000)
    monkeypatch.setattr("experiments.benchmark._REACHES", (1,))
    summary = benchmark("edit", small(), labels=labels, num_labels=7, repeats=1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == {"suite": "edit", "summary": summary}
    assert all(set(line) == KEYS for line in lines[:-1])
    assert {line["labels"] for line in lines[:-1]} == {"a", "b", "all"}
    assert all(line["seconds"].keys() == {"min", "median", "max"} for line in lines[:-1])


def test_peak_memory_is_that_of_a_process_of_its_own():
    setting = Setting(5, (32, 32), False, 2)
    used = benchmark_cases.peak_rss("main_convolutions/float32", setting, noise(setting))
    # TensorFlow alone takes some hundred MB.
    assert 50e6 < used < 5e9


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
