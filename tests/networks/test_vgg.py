import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.networks.vgg import VGGFeatures

SHALLOW = ("relu1_1", "relu2_1")


def images(size=(8, 8), batch=2, seed=0):
    shape = (batch, *size, 3)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def built(**kwargs):
    extractor = VGGFeatures(**{"layers": SHALLOW, "preprocessing": "none", **kwargs})
    extractor.build((None, None, None, 3))
    return extractor


def conv_relu(x, kernel, bias):
    """A 3×3 convolution as nine matrix products over a zero-padded picture."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
    )
    return np.maximum(out + bias, 0)


def max_pool(x):
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


def set_random_weights(extractor, seed=1):
    generator = np.random.default_rng(seed)
    weights = [generator.normal(0, 0.1, w.shape).astype(np.float32) for w in extractor.weights]
    extractor.set_weights(weights)
    return weights


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_computes_vgg(size):
    extractor = built(layers=("relu1_1", "relu1_2", "relu2_1"))
    weights = set_random_weights(extractor)
    x = images(size).astype(np.float64)
    relu1_1 = conv_relu(x, *weights[0:2])
    relu1_2 = conv_relu(relu1_1, *weights[2:4])
    relu2_1 = conv_relu(max_pool(relu1_2), *weights[4:6])
    actual = extractor(images(size))
    assert len(actual) == 3
    for ours, expected in zip(actual, (relu1_1, relu1_2, relu2_1), strict=True):
        # float32 sums of at most 576 products against float64: 576 · 2^-24 of values of order 1.
        np.testing.assert_allclose(ours, expected, atol=4e-5)


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_agrees_with_keras_applications(architecture):
    application = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
    reference = application[architecture](weights=None, include_top=False, input_shape=(32, 48, 3))
    last = 3 if architecture == "vgg16" else 4
    names = ("relu1_2", "relu3_1", "relu4_1", f"relu5_{last}")
    extractor = built(architecture=architecture, layers=names, preprocessing="caffe")
    extractor.set_weights(reference.get_weights())
    taps = [name.replace("relu", "block").replace("_", "_conv") for name in names]
    model = keras.Model(reference.input, [reference.get_layer(tap).output for tap in taps])
    x = images((32, 48))
    preprocess = getattr(keras.applications, architecture).preprocess_input
    for ours, theirs in zip(extractor(x), model(preprocess((x + 1) * 127.5)), strict=True):
        # The same float32 convolutions; only the preprocessing rounds elsewhere.
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-5)


def identity_of_the_preprocessing(extractor):
    """relu1_1's first filters become the positive and negative part of the three channels."""
    weights = [np.zeros(w.shape, np.float32) for w in extractor.weights]
    for channel in range(3):
        weights[0][1, 1, channel, channel] = 1
        weights[0][1, 1, channel, 3 + channel] = -1
    extractor.set_weights(weights)
    return lambda x: np.asarray(extractor(x)[0])[..., :3] - np.asarray(extractor(x)[0])[..., 3:6]


def test_torchvision_preprocessing():
    seen = identity_of_the_preprocessing(built(layers=["relu1_1"], preprocessing="torchvision"))
    x = images()
    expected = ((x + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(seen(x), expected, atol=2e-6)  # a few float32 roundings of 2.6


def test_caffe_preprocessing():
    seen = identity_of_the_preprocessing(built(layers=["relu1_1"], preprocessing="caffe"))
    x = images()
    expected = (x[..., ::-1] + 1) * 127.5 - [103.939, 116.779, 123.68]
    np.testing.assert_allclose(seen(x), expected, atol=1e-4)  # a few float32 roundings of 255


def test_no_preprocessing():
    seen = identity_of_the_preprocessing(built(layers=["relu1_1"], preprocessing="none"))
    np.testing.assert_array_equal(seen(images()), images())


@pytest.mark.parametrize(
    ("architecture", "deepest", "convs", "parameters"),
    [
        # Convolutions of Simonyan and Zisserman's table 1, parameters by 9·I·O + O.
        ("vgg19", "relu1_1", 1, 1_792),
        ("vgg19", "relu2_1", 3, 112_576),
        ("vgg19", "relu5_1", 13, 12_944_960),
        ("vgg19", "relu5_4", 16, 20_024_384),
        ("vgg16", "relu5_1", 11, 9_995_072),
        ("vgg16", "relu5_3", 13, 14_714_688),
    ],
)
def test_builds_up_to_the_deepest_layer_only(architecture, deepest, convs, parameters):
    extractor = built(architecture=architecture, layers=[deepest])
    assert len(extractor.conv_names) == convs
    assert extractor.conv_names[-1] == deepest.replace("relu", "conv")
    assert extractor.count_params() == parameters


def test_shapes_agree_with_compute_output_shape():
    layers = ("relu3_1", "relu1_1", "relu2_2")
    extractor = built(layers=layers)
    features = extractor(images((13, 21)))
    shapes = extractor.compute_output_shape((2, 13, 21, 3))
    assert [tuple(f.shape) for f in features] == shapes
    assert shapes == [(2, 3, 5, 256), (2, 13, 21, 64), (2, 6, 10, 128)]
    assert extractor.compute_output_shape((None, None, 16, 3))[0] == (None, None, 4, 256)
    symbolic = extractor(keras.Input((13, 21, 3)))
    assert [s.shape[1:] for s in symbolic] == [s[1:] for s in shapes]


def test_weights_are_never_trainable():
    class Holder(keras.Model):
        def __init__(self):
            super().__init__()
            self.extractor = VGGFeatures(layers=SHALLOW)

        def call(self, image):
            return self.extractor(image)

    holder = Holder()
    holder(images())
    holder.trainable = True
    assert holder.trainable_variables == []
    assert len(holder.non_trainable_variables) == 6
    # Unwatched by a tape, too, so that nothing is recorded for them.
    assert not any(variable.value.trainable for variable in holder.variables)


def test_gradients_reach_the_images():
    extractor = built(preprocessing="torchvision")
    x = tf.constant(images())
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.add_n([tf.reduce_mean(f) for f in extractor(x)])
    gradient = tape.gradient(loss, x).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient != 0).any((1, 2, 3)).all()


def test_stays_float32_under_mixed_precision():
    x = images()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        extractor = built()
    finally:
        keras.config.set_dtype_policy(before)
    features = extractor(tf.cast(x, tf.bfloat16))
    assert all(f.dtype == tf.float32 for f in features)


def test_computes_in_the_dtype_asked_for():
    reference, extractor = built(), built(dtype="mixed_bfloat16")
    extractor.set_weights(reference.get_weights())
    assert all(variable.dtype == "float32" for variable in extractor.variables)
    for ours, expected in zip(extractor(images()), reference(images()), strict=True):
        assert ours.dtype == tf.bfloat16
        # Three layers, each rounded to 8 bits, by 2^-9.
        scale = np.abs(expected).max()
        np.testing.assert_allclose(tf.cast(ours, tf.float32) / scale, expected / scale, atol=0.01)


def test_runs_in_a_graph_of_any_size():
    extractor = built()
    spec = tf.TensorSpec((None, None, None, 3))
    run = tf.function(extractor, input_signature=[spec])
    for size in ((8, 8), (5, 12)):
        for ours, expected in zip(run(images(size)), extractor(images(size)), strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-5)  # float32, other kernels


def test_config_round_trip():
    extractor = VGGFeatures(
        "vgg16", layers=("relu2_2", "relu1_1"), preprocessing="caffe", dtype="float16", name="x"
    )
    copy = VGGFeatures.from_config(extractor.get_config())
    assert copy.get_config() == extractor.get_config()
    assert copy.layer_names == ("relu2_2", "relu1_1")
    assert (copy.architecture, copy.preprocessing, copy.compute_dtype, copy.name) == (
        *("vgg16", "caffe", "float16", "x"),
    )


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"architecture": "vgg11"}, "architecture must be .*'vgg11'"),
        ({"preprocessing": "imagenet"}, "preprocessing must be .*'imagenet'"),
        ({"layers": ()}, r"layers must name.*\(\)"),
        ({"layers": ("relu6_1",)}, "relu5_4.*relu6_1"),
        ({"layers": ("conv1_1",)}, "layers must name.*conv1_1"),
        ({"layers": ("1_1",)}, "layers must name.*1_1"),
        ({"layers": "relu1_1"}, "layers must name"),
        ({"architecture": "vgg16", "layers": ("relu3_4",)}, "vgg16, from relu1_1 to relu5_3"),
    ],
)
def test_bad_arguments_are_named(kwargs, match):
    with pytest.raises(ValueError, match=match):
        VGGFeatures(**kwargs)


def test_bad_images_are_named():
    with pytest.raises(ValueError, match=r"3 channels; received shape \(2, 8, 8, 4\)"):
        VGGFeatures(layers=SHALLOW).build((2, 8, 8, 4))
    with pytest.raises(ValueError, match=r"at least 16×16 for relu5_1.*\(1, 15, 64, 3\)"):
        VGGFeatures().compute_output_shape((1, 15, 64, 3))
    with pytest.raises(ValueError, match="at least 2×2"):
        built()(images((1, 8)))
