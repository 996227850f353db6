import numpy as np
import pytest
import tensorflow as tf
from served_networks import layouts

from spade_tf.serving.errors import BadRequestError, ServingError, sentence
from spade_tf.serving.predictor import Predictor, newest_version


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
