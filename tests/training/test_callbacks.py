import json
import re
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, small_batch, values

from spade_tf.training import callbacks, loop
from spade_tf.training.checkpoints import Checkpoints
from spade_tf.training.evaluation import Evaluate, ReestimateStatistics
from spade_tf.training.guard import NonFiniteError, NonFiniteGuard
from spade_tf.training.options import Updates
from spade_tf.training.pictures import write_png
from spade_tf.training.report import write_report
from spade_tf.training.tensorboard import TensorBoard

PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def batches(count=None, size=4, rest=0):
    """Batches with different content. The last may be smaller."""
    drawn = [small_batch(size, seed) for seed in range(count or 3)]
    if rest:
        drawn[-1] = {name: value[:rest] for name, value in drawn[-1].items()}
    signature = {
        name: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
        for name, value in drawn[0].items()
    }
    dataset = tf.data.Dataset.from_generator(lambda: iter(drawn), output_signature=signature)
    return dataset if count else dataset.repeat()


def fixed(dataset):
    """Batches with static shapes, as in training."""
    return dataset.map(
        lambda batch: {n: tf.ensure_shape(v, [4, *v.shape[1:]]) for n, v in batch.items()}
    )


def begin(callback, model, start_step=0, steps=10):
    callback.set_model(model)
    callback.set_params({"steps": steps, "epochs": 1, "start_step": start_step})
    callback.on_train_begin()


class EchoModel(keras.Model):
    """A model with given losses."""

    def evaluation_losses(self, batch):
        value = tf.reduce_mean(batch["image"])
        return {"inference/l1": value, "training/l1": value / 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of six steps with every callback, and its directory."""
    workdir = tmp_path_factory.mktemp("run")
    model = make_small(average=True, updates=Updates(average_decay=0.5), guard=NonFiniteGuard())
    checkpoints = Checkpoints(model, workdir / "checkpoints", asynchronous=True)
    samples = callbacks.SampleGrid(workdir / "samples", small_batch(), PALETTE, 3)
    done = loop.train(
        model,
        fixed(batches()),
        strategy=tf.distribute.get_strategy(),
        steps=6,
        callbacks=[
            callbacks.StopOnNonFinite([2]),
            ReestimateStatistics(fixed(batches(3)), [3]),
            samples,
            Evaluate(
                batches(2, rest=3),
                workdir / "evaluation.jsonl",
                3,
                Checkpoints(model, workdir / "best", 1),
            ),
            callbacks.JsonLines(workdir / "losses.jsonl", 2),
            TensorBoard(workdir / "tensorboard", 2, samples, histograms_every=6),
            callbacks.SaveCheckpoints(checkpoints, 4),
            callbacks.ProgressBar(4, 2),
        ],
    )
    assert done == 6
    return model, workdir


def test_a_run_writes_what_it_should(trained):
    _, workdir = trained
    lines = [json.loads(line) for line in (workdir / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert "evaluation/gap" in lines[-1]
    names = {path.name for path in (workdir / "checkpoints").glob("*.index")}
    assert names == {"step-4.index", "step-6.index"}
    assert len(list((workdir / "best").glob("*.index"))) == 1
    assert not list(workdir.rglob("*.part"))


def steps_by_tag(folder):
    tags = {}
    for path in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append(event.step)
    return tags


def test_event_files_can_be_read(trained):
    model, workdir = trained
    tags = steps_by_tag(workdir / "tensorboard")
    assert tags["generator/adversarial"] == [2, 4, 6]
    assert tags["generator/learning_rate"] == [2, 4, 6]
    assert tags["label | generated | real"] == [3, 6]
    weight = model.generator.trainable_variables[0]
    assert tags[f"generator/{weight.path}"] == [6]


def test_lines_are_few_and_tell_the_mean_speed(capsys, monkeypatch):
    bar, clock = callbacks.ProgressBar(4, 2), [0.0]
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: clock[0])
    bar.set_model(object())
    bar.set_params({"steps": 45, "start_step": 3})
    bar.on_train_begin()
    for step in range(4, 46):
        # The first step is traced, each takes a second, and samples are drawn at 20.
        clock[0] += {4: 30.0, 20: 8.0}.get(step, 1.0)
        bar.on_train_batch_end(step, {"generator/l1": 0.5})
    lines = [line.split("  ") for line in capsys.readouterr().err.splitlines()]
    assert [(line[0], line[2].split(", ")[1], line[2].split(", ")[3]) for line in lines] == [
        ("step 6/45", "1000 ms/step", "00:39 left"),
        ("step 20/45", "1500 ms/step", "00:37 left"),  # 14 steps in 21 seconds
        ("step 40/45", "1000 ms/step", "00:05 left"),
        ("step 45/45", "1000 ms/step", "00:00 left"),
    ]


def test_samples_show_the_canvas_that_the_model_refines(tmp_path):
    class Copies:
        """A model whose pictures are the colours of the canvas."""

        average_generator = encoder = None
        generator_optimizer = discriminator_optimizer = keras.optimizers.SGD(1.0)

        def semantics(self, batch):
            return batch

        def generator(self, inputs, z, training):
            return 2.0 * inputs["canvas"][..., :3] - 1.0

    canvas = np.zeros([1, 8, 16, 4], np.float32)
    # Red pieces cover the left half, and nothing the right one.
    canvas[:, :, :8] = [1, 0, 0, 1]
    batch = {
        "image": tf.ones([1, 8, 16, 3]),
        "label": tf.ones([1, 8, 16], tf.int32),
        "canvas": tf.constant(canvas),
    }
    samples = callbacks.SampleGrid(tmp_path / "samples", batch, PALETTE, 1)
    board = TensorBoard(tmp_path / "tensorboard", 1, samples)
    model = Copies()
    Copies.generator.z_dim = None
    begin(board, model)
    samples.set_model(model)
    samples.on_train_batch_end(1, {})
    board.on_train_batch_end(1, {})
    board.on_train_end()
    cells = [samples.picture[:, left : left + 16] for left in range(0, 4 * 18, 18)]
    assert samples.picture.shape == (8, 4 * 18 - 2, 3)
    label, shown, generated, real = cells
    assert (label == PALETTE[1]).all()
    assert (shown[:, :8] == [255, 0, 0]).all()
    # Checks of 4x4 pixels in two greys, which no canvas has everywhere.
    assert (shown[:4, 8:12] == 191).all()
    assert (shown[:4, 12:] == 128).all()
    assert (shown[4:, 8:12] == 128).all()
    assert (generated[:, 8:] == 0).all()
    assert (real == 255).all()
    said = "label | canvas | generated | real"
    assert steps_by_tag(tmp_path / "tensorboard")[said] == [1]
    page = write_report(tmp_path).read_text()
    assert f"<h2>step-000001: {said}</h2>" in page
    # A grid of an earlier version has no description; and a broken file ends no training.
    write_png(tmp_path / "samples" / "step-000002.png", samples.picture)
    assert "step-000002: label | generated | real" in write_report(tmp_path).read_text()
    (tmp_path / "samples" / "step-000003.png").write_bytes(b"")
    assert "step-000003: label | generated | real" in write_report(tmp_path).read_text()


def test_the_average_gets_the_plain_mean_of_the_batches_statistics(trained):
    model, _ = trained
    average = model.average_generator
    callback = ReestimateStatistics(fixed(batches(3)), [3])
    begin(callback, model)
    callback.estimate()
    kept = values([v for v in average.variables if "moving" not in v.path])
    inputs = []
    # By hand: what the normalisation is given, batch by batch.
    for batch in batches(3):
        z = model.encoder(batch["image"])
        z = model.sampling(*z, noise=model.noise(4, 0))
        x = average.first(model.semantics(batch).dense) + average.style(z)[:, None, None]
        inputs.append(x.numpy().reshape(-1, 4).astype(np.float64))
    means = np.mean([x.mean(0) for x in inputs], 0)
    variances = np.mean([x.var(0, ddof=1) for x in inputs], 0)
    # Float32 moments of 256 numbers.
    np.testing.assert_allclose(average.norm.moving_mean.numpy(), means, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(average.norm.moving_variance.numpy(), variances, rtol=1e-4)
    assert average.norm.momentum == 0.9
    callback.estimate()
    # A second estimate starts anew, and nothing else changes.
    np.testing.assert_allclose(average.norm.moving_mean.numpy(), means, rtol=1e-4, atol=1e-6)
    for before, after in zip(
        kept, values([v for v in average.variables if "moving" not in v.path]), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_the_average_follows_the_weights(trained):
    model, _ = trained
    weights, average = (
        values(network.trainable_variables)
        for network in (model.generator, model.average_generator)
    )
    assert max(np.abs(a - b).max() for a, b in zip(weights, average, strict=True)) > 0
    model.average.update()
    for weight, old, new in zip(
        weights, average, values(model.average_generator.trainable_variables), strict=True
    ):
        np.testing.assert_allclose(new, (weight + old) / 2, rtol=0, atol=1e-6)


def test_evaluation_means_are_over_examples_and_the_best_is_kept(tmp_path):
    saved = []

    class Best:
        save = staticmethod(saved.append)

    # Levels 0, 1 in batches of 4 and 2: the mean is over 6 examples.
    level = tf.Variable(1.0)
    dataset = batches(2, rest=2).enumerate()
    dataset = dataset.map(
        lambda i, batch: {"image": tf.zeros_like(batch["image"]) + tf.cast(i, tf.float32) * level}
    )
    callback = Evaluate(dataset, tmp_path / "e.jsonl", 2, Best)
    (tmp_path / "e.jsonl").write_text(
        '{"step": 2, "evaluation/inference/l1": 0.5}\n{"step": 9, "evaluation/inference/l1": 0.1}\n'
    )
    begin(callback, EchoModel(), start_step=2)
    for step, scale in ((3, 1.0), (4, 1.0), (6, 3.0), (8, 0.5)):
        level.assign(scale)
        logs = {}
        callback.on_train_batch_end(step, logs)
        if step == 4:
            np.testing.assert_allclose(logs["evaluation/inference/l1"], 2 / 6, rtol=1e-6)
            np.testing.assert_allclose(logs["evaluation/gap"], 1 / 6, rtol=1e-6)
    assert saved == [4, 8]
    records = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    # Step 9 will be repeated, so its line was dropped.
    assert [record["step"] for record in records] == [2, 4, 6, 8]


def test_evaluation_moves_nothing(trained):
    model, _ = trained
    before = values(model.variables)
    model.evaluation_losses(small_batch())
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)


class Pages(HTMLParser):
    VOID = ("meta", "img")

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_is_one_well_formed_page(trained):
    _, workdir = trained
    (workdir / "config.json").write_text('{"name": "<b>&"}')
    for step in range(10):
        write_png(workdir / "samples" / f"step-{step:06d}.png", np.zeros((4, 4, 3), np.uint8))
    page = write_report(workdir).read_text()
    parser = Pages()
    parser.feed(page)
    assert not parser.open
    assert "&lt;b&gt;&amp;" in page
    # The page is complete: its only addresses are embedded pictures.
    for tag, attributes in parser.seen:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
    assert len([tag for tag, _ in parser.seen if tag == "img"]) == 5
    titles = [attributes["aria-label"] for tag, attributes in parser.seen if tag == "svg"]
    assert {"generator/adversarial", "discriminator", "evaluation: gap"} <= set(titles)
    for tag, attributes in parser.seen:
        if tag == "polyline":
            numbers = re.findall(r"-?[\d.]+", attributes["points"])
            assert len(numbers) >= 2
            assert all(0 <= float(number) <= 640 for number in numbers)


def test_a_curve_of_one_point_is_seen(tmp_path):
    (tmp_path / "losses.jsonl").write_text('{"step": 40, "samples/l1": 0.5}\n')
    text = write_report(tmp_path).read_text()
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    # A tenth of the value on either side of it, and a single step.
    assert labels == ["0.45", "0.475", "0.5", "0.525", "0.55", "40"]
    heights = {float(y) for y in re.findall(r'<line[^>]* y1="([\d.]+)"', text)}
    assert len(heights) == 5
    (height,) = re.findall(r'<circle[^>]* cy="([\d.]+)"', text)
    assert float(height) == sorted(heights)[2]


def test_an_empty_report(tmp_path):
    assert "step 0" in write_report(tmp_path).read_text()


def test_a_loss_that_is_not_a_number_still_gives_a_page(tmp_path):
    lines = [{"step": i, "generator/x": value} for i, value in enumerate((1.0, float("nan"), 2.0))]
    (tmp_path / "losses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "nan" not in write_report(tmp_path).read_text()


def test_nothing_is_saved_after_a_step_that_was_stopped(tmp_path):
    model = make_small(guard=NonFiniteGuard())
    checkpoints = Checkpoints(model, tmp_path)
    stop, save = callbacks.StopOnNonFinite([10, 4]), callbacks.SaveCheckpoints(checkpoints, 4)
    for callback in (stop, save):
        begin(callback, model)
    model.guard.step.assign(3)
    model.guard.names.append("loss x")
    stop.on_train_batch_end(3)
    with pytest.raises(NonFiniteError, match="step 3: loss x"):
        stop.on_train_batch_end(4)
    with pytest.raises(NonFiniteError):
        stop.on_train_end()
    assert checkpoints.steps() == []
