"""The suite for graphics processors, on the processor: what a graph costs, and what is printed."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from tiny_experiment import get_config

from experiments.command_line.main import main
from experiments.commands.benchmark import device
from experiments.commands.benchmark.cases import Setting, gmac, make_generator
from experiments.commands.benchmark.device import Case, cases, device_suite
from experiments.commands.benchmark.graphs import graph_cost
from experiments.commands.benchmark.suites import drawn_layouts
from experiments.commands.benchmark.timing import Run
from experiments.setup.assemble import make_gaugan
from experiments.setup.config import ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.validation import validate
from pipelines.schema import LabelSet


def concrete(function, *shapes, dtype=tf.float32):
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def test_a_convolution_and_a_product_cost_what_they_do_by_hand():
    def run(image, kernel):
        features = tf.nn.conv2d(image, kernel, 2, "SAME")
        return tf.matmul(tf.reshape(features, [16, 8]), tf.ones([8, 5]))

    cost = graph_cost(concrete(run, [1, 8, 8, 4], [3, 3, 4, 8]))
    convolution, product = 16 * 8 * 9 * 4, 16 * 8 * 5
    assert cost.gmac == pytest.approx((convolution + product) / 1e9)
    numbers = (256 + 288 + 128) + (128 + 40 + 80)
    assert cost.gigabytes_fused == cost.gigabytes_by_operation == pytest.approx(4 * numbers / 1e9)
    assert (cost.operations, cost.waits, cost.unknown_sizes) == (2, 0, 0)


def test_gradients_multiply_as_often_as_what_they_are_of():
    def run(image, kernel):
        with tf.GradientTape() as tape:
            tape.watch([image, kernel])
            features = tf.nn.conv2d(image, kernel, 1, "SAME")
        return tape.gradient(features, [image, kernel])

    cost = graph_cost(concrete(run, [1, 8, 8, 4], [3, 3, 4, 8]))
    # Two gradients. The result itself is not asked for, so it never runs.
    assert cost.gmac == pytest.approx(2 * 64 * 8 * 9 * 4 / 1e9)


def test_sizes_that_only_the_device_knows_are_waited_for():
    cost = graph_cost(concrete(lambda ids: tf.unique(ids)[0], [100], dtype=tf.int32))
    assert (cost.operations, cost.waits, cost.unknown_sizes) == (1, 1, 1)
    assert math.isnan(cost.gigabytes_by_operation)
    assert cost.rounded()["gigabytes_by_operation"] is None


def test_what_a_branch_multiplies_is_not_known():
    def run(image, kernel):
        return tf.cond(
            tf.reduce_sum(image) > 0.0,
            lambda: tf.nn.conv2d(image, kernel, 1, "SAME"),
            lambda: tf.nn.relu(tf.zeros([1, 8, 8, 8])),
        )

    cost = graph_cost(concrete(run, [1, 8, 8, 4], [3, 3, 4, 8]))
    assert math.isnan(cost.gmac)
    assert cost.waits == 1
    # The sum, the comparison, the choice; and the convolution within it.
    assert cost.operations >= 4


def test_the_dense_generator_costs_what_the_formula_says():
    setting = Setting(5, (64, 64), True, 4)
    generator = make_generator(setting, "dense")

    def run(label, instance):
        return generator({"label": label, "instance": instance})

    cost = graph_cost(concrete(run, [2, 64, 64], [2, 64, 64], dtype=tf.int32))
    # Spectral norms are products of a matrix and a vector.
    assert cost.gmac == pytest.approx(sum(gmac(setting, 2).values()), rel=0.02)
    assert cost.waits == cost.unknown_sizes == 0


def test_cases_of_a_graphics_processor():
    every = cases(on_gpu=True, quick=False)
    assert {case.dtype for case in every} == {"float32", "bfloat16", "float16"}
    assert {case.batch for case in every if case.work == "generate"} == {1, 8}
    assert len(set(every)) == len(every)
    quick = cases(on_gpu=False, quick=True)
    assert {case.batch for case in quick} == {1}
    assert "float16" not in {case.dtype for case in quick}


def test_landscapes_take_the_place_of_label_maps():
    layouts = drawn_layouts(Setting(5, (64, 32), True, 2))
    assert len({layout.name for layout in layouts}) == 8
    for layout in layouts:
        assert layout.label.shape == layout.instance.shape == (1, 64, 32)
        assert layout.label.max() < 5


@pytest.fixture
def few_cases(monkeypatch):
    """Three cases, and a failing one; a training step is a product here."""
    some = [
        Case("generate", "dense", "float32", 1),
        Case("generate", "dense_xla", "float32", 1),
        Case("train", "dense", "float32", 2),
        Case("train", "dense_xla", "float32", 2),
    ]
    monkeypatch.setattr(device, "cases", lambda on_gpu, quick: some)

    def train(case, setting, layout):
        if case.form == "dense_xla":
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore")
        step = tf.function(
            lambda inputs: {"loss": tf.reduce_sum(inputs["image"] @ tf.ones([3, 3]))}
        )
        return step, {"image": tf.zeros([2, 8, 8, 3])}

    monkeypatch.setitem(device.MAKERS, "train", train)


@pytest.mark.usefixtures("few_cases")
def test_a_line_for_each_case_and_the_reason_of_one_that_fails(capsys):
    setting = Setting(5, (32, 32), True, 2)
    summary = device_suite(setting, drawn_layouts(setting), Run("device", repeats=1))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    facts, dense, compiled, trained, failed = lines
    assert facts["device"]["type"] == "CPU"
    assert dense["largest_difference_to_dense"] == 0.0
    # Sums in another order, of a picture in [-1, 1].
    assert 0.0 <= compiled["largest_difference_to_dense"] < 1e-4
    assert dense["graph"]["waits"] == compiled["graph"]["waits"] == 0
    rate = dense["graph"]["gmac"] * 2e-3 / dense["seconds"]["call"]
    assert dense["teraflops"] == pytest.approx(rate, rel=0.02)
    assert trained["work"] == "train"
    assert failed["failed"].startswith("OOM when allocating")
    assert "more" not in failed["failed"]
    assert summary.keys() == {"generate_batch_1", "train_batch_2"}
    of = summary["generate_batch_1"]
    assert of["pictures_per_second"][of["fastest"]] == max(of["pictures_per_second"].values())


def test_label_maps_have_no_effect(capsys, tmp_path):
    assert main(["benchmark", "--suite=device", f"--labels={tmp_path}"]) == 2
    assert "--labels" in capsys.readouterr().err


def test_makers_make_what_runs():
    setting = Setting(5, (32, 32), True, 2)
    layout = drawn_layouts(setting)[0]
    pictures = {}
    for form in ("dense", "deduplicated"):
        case = Case("generate", form, "float32", 1)
        function, inputs = device.MAKERS["generate"](case, setting, layout)
        pictures[form] = function(inputs).numpy()
    # Float32 sums of up to 300 numbers in another order.
    np.testing.assert_allclose(pictures["deduplicated"], pictures["dense"], atol=1e-4)


def test_a_dense_training_step_waits_for_nothing():
    """But one that looks up does, and both have the same losses."""
    losses = {}
    waits = {}
    for form in ("auto", "dense"):
        config = get_config()
        config.data.use_instance, config.train.average_decay = False, 0.0
        config.train.spade_form = form
        gan = make_gaugan(config, LabelSet(("a", "b"), ((0, 0, 0),) * 3, True, False))
        ids = np.arange(2 * 64 * 64).reshape(2, 64, 64) // 300 % 3
        image = np.sin(np.arange(2 * 64 * 64 * 3)).reshape(2, 64, 64, 3)
        batch = {"label": tf.constant(ids, tf.int32), "image": tf.constant(image, tf.float32)}
        step = tf.function(gan.train_step, autograph=False)
        waits[form] = graph_cost(step.get_concrete_function(batch)).waits
        losses[form] = {name: float(loss) for name, loss in step(batch).items()}
    assert waits["dense"] == 0 < waits["auto"]
    # Float32 sums in another order.
    assert losses["dense"] == pytest.approx(losses["auto"], rel=1e-4, abs=1e-5)


def test_the_form_has_an_effect_on_spade_alone():
    config = get_config()
    assert not lacks_for_effect(config, "train.spade_form")
    config.generator.conditioning = "clade"
    assert "conditioning=spade" in lacks_for_effect(config, "train.spade_form")
    config.train.spade_form = "fast"
    with pytest.raises(ConfigError, match="auto, dense"):
        validate(config)
