import numpy as np
import pytest
import tensorflow as tf
from served_networks import Z_DIM, layouts

from spade_tf.serving.errors import BadRequestError, ServingError, sentence
from spade_tf.serving.model.predictor import Predictor, newest_version
from spade_tf.training.pictures import encode_png


@pytest.fixture(scope="module")
def predictor(version):
    return Predictor(version.parent)


def test_the_newest_version_is_taken(version, predictor, tmp_path):
    assert predictor.version == version
    for number in ("2", "10", "11"):
        (tmp_path / number).mkdir()
    for number in ("2", "10"):
        (tmp_path / number / "saved_model.pb").touch()
    assert newest_version(tmp_path).name == "10"


def test_it_warms_up_every_signature(predictor):
    assert predictor.warm_up() == len(predictor.inputs)


def test_signatures_in_parts_are_the_signatures(predictor, signatures):
    """Parts, which the server runs, equal signatures bit by bit, on two layouts."""
    label = layouts()
    ids = {"label": label, "instance": np.zeros([2, 1, 1], np.int32)}
    seed = {"seed": np.array([7, -1], np.int64)}
    z = np.random.default_rng(0).normal(size=[2, 3, Z_DIM]).astype(np.float32)
    png = [encode_png(each.astype(np.uint8)) for each in label]
    files = {
        "label_bytes": np.array(png, object),
        "instance_bytes": np.array([b"", png[1]], object),
    }
    asked = {
        "serving_default": {**ids, **seed},
        "serving_uint8": {**ids, **seed, "label": label.astype(np.uint8)},
        "generate_bytes": {**files, **seed},
        "generate_png_bytes": {**files, **seed},
        "generate_with_style": {**ids, "z": z[:, 0]},
        "generate_styles": {**ids, "z": z},
        "generate": {**ids, "z": z[:, 0]},
    }
    assert {name for name in signatures if name.startswith("stage_prepare")}
    assert not any(name.startswith("stage_") for name in predictor.inputs)
    for name, inputs in asked.items():
        expected = signatures[name](**{key: tf.constant(each) for key, each in inputs.items()})
        made = predictor.run(name, inputs)
        assert set(made) == set(expected)
        for key, value in made.items():
            np.testing.assert_array_equal(value, expected[key].numpy(), err_msg=name)


def test_a_refusal_is_a_sentence(predictor):
    inputs = {"label": layouts() + 7, "instance": layouts(), "seed": np.zeros([2], np.int64)}
    with pytest.raises(BadRequestError, match=r"^label: ids 0 to 4, .*; correct the label map$"):
        predictor.run("serving_default", inputs)


def test_folders_without_a_model_are_named(tmp_path):
    with pytest.raises(ServingError, match="no such folder"):
        Predictor(tmp_path / "nowhere")
    with pytest.raises(ServingError, match="no SavedModel in it"):
        Predictor(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"no")
    with pytest.raises(ServingError, match="cannot be loaded") as caught:
        Predictor(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_of_others_is_refused(tmp_path):
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(ServingError, match="no signature serving_default"):
        Predictor(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("assertion failed: [label: no] \n\t [[{{node Assert}}]]", "label: no"),
        (
            "assertion failed: [x: shape [2 3], or [B, 1] ] [[{{node a}}]]",
            "x: shape [2 3], or [B, 1] ",
        ),
        ("Graph execution error:\n\nInvalid PNG data, size 60\n", "a PNG file is truncated"),
        ("Graph execution error:\n\nDetected at node x\nboom\n\t [[{{node x}}]]", "boom"),
        ("", "the model refused the request"),
    ],
)
def test_sentences_of_runtimes(text, said):
    assert sentence(text).startswith(said.strip()[:20])
    assert "{{node" not in sentence(text)
