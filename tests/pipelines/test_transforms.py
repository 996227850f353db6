import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.reading import scaling, transforms
from pipelines.schema import DataError
from pipelines.sources.inspection import scale_ids

HEIGHT, WIDTH = 9, 13


def make_example(height=HEIGHT, width=WIDTH, seed=0, with_instance=True):
    """An example whose channels, labels and instances all number the pixels."""
    number = tf.reshape(tf.range(height * width), (height, width))
    example = {
        "image": tf.cast(tf.stack([number] * 3, axis=-1), tf.float32),
        "label": number,
        "instance": number,
        "seed": tf.constant([seed, 5], tf.int64),
    }
    if not with_instance:
        del example["instance"]
    return example


def numbers(example):
    """The number of each pixel, which all entries must agree on."""
    label = example["label"].numpy()
    np.testing.assert_array_equal(example["image"], np.stack([label] * 3, axis=-1))
    np.testing.assert_array_equal(example["instance"], label)
    return label


ALL = {
    "resize": scaling.resize(6, 5),
    "resize_and_random_crop": scaling.resize_and_random_crop(8, 9, 6, 5),
    "resize_and_random_crop with flip": scaling.resize_and_random_crop(8, 9, 6, 5, flip=True),
    "random_crop": transforms.random_crop(6, 5),
    "center_crop": transforms.center_crop(6, 5),
    "scale_width": scaling.scale_width(5),
    "scale_short_side": scaling.scale_short_side(6),
    "round_to_multiple": scaling.round_to_multiple(4),
    "random_flip": transforms.random_flip(),
    "color_jitter": transforms.color_jitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1),
    "normalize": transforms.normalize(),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("with_instance", [True, False])
def test_eager_equals_tf_data_of_unknown_size(name, with_instance):
    def generate():
        for seed in range(4):
            yield make_example(seed=seed, with_instance=with_instance)

    def signature(value, size):
        return tf.TensorSpec(size + value.shape[2:], value.dtype)

    specs = {
        key: signature(value, (None, None)) if key != "seed" else tf.TensorSpec((2,), tf.int64)
        for key, value in make_example(with_instance=with_instance).items()
    }
    # As the input pipeline maps them: AutoGraph would only cost time.
    operation = tf.autograph.experimental.do_not_convert(ALL[name])
    dataset = tf.data.Dataset.from_generator(generate, output_signature=specs).map(operation)
    if "crop" in name or name == "resize":
        assert dataset.element_spec["image"].shape == (6, 5, 3)
        assert dataset.element_spec["label"].shape == (6, 5)
    for example, transformed in zip(generate(), dataset, strict=True):
        eager = ALL[name](example)
        assert sorted(eager) == sorted(transformed) == sorted(specs)
        for key, value in eager.items():
            assert value.dtype == transformed[key].dtype == specs[key].dtype
            np.testing.assert_array_equal(value, transformed[key])


@pytest.mark.parametrize("name", ALL)
def test_the_example_given_is_left_alone(name):
    example = make_example()
    before = dict(example)
    ALL[name](example)
    assert all(example[key] is value for key, value in before.items())
    assert example.keys() == before.keys()


@pytest.mark.parametrize("resized", [(4, 3), (2, 5), (16, 10), (8, 5), (5, 11), (1, 1), (24, 3)])
def test_resize_of_ids_equals_pillow(resized):
    ids = np.arange(40, dtype=np.int32).reshape(8, 5)
    example = {"image": tf.zeros((8, 5, 3)), "label": ids, "instance": ids + 100}
    result = scaling.resize(*resized)(example)
    pillow = np.asarray(Image.fromarray(ids).resize(resized[::-1], Image.Resampling.NEAREST))
    np.testing.assert_array_equal(result["label"], pillow)
    np.testing.assert_array_equal(result["instance"], pillow + 100)
    np.testing.assert_array_equal(scale_ids(ids, *resized), pillow)


def test_ids_stay_where_the_image_is():
    # A bright square on a dark ground, scaled down: the pixels that are more bright than dark are
    # those of the square's class.
    label = np.zeros((60, 60), np.int32)
    label[20:40, 10:30] = 1
    image = np.repeat(label[..., None] * 255.0, 3, -1).astype(np.float32)
    result = scaling.resize(6, 6)({"image": tf.constant(image), "label": tf.constant(label)})
    np.testing.assert_array_equal(result["image"][..., 0].numpy() > 127.5, result["label"] == 1)


@pytest.mark.parametrize("size", [(7, 9), (20, 31), (64, 40), (48, 40)])
def test_resize_of_images_equals_pillow(size):
    image = np.random.default_rng(0).integers(0, 256, (48, 40, 3)).astype(np.float32)
    label = tf.zeros((48, 40), tf.int32)
    result = scaling.resize(*size)({"image": tf.constant(image), "label": label})["image"]
    for channel in range(3):
        pillow = Image.fromarray(image[..., channel]).resize(size[::-1], Image.Resampling.BICUBIC)
        # float32 weights here, float64 weights there, over values up to 255.
        np.testing.assert_allclose(
            result[..., channel], np.asarray(pillow).clip(0, 255), rtol=0, atol=2e-3
        )


def test_resize_clips_overshoot():
    image = np.zeros((8, 8, 3), np.float32)
    image[:, 4:] = 255
    example = {"image": tf.constant(image), "label": tf.zeros((8, 8), tf.int32)}
    result = scaling.resize(24, 24)(example)["image"].numpy()
    assert result.min() == 0
    assert result.max() == 255


def test_random_crop_cuts_everything_at_the_same_place():
    offsets = set()
    for seed in range(80):
        cropped = numbers(transforms.random_crop(8, 11)(make_example(seed=seed)))
        top, left = divmod(int(cropped[0, 0]), WIDTH)
        offsets.add((top, left))
        whole = make_example()["label"].numpy()
        np.testing.assert_array_equal(cropped, whole[top : top + 8, left : left + 11])
    # All 2 x 3 places; that one of them is missed in 80 draws has a chance of 3e-6.
    assert offsets == {(top, left) for top in range(2) for left in range(3)}


def test_crop_of_the_whole_image():
    for crop in (transforms.random_crop, transforms.center_crop):
        np.testing.assert_array_equal(
            numbers(crop(HEIGHT, WIDTH)(make_example())), make_example()["label"]
        )


def test_center_crop():
    cropped = numbers(transforms.center_crop(6, 11)(make_example()))
    np.testing.assert_array_equal(cropped, make_example()["label"].numpy()[1:7, 1:12])


def test_random_flip_mirrors_everything_or_nothing():
    whole = make_example()["label"].numpy()
    mirrored = 0
    for seed in range(80):
        flipped = numbers(transforms.random_flip()(make_example(seed=seed)))
        mirrored += np.array_equal(flipped, whole[:, ::-1])
        assert np.array_equal(flipped, whole) or np.array_equal(flipped, whole[:, ::-1])
    # 5 standard deviations of 80 fair coins around 40.
    assert 18 <= mirrored <= 62


def test_flip_and_crop_are_independent():
    crop, flip = transforms.random_crop(HEIGHT, WIDTH - 1), transforms.random_flip()
    seen = set()
    for seed in range(40):
        left = int(numbers(crop(make_example(seed=seed)))[0, 0])
        seen.add((left, int(numbers(flip(make_example(seed=seed)))[0, 0])))
    assert len(seen) == 4


@pytest.mark.parametrize("name", ["random_crop", "random_flip"])
def test_randomness_comes_from_the_seed_alone(name):
    results = []
    for global_seed in (1, 2):
        tf.random.set_seed(global_seed)
        results.append([numbers(ALL[name](make_example(seed=seed))) for seed in range(8)])
    np.testing.assert_array_equal(*results)


def test_normalize():
    example = {"image": tf.constant([0, 51, 127.5, 255]), "label": tf.zeros(())}
    np.testing.assert_allclose(
        transforms.normalize()(example)["image"], [-1, -0.6, 0, 1], rtol=0, atol=1e-7
    )


@pytest.mark.parametrize("crop", [transforms.random_crop, transforms.center_crop])
@pytest.mark.parametrize("size", [(HEIGHT + 1, WIDTH), (HEIGHT, WIDTH + 1)])
def test_crop_larger_than_the_image(crop, size):
    said = f"crop of {size[0]}x{size[1]} is larger than the image of"
    with pytest.raises(DataError, match=f"{said} 9x13"):
        crop(*size)(make_example())

    @tf.function(autograph=False)
    def run(image, label):
        return crop(*size)({"image": image, "label": label, "seed": tf.zeros(2, tf.int64)})

    unknown = run.get_concrete_function(
        tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None), tf.int32)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=said + r"\] \[9 13\]"):
        unknown(make_example()["image"], make_example()["label"])


@pytest.mark.parametrize(
    "factory", [scaling.resize, transforms.random_crop, transforms.center_crop]
)
def test_sizes_below_one_are_refused(factory):
    with pytest.raises(DataError, match=f"{factory.__name__}: 4x0 .* give 1 or more"):
        factory(4, 0)


def test_random_operations_need_a_seed():
    example = make_example()
    del example["seed"]
    with pytest.raises(DataError, match="no 'seed'"):
        transforms.random_flip()(example)


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("scale_width", (9, 13), (3, 5)),
        ("scale_width", (40, 4), (50, 5)),
        ("scale_width", (1, 60), (1, 5)),
        ("scale_short_side", (9, 13), (6, 8)),
        ("scale_short_side", (13, 9), (8, 6)),
        ("scale_short_side", (6, 7), (6, 7)),
        ("round_to_multiple", (9, 14), (8, 16)),
        ("round_to_multiple", (1, 13), (4, 12)),
    ],
)
def test_sizes_that_follow_from_the_image(name, source, expected):
    result = ALL[name](make_example(*source))
    for key in ("image", "label", "instance"):
        assert result[key].shape[:2] == expected
    assert_equal = np.testing.assert_array_equal
    assert_equal(result["label"], scaling.resize(*expected)(make_example(*source))["label"])


@pytest.mark.parametrize("size", [(6, 5), (9, 13), (40, 21), (1, 1), (3, 100)])
def test_resize_agrees_with_tensorflow(size):
    image = np.random.default_rng(0).uniform(0, 255, (37, 53, 3)).astype(np.float32)
    example = {"image": tf.constant(image), "condition": tf.constant(image / 255)}
    result = scaling.resize(*size)(example)
    # Weights are float32 there, and positions too: a few units in the fifth digit of 255.
    expected = tf.image.resize(image, size, "bicubic", antialias=True)
    np.testing.assert_allclose(result["image"], np.clip(expected, 0, 255), rtol=0, atol=5e-3)
    expected = tf.image.resize(image / 255, size, "bilinear", antialias=True)
    np.testing.assert_allclose(result["condition"], expected, rtol=0, atol=2e-5)


def test_condition_is_cropped_and_mirrored_with_the_image():
    number = make_example()["image"]
    for seed in range(8):
        example = make_example(seed=seed) | {"condition": number[..., :1]}
        for operation in (transforms.random_crop(6, 5), transforms.random_flip()):
            example = operation(example)
        np.testing.assert_array_equal(example["condition"][..., 0], example["label"])


def test_colour_jitter_of_one_kind():
    image = np.random.default_rng(0).uniform(60, 190, (5, 6, 3)).astype(np.float32)
    example = {"image": tf.constant(image), "seed": tf.constant([3, 4], tf.int64)}
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    grey = image @ luma

    def jittered(**kwargs):
        return transforms.color_jitter(**kwargs)(example)["image"].numpy()

    np.testing.assert_allclose(jittered(), image, rtol=1e-6)
    bright = jittered(brightness=0.2) / image
    assert 0.8 <= bright.mean() <= 1.2
    # One factor for all: float32 rounding remains.
    np.testing.assert_allclose(bright, bright.mean(), rtol=1e-5)
    assert abs(bright.mean() - 1) > 0.01
    contrast, deviation = jittered(contrast=0.2), image - grey.mean()
    factor = np.median((contrast - grey.mean()) / deviation)
    assert 0.01 < abs(factor - 1) <= 0.2
    np.testing.assert_allclose(contrast, grey.mean() + factor * deviation, rtol=1e-5)
    # Neither saturation nor hue changes the brightness of a pixel: float32 rounding of up to 255.
    for kind in ("saturation", "hue"):
        changed = jittered(**{kind: 0.2})
        assert np.abs(changed - image).max() > 1
        np.testing.assert_allclose(changed @ luma, grey, rtol=0, atol=1e-3)


def test_hue_turned_all_the_way_is_the_image(monkeypatch):
    image = np.random.default_rng(0).uniform(0, 255, (5, 6, 3)).astype(np.float32)
    example = {"image": tf.constant(image), "seed": tf.constant([3, 4], tf.int64)}
    monkeypatch.setattr(tf.random, "stateless_uniform", lambda *a, maxval, **k: 2 * maxval)
    result = transforms.color_jitter(hue=0.5)(example)["image"]
    # 2 pi in float32, and an inverse of a matrix of float32.
    np.testing.assert_allclose(result, image, rtol=0, atol=1e-2)


@pytest.mark.parametrize("kwargs", [{"hue": 0.6}, {"contrast": -0.1}, {"brightness": 1.1}])
def test_colour_jitter_out_of_range(kwargs):
    with pytest.raises(DataError, match=r"color_jitter: \w+ \S+ received; give 0 to"):
        transforms.color_jitter(**kwargs)


@pytest.mark.parametrize("size", [(7, 9), (13, 17), (40, 30)])
@pytest.mark.parametrize("flip", [False, True])
def test_resize_and_random_crop_is_the_operations_one_after_the_other(size, flip):
    number = make_example()["image"]
    for seed in range(6):
        example = make_example(seed=seed) | {"condition": number / 117}
        expected = transforms.random_crop(7, 5)(scaling.resize(*size)(example))
        if flip:
            expected = transforms.random_flip()(expected)
        result = scaling.resize_and_random_crop(*size, 7, 5, flip=flip)(example)
        for key in ("label", "instance"):
            np.testing.assert_array_equal(result[key], expected[key])
        for key in ("image", "condition"):
            # Sums of the same float32 products, up to 117 (rounding: 8e-6), in another order.
            np.testing.assert_allclose(result[key], expected[key], rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtypes", [(tf.uint8, tf.uint16), (tf.uint16, tf.uint16)])
@pytest.mark.parametrize("flip", [False, True])
def test_narrow_ids_are_scaled_as_wide_ones(dtypes, flip):
    rng = np.random.default_rng(0)
    wide = {
        key: tf.constant(rng.integers(0, dtype.max + 1, (23, 31)), tf.int32)
        for key, dtype in zip(("label", "instance"), dtypes, strict=True)
    }
    narrow = {key: tf.cast(wide[key], dtype) for key, dtype in zip(wide, dtypes, strict=True)}
    operation = scaling.resize_and_random_crop(19, 17, 11, 13, flip=flip)
    for seed in range(4):
        example = make_example(seed=seed) | {"image": tf.zeros((23, 31, 3))}
        expected = operation(example | wide)
        result = operation(example | narrow)
        for key in wide:
            assert result[key].dtype == narrow[key].dtype
            np.testing.assert_array_equal(result[key], expected[key])


def test_resize_and_random_crop_larger_than_the_image():
    with pytest.raises(DataError, match="crop of 9x4 is larger than the image of 8x8"):
        scaling.resize_and_random_crop(8, 8, 9, 4)
