import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from served_networks import NUM_LABELS, SIZE, Z_DIM, layouts

from spade_tf.export.forms import inference_form
from spade_tf.export.signatures import to_uint8
from spade_tf.networks.styles import seeded_styles
from spade_tf.training.pictures import encode_png

SEEDS = tf.constant([7, -1], tf.int64)


@pytest.fixture(scope="module")
def label():
    return layouts()


@pytest.fixture(scope="module")
def expected(networks, label):
    """Keras's pictures of two layouts in the styles of `SEEDS`."""
    z = seeded_styles(SEEDS, Z_DIM)
    picture = networks[0]({"label": label, "instance": label}, z=z).numpy()
    assert picture.std() > 0.05
    return picture


@pytest.fixture(scope="module")
def served(signatures, label):
    ids = {"label": tf.constant(label), "instance": tf.constant(label)}
    return signatures["serving_default"](**ids, seed=SEEDS)["image"].numpy()


def files(label):
    kind = np.uint8 if label.max() < 256 else np.uint16
    return tf.constant([encode_png(ids.astype(kind)) for ids in label])


def pixels(encoded):
    return np.stack([np.asarray(Image.open(io.BytesIO(item))) for item in encoded.numpy()])


def test_the_picture_is_that_of_keras(signatures, label, expected, served):
    z = seeded_styles(SEEDS, Z_DIM)
    ids = {"label": tf.constant(label), "instance": tf.constant(label)}
    image = signatures["generate"](**ids, z=z)["image"]
    # Float32 through twenty convolutions, fused and so in another order.
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-5)
    assert served.dtype == np.uint8
    # A level is 1 wide: half of it for rounding, the rest for the order of sums.
    assert np.abs(served - (expected + 1) * 127.5).max() <= 0.51
    styled = signatures["generate_with_style"](**ids, z=z)["image"]
    np.testing.assert_array_equal(styled, served)


def test_uint8_ids_are_the_same_ids(signatures, label, served):
    ids = {"label": tf.constant(label, tf.uint8), "instance": tf.constant(label)}
    image = signatures["serving_uint8"](**ids, seed=SEEDS)["image"]
    np.testing.assert_array_equal(image, served)


@pytest.mark.parametrize("offset", [0, 300])
def test_files_of_8_and_of_16_bits_make_the_same_picture(signatures, label, served, offset):
    # Only differences between instance ids matter.
    inputs = {"label_bytes": files(label), "instance_bytes": files(label + offset)}
    png = signatures["generate_png_bytes"](**inputs, seed=SEEDS)["image_bytes"]
    np.testing.assert_array_equal(pixels(png), served)
    jpeg = signatures["generate_bytes"](**inputs, seed=SEEDS)["image_bytes"]
    assert jpeg.numpy()[0].startswith(b"\xff\xd8")
    # Lossy: the mean over all pixels is what quality 95 leaves of noise.
    assert np.abs(pixels(jpeg).astype(int) - served).mean() < 4


def test_no_instance_map_means_no_edges(networks, signatures, label):
    expected = networks[0]({"label": label}, z=seeded_styles(SEEDS, Z_DIM))
    one = tf.zeros([2, 1, 1], tf.int32)
    image = signatures["serving_default"](label=tf.constant(label), instance=one, seed=SEEDS)
    assert np.abs(image["image"].numpy() - (expected.numpy() + 1) * 127.5).max() <= 0.51
    empty = tf.constant(["", ""])
    made = signatures["generate_png_bytes"](
        label_bytes=files(label), instance_bytes=empty, seed=SEEDS
    )
    np.testing.assert_array_equal(pixels(made["image_bytes"]), image["image"])


def test_255_is_unknown(signatures, label):
    inputs = {"instance": tf.constant(label), "seed": SEEDS}
    last = NUM_LABELS - 1
    known = signatures["serving_default"](label=tf.constant(label), **inputs)["image"]
    unknown = tf.constant(np.where(label == last, 255, label))
    image = signatures["serving_default"](label=unknown, **inputs)["image"]
    np.testing.assert_array_equal(image, known)


def test_a_style_is_a_function_of_its_seed_alone(signatures, label):
    together = seeded_styles(tf.constant([3, 4, 3], tf.int64), Z_DIM).numpy()
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[1], seeded_styles(tf.constant([4], tf.int64), Z_DIM)[0])
    assert np.abs(together[0] - together[1]).max() > 0.1
    many = seeded_styles(tf.range(500, dtype=tf.int64), Z_DIM).numpy()
    # Standard errors of mean and deviation over 4,000 draws: 0.016 and 0.011.
    assert abs(many.mean()) < 0.08
    assert abs(many.std() - 1) < 0.06


def test_many_styles_of_a_layout_are_those_one_by_one(signatures, label):
    z = np.random.default_rng(2).standard_normal((2, 3, Z_DIM)).astype(np.float32)
    ids = {"label": tf.constant(label), "instance": tf.constant(label)}
    together = signatures["generate_styles"](**ids, z=tf.constant(z))["image"].numpy()
    assert together.shape == (2, 3, SIZE, SIZE, 3)
    for index in range(3):
        one = signatures["generate_with_style"](**ids, z=tf.constant(z[:, index]))["image"].numpy()
        # Sums over other batches may round to the next level.
        assert np.abs(together[:, index].astype(int) - one).max() <= 1


def test_styles_of_photographs_of_any_size(networks, signatures):
    random = np.random.default_rng(3)
    photographs = [
        random.integers(0, 256, (height, width, 3), np.uint8)
        for height, width in ((SIZE, SIZE), (48, 100))
    ]
    encoded = tf.constant([encode_png(photograph) for photograph in photographs])
    z = signatures["encode_style"](image_bytes=encoded)["z"]
    for photograph, one in zip(photographs, z, strict=True):
        # Scaled as photographs are in training; test_source_files.py compares that with Pillow.
        image = tf.image.resize(photograph[None], (SIZE, SIZE), "bicubic", antialias=True)
        image = tf.clip_by_value(image, 0, 255) / 127.5 - 1
        np.testing.assert_allclose(networks[1](image)[0][0], one, rtol=0, atol=1e-5)
    jpeg = tf.io.encode_jpeg(photographs[0])
    decoded = tf.cast(tf.io.decode_jpeg(jpeg), tf.float32)[None] / 127.5 - 1
    z = signatures["encode_style"](image_bytes=jpeg[None])["z"]
    np.testing.assert_allclose(networks[1](decoded)[0], z, rtol=0, atol=1e-5)


def test_to_uint8_rounds_and_clips():
    image = tf.constant([-1.1, -1.0, -0.9961, 0.0, 0.999, 1.0, 1.1])
    assert to_uint8(image).numpy().tolist() == [0, 0, 0, 128, 255, 255, 255]


def test_describe_gives_assets(signatures):
    text = signatures["describe"](name=tf.constant(["model_card.md", "config.json"]))["text"]
    assert text.numpy().tolist() == [b"# tiny\n", b'{"answer": 42}']


@pytest.mark.parametrize("error", [AttributeError, ValueError])
def test_a_fault_of_the_fused_form_is_not_taken_for_a_generator_without_one(
    networks, error, monkeypatch
):
    def fuse(_):
        raise error("a mistake in it")

    monkeypatch.setattr(type(networks[0]), "fuse", fuse)
    with pytest.raises(error, match="a mistake"):
        inference_form(networks[0])
