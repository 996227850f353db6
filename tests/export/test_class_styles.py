"""Styles of classes in an export: what signatures take and give, and the server with them."""

import json
import random
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from painted_export import paintable
from served_networks import NUM_LABELS, SIZE, layouts, lively
from served_process import ServedProcess

from spade_tf.export.checks import Limits, checked_photograph_label
from spade_tf.export.saved_model import export_saved_model
from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks import ClassEncoder, SPADEGenerator, seeded_styles, split_style
from spade_tf.serving.client.client import connect
from spade_tf.serving.errors import BadRequestError, ServingError
from spade_tf.serving.fronts.painted_model import style_sizes
from spade_tf.serving.fronts.painter import picture_values
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.model.predictor import Predictor, whole_style
from spade_tf.serving.requests import make_request
from spade_tf.training.pictures import encode_png

DIM = 2
SEEDS = np.array([7, -1], np.int64)


def generator(z_dim=None):
    random.seed(0)
    conditioning = Conditioning(hidden_filters=4, class_style_dim=DIM)
    return lively(
        SPADEGenerator(NUM_LABELS, (SIZE, SIZE), filters=2, z_dim=z_dim, conditioning=conditioning)
    )


@pytest.fixture(scope="module")
def networks():
    return generator(), ClassEncoder(NUM_LABELS, DIM, filters=2, image_size=(SIZE, SIZE))


@pytest.fixture(scope="module")
def predictor(networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    encoder = networks[1]
    return Predictor(export_saved_model(networks[0], folder, encoder=encoder, unknown_id=255))


@pytest.fixture(scope="module")
def styles():
    return np.random.default_rng(4).normal(size=(2, NUM_LABELS, DIM)).astype(np.float32)


def levels(image):
    return (np.asarray(image) + 1) * 127.5


def test_signatures_speak_of_the_styles_there_are(predictor):
    specs = {name: {k: s.shape for k, s in each.items()} for name, each in predictor.inputs.items()}
    vectors = (None, NUM_LABELS, DIM)
    ids = (None, None, None)
    assert specs["generate_with_style"] == {"label": ids, "class_styles": vectors}
    assert specs["generate_styles"] == {"label": ids, "class_styles": (None, *vectors)}
    assert specs["serving_default"] == {"label": ids, "seed": (None,)}
    assert specs["encode_style"] == {"label": ids, "image_bytes": (None,)}
    assert predictor.outputs["encode_style"].keys() == {"class_styles"}
    assert style_sizes(predictor.inputs["generate_with_style"]) == {"class_styles": 10}


def test_pictures_are_keras_s(networks, predictor, styles):
    label = layouts()
    expected = levels(networks[0]({"label": label, "class_styles": styles}))
    assert expected.std() > 0.05 * 127.5
    given = {"label": label, "class_styles": styles}
    image = predictor.run("generate_with_style", given)["image"]
    # A level is 1 wide: half of it for rounding, the rest for the order of sums.
    assert np.abs(image - expected).max() <= 0.51
    several = styles[:, None] * np.float32([1.0, -1.0])[:, None, None]
    made = predictor.run("generate_styles", {"label": label, "class_styles": several})["image"]
    assert made.shape == (2, 2, SIZE, SIZE, 3)
    assert np.abs(made[:, 0].astype(int) - image).max() <= 1
    other = levels(networks[0]({"label": label, "class_styles": -styles}))
    assert np.abs(made[:, 1] - other).max() <= 0.51
    assert np.abs(other - expected).max() > 10


def test_a_seed_draws_the_style_of_every_class(networks, predictor):
    label = layouts()
    drawn = seeded_styles(SEEDS, NUM_LABELS * DIM)
    _, class_styles = split_style(networks[0], drawn)
    expected = levels(networks[0]({"label": label, "class_styles": class_styles}))
    image = predictor.run("serving_default", {"label": label, "seed": SEEDS})["image"]
    assert np.abs(image - expected).max() <= 0.51
    np.testing.assert_array_equal(predictor.style_of_seed(7, (SIZE, SIZE)), drawn[0])


def test_styles_of_photographs(networks, predictor):
    photograph = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    files = np.array([encode_png(photograph)] * 2, object)
    label = layouts()
    image = np.repeat(photograph[None] / np.float32(127.5) - 1, 2, 0)
    known = predictor.run("encode_style", {"image_bytes": files, "label": label})
    expected = networks[1](image, label)[0].numpy().reshape(2, NUM_LABELS, DIM)
    # Float32 through three convolutions.
    np.testing.assert_allclose(known["class_styles"], expected, rtol=0, atol=1e-5)
    # Half the size shows the same; 255 is the last id.
    small = np.where(label == NUM_LABELS - 1, 255, label)[:, ::2, ::2]
    again = predictor.run("encode_style", {"image_bytes": files, "label": small})
    np.testing.assert_allclose(again["class_styles"], expected, rtol=0, atol=1e-5)
    limits = RequestLimits(max_batch=4, max_pixels=1 << 20)
    request = make_request("encode_style", {"image_bytes": list(files)}, predictor.inputs, limits)
    assert request.pixels == 0
    whole = predictor.run("encode_style", request.inputs)
    ones = np.ones((2, SIZE, SIZE, NUM_LABELS), np.float32)
    expected = networks[1](image, ones)[0].numpy().reshape(2, NUM_LABELS, DIM)
    np.testing.assert_allclose(whole["class_styles"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(whole_style(whole), whole["class_styles"][0].ravel())


def test_large_label_maps_are_scaled_before_they_are_one_hot():
    """One float for each pixel and label would be 256 TiB, which no address space holds."""
    limits = Limits(1 << 22, None, 1, 1, None, 1)
    label = tf.fill([1, 4096, 4096], 3)
    shares = checked_photograph_label(label, tf.constant(["photograph"]), limits, (1, 1))
    assert (shares.shape, tf.argmax(shares, -1).numpy()) == ((1, 1, 1, 1 << 22), 3)


def test_the_painter_sends_whole_styles(predictor, styles):
    label = layouts()[:1]
    body = label.astype(np.uint8).tobytes() + styles[0].astype("<f4").tobytes()
    signature, values = picture_values(body, (SIZE, SIZE), predictor.inputs)
    assert signature == "generate_with_style"
    np.testing.assert_array_equal(values["class_styles"], styles[:1])
    np.testing.assert_array_equal(values["label"], label)
    with pytest.raises(BadRequestError, match="10 numbers of 4 bytes for the style"):
        picture_values(body[:-1], (SIZE, SIZE), predictor.inputs)


@pytest.mark.parametrize(
    ("signature", "changes", "message"),
    [
        ("generate_with_style", {"class_styles": np.nan}, "class_styles: received NaN"),
        ("generate_with_style", {"class_styles": 1e4}, "class_styles: received a number as large"),
        ("encode_style", {"label": NUM_LABELS}, "label: ids 0 to 4 .*received 5; correct"),
        ("encode_style", {"label": -2}, "label: ids 0 to 4 .*received -2; correct"),
    ],
)
def test_bad_input_is_refused_in_the_graph(predictor, styles, signature, changes, message):
    label = layouts()
    given = {"label": label, "class_styles": styles}
    if signature == "encode_style":
        files = np.array([encode_png(np.zeros((SIZE, SIZE, 3), np.uint8))] * 2, object)
        given = {"image_bytes": files, "label": label}
    for key, value in changes.items():
        given[key] = given[key].copy()
        given[key][0, 0, 0] = value
    with pytest.raises(BadRequestError, match=message):
        predictor.run(signature, given)


def test_the_style_of_the_picture_comes_beside_them(styles):
    """Of the signatures alone: to save and load them is the same."""
    from spade_tf.export.signatures import ServedModel

    both, label = generator(z_dim=3), layouts()
    signatures = ServedModel(both, None, None, {}).signatures()
    z = np.random.default_rng(5).normal(size=(2, 3)).astype(np.float32)
    given = {"label": tf.constant(label), "z": tf.constant(z), "class_styles": tf.constant(styles)}
    image = signatures["generate"](**given)["image"]
    expected = both({"label": label, "class_styles": styles}, z=z)
    # Float32 through twenty convolutions, fused and so in another order.
    np.testing.assert_allclose(image, expected, rtol=0, atol=2e-5)
    drawn = seeded_styles(SEEDS, 3 + NUM_LABELS * DIM)
    z, class_styles = split_style(both, drawn)
    seeded = signatures["serving_default"](label=tf.constant(label), seed=tf.constant(SEEDS))
    expected = levels(both({"label": label, "class_styles": class_styles}, z=z))
    assert np.abs(seeded["image"].numpy() - expected).max() <= 0.51
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many styles of each map as z, 1"):
        signatures["generate_styles"](
            label=tf.constant(label),
            z=tf.constant(z[:, None]),
            class_styles=tf.constant(styles[:, None].repeat(2, 1)),
        )


@pytest.fixture(scope="module")
def server(predictor, tmp_path_factory):
    """The embedded server in its own process. It must end cleanly and log no traceback."""
    pytest.importorskip("tritonclient.grpc")
    folder = tmp_path_factory.mktemp("served")
    with ServedProcess(paintable(predictor.version, folder), folder / "log") as server:
        yield server
    assert server.process.returncode == 0
    assert "Traceback" not in (folder / "log").read_text()


@pytest.mark.parametrize("front", ["http", "grpc"])
def test_a_server_takes_and_gives_them(server, predictor, styles, front):
    endpoint = server.url if front == "http" else f"grpc://127.0.0.1:{server.grpc_port}"
    photograph = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    files = np.array([encode_png(photograph)] * 2, object)
    asked = {
        "generate_with_style": {"label": layouts(), "class_styles": styles},
        "generate_styles": {
            "label": layouts(),
            "class_styles": np.stack([styles, -styles, 2 * styles], 1),
        },
        "encode_style": {"image_bytes": files, "label": layouts()},
    }
    with connect(endpoint, "tiny") as client:
        for signature, given in asked.items():
            (made,) = client.predict(signature, given).values()
            (expected,) = predictor.run(signature, given).values()
            assert made.shape == expected.shape
            # Tests run graphs as they are, and servers optimize them, which reorders sums: less
            # than a level of a picture, and float32 through three convolutions.
            atol = 1e-5 if signature == "encode_style" else 1.0
            np.testing.assert_allclose(made.astype(float), expected, rtol=0, atol=atol)
        short = {"label": layouts(), "class_styles": styles[:, 1:]}
        with pytest.raises(ServingError, match=r"class_styles: shape \[2, 4, 2\] received; give f"):
            client.predict("generate_with_style", short)


def ask(server, path, body):
    """The status and the JSON of an answer."""
    request = urllib.request.Request(server.url + path, json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row[1:], "class_styles: shape [1, 4, 2] received; give float32 [B, 5, 2]"),
        (lambda row: row[0], "class_styles: shape [1, 2] received; give float32 [B, 5, 2]"),
        (lambda row: [row], "class_styles: shape [1, 1, 5, 2] received; give float32 [B, 5, 2]"),
        (lambda row: [[], *row[1:]], "class_styles: not an array of numbers, or its rows differ"),
        (lambda row: [["a", 0.0], *row[1:]], "class_styles: "),
        (lambda row: [[2e3, 0.0], *row[1:]], "class_styles: received a number as large"),
        (lambda row: None, "class_styles: "),
    ],
)
def test_rows_of_rest_are_drawn_or_refused(server, styles, change, message):
    path, label = "/v1/models/tiny:predict", layouts(1)[0].tolist()
    rows = [{"label": label, "class_styles": change(styles[0].tolist())}]
    status, answer = ask(server, path, {"signature_name": "generate_with_style", "instances": rows})
    assert status == 400
    assert answer["error"].startswith(message)
    rows[0]["class_styles"] = styles[0].tolist()
    status, answer = ask(server, path, {"signature_name": "generate_with_style", "instances": rows})
    assert (status, np.shape(answer["predictions"])) == (200, (1, SIZE, SIZE, 3))
