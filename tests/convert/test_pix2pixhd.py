"""pix2pixHD of both releases: the numbers of an independent implementation, and the way back.

`tests/goldens/pix2pixhd` says how the reference values were made.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conditioned import PLAIN, conditioned
from official_files import assert_same_files, assert_same_variables, refused

from spade_tf.convert.nvlabs.checkpoint import (
    ConversionError,
    Networks,
    load_checkpoint,
    load_networks,
    read_options,
    save_networks,
)
from spade_tf.convert.nvlabs.complete_options import complete_options, given_options
from spade_tf.convert.nvlabs.pix2pixhd_repository import from_unit_range
from spade_tf.convert.torch_file import read_state_dict
from spade_tf.convert.torch_file_writing import write_state_dict
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

GOLDEN = Path(__file__).parents[1] / "goldens" / "pix2pixhd"
RELEASED = sorted(path.name for path in GOLDEN.glob("spade_*"))
ORIGINAL = sorted(path.name for path in GOLDEN.glob("original_*"))
# As in test_nvlabs_parity.py: what is left is float32 rounding, in another order of summation.
BOUND = 1e-4


class Golden:
    def __init__(self, name):
        self.folder = GOLDEN / name
        self.values = dict(np.load(self.folder / "forward.npz"))

    def inputs(self, times=1):
        def repeat(array):
            return np.concatenate([array] * times)

        if "condition" in self.values:
            return tf.constant(repeat(self.values["condition"]))
        inputs = {"label": repeat(self.values["label"]).astype(np.int32)}
        if "instance" in self.values:
            inputs["instance"] = repeat(self.values["instance"])
        return inputs


def check(name, actual, expected):
    difference = np.abs(np.asarray(actual, np.float64) - expected).max()
    print(f"\n{name}: {difference:.2e}", end="")
    assert difference <= BOUND, f"{name}: {difference}"


def test_there_are_references():
    assert len(RELEASED) == 6
    assert len(ORIGINAL) == 3


@pytest.mark.parametrize("name", RELEASED + ORIGINAL)
def test_pictures_and_features_are_those_of_the_reference(name):
    golden = Golden(name)
    networks = load_networks(golden.folder)
    image = networks.generator(golden.inputs(), training=False)
    check(f"{name} generator", image, golden.values["fake"])
    images = np.concatenate([golden.values["fake"], golden.values["image"]])
    features = networks.discriminator(golden.inputs(times=2), images)
    named = {
        f"disc{scale}_feat{layer}": feature
        for scale, layers in enumerate(features)
        for layer, feature in enumerate(layers)
    }
    assert set(named) == {key for key in golden.values if key.startswith("disc")}
    for key, feature in named.items():
        check(f"{name} {key}", feature, golden.values[key])


@pytest.mark.parametrize("name", RELEASED)
@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_the_release_come_back_bit_by_bit(name, legacy, tmp_path):
    options = json.loads((GOLDEN / name / "options.json").read_text())
    save_networks(load_networks(GOLDEN / name), tmp_path, options=options, legacy=legacy)
    assert_same_files(GOLDEN / name, tmp_path)
    written = json.loads((tmp_path / "options.json").read_text())
    assert {key: written[key] for key in options} == options


@pytest.mark.parametrize("name", ORIGINAL)
def test_files_of_the_repository_are_written_as_the_release_has_them(name, tmp_path):
    networks = load_networks(GOLDEN / name)
    save_networks(networks, tmp_path)
    written = json.loads((tmp_path / "options.json").read_text())
    assert (written["netG"], written["norm_G"]) == ("pix2pixhd", written["norm_D"])
    assert "model.1.0.weight" in read_state_dict(tmp_path / "latest_net_G.pth")
    assert_same_variables(networks, load_networks(tmp_path))


@pytest.mark.parametrize("name", [*RELEASED, "original_instance"])
def test_shapes_tell_what_options_would(name):
    # Edges are not told from labels, nor synchronised from local batch norm.
    given = load_checkpoint(GOLDEN / name)
    labels = {key: getattr(given.options, key) for key in ("label_nc", "no_instance")}
    told = load_checkpoint(GOLDEN / name, labels)
    assert_same_variables(given.networks, told.networks)
    for key in ("resnet_n_downsample", "resnet_n_blocks", "resnet_kernel_size", "num_D", "ndf"):
        assert getattr(told.options, key) == getattr(given.options, key)
    assert told.options.norm_G.replace("sync_", "") == given.options.norm_G.replace("sync_", "")
    assert told.options.norm_D.replace("sync_", "") == given.options.norm_D.replace("sync_", "")


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("spectralinstance", (True, "instance")),
        ("spectralsyncbatch", (True, "batch")),
        ("spectralsync_batch", (True, "batch")),
        ("spectralbatch", (True, "local_batch")),
        ("spectralnone", (True, "none")),
        ("spectral", (True, "none")),
        ("instance", (False, "instance")),
        ("syncbatch", (False, "batch")),
        ("batch", (False, "local_batch")),
        ("none", (False, "none")),
    ],
)
def test_names_of_norms(norm, expected):
    given = {"netG": "pix2pixhd", "norm_G": norm, "norm_D": norm}
    options = complete_options(given, "options", {})
    assert options.generator_norm == options.discriminator_norm == expected
    again = complete_options(given | {"norm_G": options.norm_G}, "options", {})
    assert again.generator_norm == expected


def test_the_defaults_are_the_releases():
    options = complete_options({"netG": "pix2pixhd"}, "options", {})
    assert options.norm_G == "instance"
    assert (options.resnet_n_downsample, options.resnet_n_blocks) == (4, 9)
    assert (options.resnet_kernel_size, options.resnet_initial_kernel_size) == (3, 7)


def test_unknown_first_reorders_labels(tmp_path):
    golden = Golden("spade_instance")
    reordered = load_networks(golden.folder, unknown_first=True)
    count = reordered.generator.num_labels
    ours = {"label": (golden.inputs()["label"] - 1) % count}
    check("unknown first", reordered.generator(ours), golden.values["fake"])
    options = json.loads((golden.folder / "options.json").read_text())
    save_networks(reordered, tmp_path, options=options, unknown_first=True)
    assert_same_files(golden.folder, tmp_path)


@pytest.mark.parametrize("name", ["original_rgb", "original_batch"])
def test_pictures_of_another_range_give_the_same(name):
    # The network of labels serves as one of pictures with batch norm, which there is no other of.
    golden = Golden(name)
    generator = load_networks(golden.folder).generator
    condition = np.random.default_rng(0).uniform(-1, 1, (1, 32, 64, 3)).astype(np.float32)
    before = generator(tf.constant(condition)).numpy()
    from_unit_range(generator)
    check("of 0 to 1", generator(tf.constant((condition + 1) / 2)), before)


def test_options_of_the_repository_are_translated():
    given, source = given_options(GOLDEN / "original_instance", None)
    assert source.endswith("opt.txt")
    assert given["netG"] == "pix2pixhd"
    assert (given["norm_G"], given["norm_D"]) == ("instance", "instance")
    assert (given["resnet_n_downsample"], given["resnet_n_blocks"]) == (3, 2)
    # Four before the logits, of which the repository counts three.
    assert given["n_layers_D"] == 4
    assert (given["gan_mode"], given["lr"], given["beta1"]) == ("ls", 2e-4, 0.5)
    assert (given["no_TTUR"], given["lambda_vgg"], given["crop_size"]) == (True, 10.0, 64)
    assert read_options(GOLDEN / "original_rgb").condition_channels == 3
    cropped = {"resize_or_crop": "scale_width_and_crop", "fineSize": 512, "no_lsgan": True}
    given = given_options(GOLDEN, {"netG": "global", **cropped})[0]
    assert (given["crop_size"], given["gan_mode"]) == (512, "original")


def test_options_of_the_repository_may_be_left_out(tmp_path):
    for file in GOLDEN.glob("original_instance/*.pth"):
        shutil.copy(file, tmp_path)
    told = load_checkpoint(tmp_path)
    assert_same_variables(told.networks, load_networks(GOLDEN / "original_instance"))
    # Its default: instance edges, in the last channel.
    assert (told.options.label_nc, told.options.no_instance) == (6, False)
    assert told.given["gan_mode"] == "ls"


def test_text_files_of_the_release_are_read(tmp_path):
    """As its training writes them: right-aligned names, and what the default would have been."""
    shutil.copytree(GOLDEN / "spade_spectralsync_batch", tmp_path, dirs_exist_ok=True)
    options = json.loads((tmp_path / "options.json").read_text())
    (tmp_path / "options.json").unlink()
    lines = ["----------------- Options ---------------"]
    lines += [f"{name:>25}: {value!s:<30}" for name, value in sorted(options.items())]
    lines += [f"{'gan_mode':>25}: {'ls':<30}\t[default: hinge]", f"{'load_from':>25}: None"]
    (tmp_path / "opt.txt").write_text("\n".join([*lines, "------ End -------"]))
    given, source = given_options(tmp_path, None)
    assert given == options | {"gan_mode": "ls"}
    assert source == str(tmp_path / "opt.txt")
    assert read_options(tmp_path) == read_options(GOLDEN / "spade_spectralsync_batch")
    (tmp_path / "opt.txt").write_text("nothing\n")
    refused(tmp_path, r"opt\.txt: no line such as 'ngf: 64' in it")
    (tmp_path / "opt.txt").write_bytes(b"\xff\xfe\x00")
    refused(tmp_path, r"opt\.txt: is no text")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"netG": "local"}, r"netG='local' \(LocalEnhancer\): only the global generator"),
        ({"netG": "encoder"}, r"netG='encoder' \(feature encoder\): only"),
        ({"netG": "global", "label_feat": True}, r"label_feat=True \(features\): only"),
        ({"netG": "global", "instance_feat": True}, r"instance_feat=True \(features\): only"),
        ({"netG": "global", "n_layers_D": "3"}, "n_layers_D='3'; give a whole number of 0 or more"),
        ({"netG": "global", "label_nc": -1}, "label_nc=-1; give a whole number"),
        ({"netG": "spade"}, "options: netG='spade' .unknown.: only the global generator"),
        ({"ngf": 3}, "options: ngf=3, but .*latest_net_G.pth: .* is that of ngf=2"),
        ({"norm": "batch"}, "norm_G=batch, but .* is that of norm=instance"),
        ({"n_blocks_global": 9}, "resnet_n_blocks=9, but .* resnet_n_blocks=2"),
        ({"n_layers_D": 4}, "n_layers_D=5, but .* n_layers_D=4"),
        ({"label_nc": 35}, "label_nc=35, .* cannot make the 7 semantic channels"),
    ],
)
def test_options_of_the_repository_that_cannot_be_used(options, message):
    refused(GOLDEN / "original_instance", message, options=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"netG": "spade"}, "options: netG=spade, but .* is that of netG=pix2pixhd"),
        ({"norm_G": "instance"}, "norm_G=instance, but .* is that of spectral_norm=True"),
        ({"norm_D": "spectralbatch"}, "norm_D=spectralbatch, but .* discriminator_norm=instance"),
        ({"resnet_n_downsample": 3}, "resnet_n_downsample=3, but .* resnet_n_downsample=4"),
        ({"resnet_initial_kernel_size": 5}, "resnet_initial_kernel_size=5, but"),
    ],
)
def test_options_that_contradict_the_files_are_named(options, message):
    refused(GOLDEN / "spade_spectralinstance", message, options=options)


@pytest.fixture
def instance(tmp_path):
    return Path(shutil.copytree(GOLDEN / "original_instance", tmp_path / "instance"))


def test_other_networks_of_the_repository_are_refused_by_name(instance):
    path = instance / "latest_net_G.pth"
    state = read_state_dict(path)
    shutil.copy(path, instance / "latest_net_E.pth")
    refused(instance, r"latest_net_E\.pth: holds an encoder of features: only the global")
    (instance / "latest_net_E.pth").unlink()
    local = {"model1_1.1.weight": np.zeros((2, 7, 7, 7), np.float32)}
    write_state_dict(path, state | local)
    refused(instance, r"latest_net_G\.pth: holds a LocalEnhancer \(netG=local\): only the global")


def test_tensors_of_the_repository_that_are_wrong_are_named(instance):
    path = instance / "latest_net_G.pth"
    state = read_state_dict(path)

    def tried(changed, match):
        write_state_dict(path, changed)
        assert refused(instance, match).startswith(f"{path}: ")

    one = np.zeros(1, np.float32)
    tried(state | {"surplus.weight": one}, "'surplus.weight' expected nowhere")
    block = next(name for name in state if name.endswith("conv_block.5.weight"))
    without = {name: array for name, array in state.items() if name != block}
    tried(without, f"{block!r} is not there")
    tried(state | {block: np.zeros((3, 3, 3, 3), np.float32)}, r"has shape \(3, 3, 3, 3\)")


def test_an_encoder_beside_the_releases_generator_is_refused(tmp_path):
    folder = Path(shutil.copytree(GOLDEN / "spade_spectralinstance", tmp_path / "with_encoder"))
    shutil.copy(GOLDEN.parent / "nvlabs" / "vae" / "latest_net_E.pth", folder)
    refused(folder, r"latest_net_E\.pth: netG=pix2pixhd takes no style vector; move the file away")


def test_what_the_release_does_not_have_is_not_saved(tmp_path):
    def refuse(match, encoder=None, **arguments):
        arguments = {"image_size": (32, 32), "filters": 1, "num_blocks": 1} | arguments
        network = Pix2PixHDGenerator(3, **conditioned(PLAIN, **arguments))
        with pytest.raises(ConversionError, match=match) as caught:
            save_networks(Networks(network, None, encoder), tmp_path / "out")
        assert "\n" not in str(caught.value)

    zeros = {"down_padding": "zeros"}
    refuse("down_padding=reflect has no official counterpart; .*down_padding=zeros has")
    refuse("conditioning=affine has no", **zeros, conditioning="affine")
    refuse("conditioning=none has no", **zeros, norm="batch")
    refuse("norm='layer' has no official", **zeros, norm="layer")
    refuse("concat=convs has no", **zeros, concat="convs")
    refuse("with an encoder has no official", encoder=ConvEncoder(filters=1), **zeros)
    assert not (tmp_path / "out").exists()
