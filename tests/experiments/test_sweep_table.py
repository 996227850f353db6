"""Tables, plots and pictures of a sweep."""

from xml.etree import ElementTree

import numpy as np
import pytest
import tiny_table
from PIL import Image

from experiments.commands.sweep.pictures import draw_pictures, read_samples
from experiments.commands.sweep.plot import draw_plot
from experiments.commands.sweep.table import describe, markdown, summarise
from spade_tf.training.pictures import grid, write_png


def result(variant, seed, value, **more):
    config = tiny_table.get_config(variant).to_dict()
    scores = {"lpips": {"value": value, "interval": [value, value]}}
    protocol = {"features": {}, "count": 5, **more}
    return {
        **{"variant": variant, "seed": seed, "parameters": {"generator": 1}},
        **{"scores": scores, "protocol": protocol, "config": config},
    }


def test_runs_that_do_not_compare_are_told(tmp_path):
    same = [result("spade", 0, 0.5), result("concat", 0, 0.25)]
    content = summarise("tiny", tiny_table.VARIANTS, same)
    assert content["warnings"] == []
    assert "| **0.250** |" in markdown(content)
    other = [*same, result("spade", 1, 0.5, style="drawn")]
    (warning,) = summarise("tiny", tiny_table.VARIANTS, other)["warnings"]
    assert "2 different evaluation protocols" in warning


def test_rows_that_see_a_canvas_or_know_styles_compare_with_the_others():
    results = [
        result("spade", 0, 0.5, style="none", num_styles=1, dataset="landscapes/64x64"),
        result("concat", 0, 0.25, style="photograph", num_styles=2, dataset="landscapes/64x64"),
        result("spade", 1, 0.5, style="none", num_styles=1, dataset="landscapes_canvases/64x64"),
    ]
    results[2]["config"]["data"]["use_canvas"] = True
    for number, each in enumerate(results):
        # One file of weights in two places. Networks with an encoder make one size alone.
        each["protocol"]["segmenter"] = {"path": f"runs/{number}", "weights_sha256": "1"}
        sizing = {"preprocess": "resize_and_crop", "one_size": number == 1}
        each["protocol"]["sizing"] = sizing
    content = summarise("tiny", tiny_table.VARIANTS, results)
    assert content["warnings"] == []
    said = "With the style of the real picture, which other rows do not see: the tiny model with"
    assert said in markdown(content)
    for each in results:
        each["protocol"]["sizing"]["preprocess"] = "scale_width"
    (warning,) = summarise("tiny", tiny_table.VARIANTS, results)["warnings"]
    assert "2 different evaluation protocols" in warning
    for each in results:
        each["protocol"]["sizing"]["preprocess"] = "resize_and_crop"
    results[2]["protocol"]["segmenter"]["weights_sha256"] = "2"
    (warning,) = summarise("tiny", tiny_table.VARIANTS, results)["warnings"]
    assert "2 different evaluation protocols" in warning
    results[2]["protocol"] = {**results[1]["protocol"], "dataset": "facades"}
    (warning,) = summarise("tiny", tiny_table.VARIANTS, results)["warnings"]
    assert "2 different evaluation protocols" in warning


def test_rows_with_an_encoder_say_how_true_styles_are():
    results = [result("spade", 0, 0.5, style="none"), result("concat", 0, 0.5, style="photograph")]
    results[1]["scores"] |= {
        "lpips_styles": {"value": 0.125, "interval": [0.1, 0.2]},
        "attributes": {
            "time of day": {
                "classifier": {"accuracy": 0.9375},
                "reproduced": {"value": 0.75, "interval": [0.7, 0.8]},
            }
        },
    }
    content = summarise("tiny", tiny_table.VARIANTS, results)
    table = markdown(content)
    lines = table.splitlines()
    assert lines[0].endswith("| LPIPS ↓ | time of day ↑ | LPIPS of styles ↑ |")
    assert lines[2].endswith("| – | – |")
    assert lines[3].endswith("| **0.750** | **0.125** |")
    # A classifier that errs finds no more in the best of pictures.
    assert lines[4].endswith("| 0.938 |  |")
    assert "Time of day: share of pictures with that of the photograph" in table
    assert describe(results[1]).endswith("time of day 0.750, LPIPS of styles 0.125")
    assert "time of day" not in describe(results[0])


def test_the_sharpness_nearest_to_that_of_real_pictures_is_the_best(tmp_path):
    results = [result(name, 0, 0.5) for name in tiny_table.VARIANTS]
    for each, value in zip(results, (1.4, 0.7), strict=True):
        each["scores"]["sharpness"] = {"value": value, "interval": [value, value]}
    content = summarise("tiny", tiny_table.VARIANTS, results)
    table = markdown(content).splitlines()
    assert table[0].endswith("| LPIPS ↓ | sharpness → |")
    assert table[2].endswith("| 1.40 |")
    assert table[3].endswith("| **0.700** |")
    assert table[4].endswith("| 1.00 |")
    draw_plot(content, tmp_path / "plot.svg")
    plot = ElementTree.parse(tmp_path / "plot.svg").getroot()
    # By hand: the ends of the axis are 0.7 and 1.4, with 0.06 x 0.7 beside them, over 230 pixels
    # that begin at 16 + 300 + 256.
    expected = [572 + 230 * (value - 0.658) / 0.784 for value in (1.4, 0.7)]
    # The panel of LPIPS is before.
    found = [float(dot.get("cx")) for dot in plot.findall("{*}circle")[2:]]
    assert found == pytest.approx(expected, abs=0.06)
    (real,) = (line for line in plot.findall("{*}line") if line.get("stroke-dasharray"))
    assert float(real.get("x1")) == pytest.approx(572 + 230 * (1 - 0.658) / 0.784, abs=0.06)
    # Of an earlier release, without an interval.
    results[1]["scores"]["sharpness"] = 0.7
    table = markdown(summarise("tiny", tiny_table.VARIANTS, results)).splitlines()
    assert table[3].endswith("| – |")


def test_pictures_of_all_variants_stand_below_one_another(tmp_path):
    random = np.random.default_rng(0)
    triples = random.integers(0, 256, (4, 3, 8, 16, 3)).astype(np.uint8)
    for variant in tiny_table.VARIANTS:
        # As trainings draw them: two samples in a row.
        rows = [list(triples[0]) + list(triples[1]), list(triples[2]) + list(triples[3])]
        write_png(tmp_path / variant / "seed-0" / "samples" / "step-000004.png", grid(rows))
    found = read_samples(tmp_path / "spade" / "seed-0" / "samples" / "step-000004.png", 8, 16)
    np.testing.assert_array_equal(np.array(found), triples)
    long = "a network with a name that does not fit into one line beside its pictures"
    results = [{**result(name, 0, 0.5), "title": long} for name in tiny_table.VARIANTS]
    for each in results:
        each["config"]["data"].update(height=8, width=16)
    draw_pictures(tmp_path, results, tmp_path / "pictures.png")
    with Image.open(tmp_path / "pictures.png") as image:
        # Names and four columns; label map, two variants and the real picture.
        assert image.size == (330 + 4 * 134, 4 * 70)
        pixels = np.asarray(image)
    # Names end before the pictures begin.
    assert (pixels[:, 322:330] == 255).all()
    assert (pixels[70:134, :322] < 128).any()
