"""Official checkpoints: round trips, and what is refused. Numbers: test_nvlabs_parity.py."""

import itertools
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conditioned import conditioned
from official_files import assert_same_files, assert_same_variables, refused
from shapes_alone import shapes_alone

from spade_tf.convert.nvlabs.checkpoint import (
    ConversionError,
    Networks,
    load_networks,
    read_options,
    save_networks,
)
from spade_tf.convert.torch_file import LEGACY_SIGNATURE, read_state_dict
from spade_tf.convert.torch_file_writing import write_state_dict
from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.training.gaugan import GauGAN
from spade_tf.training.options import LossWeights

GOLDEN = Path(__file__).parents[1] / "goldens" / "nvlabs"

# (norm, kernel, spectral), (labels, edges), size, upsampling, (scales, layers), start from z.
CASES = {
    "coco": (("batch", 3, True), (4, True), (32, 32), "normal", (2, 4), False),
    "ade20k": (("batch", 3, True), (4, False), (32, 64), "normal", (2, 4), False),
    "cityscapes": (("batch", 3, True), (3, True), (64, 128), "more", (2, 4), False),
    "portrait": (("batch", 3, True), (3, False), (96, 32), "normal", (1, 3), False),
    "most": (("batch", 1, True), (2, True), (128, 128), "most", (3, 2), False),
    "instance": (("instance", 5, True), (3, False), (64, 32), "normal", (2, 1), False),
    "plain": (("local_batch", 5, False), (3, True), (32, 64), "normal", (3, 3), False),
    "plain_instance": (("instance", 1, False), (1, False), (32, 64), "normal", (1, 1), False),
    "style": (("batch", 3, True), (3, True), (32, 32), "normal", (2, 2), True),
    "wide_style": (("instance", 3, True), (3, False), (64, 128), "more", (1, 2), True),
}


@cache  # No test changes them.
def make(case, filters=2):
    (norm, kernel_size, spectral), (num_labels, edges), size, upsampling, scales, style = CASES[
        case
    ]
    generator = SPADEGenerator(
        num_labels,
        image_size=size,
        use_instance_edges=edges,
        filters=filters,
        conditioning=Conditioning(norm=norm, kernel_size=kernel_size),
        num_upsampling_layers=upsampling,
        z_dim=256 if style else None,
        spectral_norm=spectral,
    )
    discriminator = MultiscaleDiscriminator(
        num_labels, edges, num_scales=scales[0], filters=3, num_layers=scales[1]
    )
    networks = Networks(generator, discriminator, ConvEncoder(filters=filters) if style else None)
    # All values differ, so that a swap of two axes shows.
    random = np.random.default_rng(0)
    for network in filter(None, networks):
        for variable in network.variables:
            if variable.dtype == "int64":
                variable.assign(7)
            else:
                variable.assign(np.float32(0.5 + 0.1 * random.standard_normal(variable.shape)))
    return networks


def batch(networks, size=1):
    random = np.random.default_rng(1)
    height, width = networks.generator.image_size
    shape = (size, height // 8, width // 8)
    label = random.integers(0, networks.generator.num_labels, shape)
    label = label.repeat(8, 1).repeat(8, 2).astype(np.int32)
    image = random.uniform(-1, 1, (*label.shape, 3)).astype(np.float32)
    return {"label": label, "instance": label // 2, "image": image}


@pytest.fixture
def coco(tmp_path):
    return Path(shutil.copytree(GOLDEN / "coco_like", tmp_path / "coco"))


@pytest.mark.parametrize("name", ["coco_like", "vae"])
@pytest.mark.parametrize("legacy", [False, True])
def test_official_files_come_back_bit_by_bit(name, legacy, tmp_path):
    options = json.loads((GOLDEN / name / "options.json").read_text())
    save_networks(load_networks(GOLDEN / name), tmp_path, options=options, legacy=legacy)
    assert_same_files(GOLDEN / name, tmp_path)
    # Reads one file format and writes the other, in each direction.
    with open(tmp_path / "latest_net_G.pth", "rb") as file:
        assert (file.read(len(LEGACY_SIGNATURE)) == LEGACY_SIGNATURE) == legacy
    assert json.loads((tmp_path / "options.json").read_text()) == options


@pytest.mark.parametrize("name", ["coco_like", "vae"])
def test_shapes_tell_what_options_would(name):
    told, given = load_networks(GOLDEN / name, {}), load_networks(GOLDEN / name)
    assert_same_variables(told, given)
    assert told.generator.num_labels == given.generator.semantic_channels
    assert not told.generator.use_instance_edges


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case, tmp_path):
    networks = make(case)
    save_networks(networks, tmp_path, options={"contain_dontcare_label": case == "coco"})
    loaded = load_networks(tmp_path)
    assert_same_variables(networks, loaded)
    for network, other in zip(networks, loaded, strict=True):
        if network is not None:
            ours, theirs = network.get_config(), other.get_config()
            assert ours.pop("name")
            assert theirs.pop("name")
            assert ours == theirs
    assert read_options(tmp_path).contain_dontcare_label == (case == "coco")
    save_networks(loaded, tmp_path / "again", options=read_options(tmp_path)._asdict())
    assert_same_files(tmp_path, tmp_path / "again")

    # Without options, shapes tell the architecture. "more" looks like "normal", and with a z has
    # the first size that fits; the weights are the same. So does batch norm, synchronised or not.
    (tmp_path / "options.json").unlink()
    told = load_networks(tmp_path)
    for network, other in zip(networks, told, strict=True):
        if network is not None:
            for a, b in zip(network.variables, other.variables, strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy())
    ours, theirs = networks.generator.conditioning, told.generator.conditioning
    assert theirs.norm == ours.norm.removeprefix("local_")
    assert theirs.kernel_size == ours.kernel_size
    for name in ("spectral_norm", "filters", "z_dim", "semantic_channels"):
        assert getattr(told.generator, name) == getattr(networks.generator, name)
    assert (told.generator.num_upsampling_layers == "most") == (case == "most")
    for name in ("num_scales", "filters", "num_layers"):
        assert getattr(told.discriminator, name) == getattr(networks.discriminator, name)


@pytest.mark.parametrize("case", ["portrait", "wide_style"])
def test_every_weight_has_a_gradient_and_every_output_its_shape(case, tmp_path):
    save_networks(make(case), tmp_path)
    networks = load_networks(tmp_path)
    random = np.random.default_rng(2)
    # Weights of both signs: those of `make` all have one sign and would not train.
    for network in filter(None, networks):
        for variable in network.trainable_variables:
            if "kernel" in variable.name:
                variable.assign(random.normal(0.0, 0.1, variable.shape))
    weight = 0.0 if case == "portrait" else 10.0
    model = GauGAN(*networks, loss_weights=LossWeights(feature_matching=weight))
    data = batch(networks)
    semantics = model.semantics(data)
    with tf.GradientTape(persistent=True) as tape:
        losses = model.generator_losses(semantics, data["image"])
        image, _ = model.generate(semantics, data["image"], training=True)
        d_losses = model.discriminator_losses(semantics, data["image"], tf.stop_gradient(image))
        total, d_total = tf.add_n(list(losses.values())), tf.add_n(list(d_losses.values()))
    assert image.shape == (1, *networks.generator.image_size, 3)
    assert ("generator/feature_matching" in losses) == (weight > 0)
    assert ("generator/kl" in losses) == (networks.encoder is not None)
    for loss, weights in (
        (total, model.generator_weights),
        (d_total, networks.discriminator.trainable_variables),
    ):
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        for variable, gradient in zip(weights, gradients, strict=True):
            assert gradient is not None, variable.path
            assert np.isfinite(gradient).all(), variable.path
    features = networks.discriminator(data, data["image"])
    assert len(features) == networks.discriminator.num_scales
    for scale in features:
        assert len(scale) == networks.discriminator.num_layers + 1
        assert scale[-1].shape[-1] == 1


@pytest.mark.parametrize("present", ["G", "D", "E", "GE", "DE"])
def test_files_that_are_missing_are_none(present, tmp_path):
    for net in present:
        shutil.copy(GOLDEN / "vae" / f"latest_net_{net}.pth", tmp_path)
    networks = load_networks(tmp_path)
    assert [network is not None for network in networks] == [net in present for net in "GDE"]


def test_networks_are_called_as_the_paper_draws_them():
    generator, discriminator, encoder = load_networks(GOLDEN / "vae")
    forward = np.load(GOLDEN / "vae" / "forward.npz")
    semantics = {"label": forward["label"].astype(np.int32)}
    image = generator(semantics, z=None, training=False)
    assert image.shape == (1, 256, 256, 3)
    assert [len(scale) for scale in discriminator(semantics, image)] == [5, 5]
    mu, logvar = encoder(image)
    assert mu.shape == logvar.shape == (1, 256)


@pytest.mark.parametrize("case", ["ade20k", "style"])
def test_unknown_first_reorders_labels(case, tmp_path):
    """Official ids have unknown at 0; ours have it last. Each net must see the same semantics."""
    save_networks(make(case), tmp_path, options={"contain_dontcare_label": True})
    plain, reordered = load_networks(tmp_path), load_networks(tmp_path, unknown_first=True)
    data = batch(plain)
    shifted = data | {"label": (data["label"] - 1) % plain.generator.num_labels}
    z = np.ones((1, 256), np.float32)
    # The same sums in another order of channels: float32 rounding, of activations of any size.
    np.testing.assert_allclose(
        plain.generator(data, z=z), reordered.generator(shifted, z=z), atol=1e-4
    )
    ours = reordered.discriminator(shifted, data["image"])
    theirs = plain.discriminator(data, data["image"])
    for a, b in zip(itertools.chain(*ours), itertools.chain(*theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    kernel = reordered.discriminator.discriminators[0].convs[0].kernel.numpy()
    before = plain.discriminator.discriminators[0].convs[0].kernel.numpy()
    count = plain.generator.num_labels
    np.testing.assert_array_equal(kernel[:, :, count - 1], before[:, :, 0])
    np.testing.assert_array_equal(kernel[:, :, : count - 1], before[:, :, 1:count])
    np.testing.assert_array_equal(kernel[:, :, count:], before[:, :, count:])
    options = read_options(tmp_path)._asdict()
    save_networks(reordered, tmp_path / "back", options=options, unknown_first=True)
    assert_same_files(tmp_path, tmp_path / "back")


def test_unknown_first_needs_an_unknown_label(tmp_path):
    save_networks(make("ade20k"), tmp_path)
    refused(tmp_path, "have no unknown label", unknown_first=True)
    with pytest.raises(ConversionError, match="needs the option contain_dontcare_label=true"):
        save_networks(make("ade20k"), tmp_path / "other", unknown_first=True)


def test_checkpoints_without_batch_counts_are_read(coco):
    path = coco / "latest_net_G.pth"
    state = read_state_dict(path)
    write_state_dict(path, {k: v for k, v in state.items() if not k.endswith("batches_tracked")})
    networks = load_networks(coco)
    assert networks.generator.blocks[0].spade_0.normalization.num_batches.numpy() == 0


def test_a_file_that_cannot_be_read_is_named(coco):
    """Why it cannot, and what hostile files come to, is shown in test_hostile_torch_file.py."""
    path = coco / "latest_net_G.pth"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refused(coco, "latest_net_G.pth").startswith(str(path))


def test_files_of_another_architecture_are_refused(coco, tmp_path):
    shutil.copy(coco / "latest_net_D.pth", coco / "latest_net_G.pth")
    refused(coco, r"latest_net_G\.pth: .*it is no SPADE generator of the official SPADE release")
    other = tmp_path / "other"
    other.mkdir()
    layers = {"model.1.weight": np.zeros((4, 3, 7, 7), np.float32)}
    for net in "GDE":
        write_state_dict(other / f"latest_net_{net}.pth", layers)
        refused(other, rf"latest_net_{net}\.pth: tensor '.*' is not there")
        (other / f"latest_net_{net}.pth").unlink()
    layers = {"head_0.conv_0.weight": np.zeros((100, 2, 1, 1), np.float32)}
    write_state_dict(other / "latest_net_G.pth", layers)
    refused(other, r"has shape \(100, 2, 1, 1\), where \[16 ngf, 16 ngf, 3, 3\] is expected")


@pytest.mark.parametrize("net", "GD")
def test_extra_missing_and_misshapen_tensors_are_named(net, coco):
    path = coco / f"latest_net_{net}.pth"
    state = read_state_dict(path)
    (coco / f"latest_net_{'D' if net == 'G' else 'G'}.pth").unlink()
    name = {"G": "up_1.norm_s.mlp_beta.bias", "D": "discriminator_1.model2.0.0.weight_u"}[net]

    def tried(changed, match):
        write_state_dict(path, changed)
        assert refused(coco, match).startswith(f"{path}: tensor ")

    one = np.zeros(1, np.float32)
    tried(state | {"surplus\n.weight": one}, r"'surplus\\n.weight' expected nowhere")
    tried(state | {"a": one, "b": one, "c": one}, "'a' and 2 others expected nowhere")
    without = {key: value for key, value in state.items() if key != name}
    tried(without, rf"'{name}' is not there, expected \(\d+,\)")
    tried(state | {name: np.zeros((3, 3), np.float32)}, r"has shape \(3, 3\), expected \(\d+,\)")
    tried(state | {name: np.zeros(state[name].shape, np.int32)}, "holds int32, expected floating")


def test_options_that_contradict_the_files_are_named(coco):
    for name, value in {
        "ngf": 4,
        "ndf": 8,
        "num_D": 3,
        "n_layers_D": 3,
        "use_vae": True,
        "num_upsampling_layers": "most",
        "semantic_nc": 13,
    }.items():
        refused(coco, f"options: {name}={value}, but", options={name: value})
    refused(coco, "norm_G=.*, but .* batch_norm=True", options=norm("spectralspadeinstance3x3"))
    refused(coco, "norm_G=.*, but .* spectral_norm=True", options=norm("spadesyncbatch3x3"))
    refused(coco, "norm_G=.*, but .* kernel_size=3", options=norm("spectralspadebatch5x5"))
    shutil.copy(GOLDEN / "vae" / "latest_net_D.pth", coco)
    refused(coco, r"semantic_nc=9, but .* semantic_nc=12; give files of one training")


def norm(name):
    return {"norm_G": name}


def test_folders_without_a_checkpoint_are_refused(tmp_path):
    refused(tmp_path / "none", "no such folder")
    refused(tmp_path, r"no latest_net_G\.pth, latest_net_D\.pth, latest_net_E\.pth in it")


def test_saving_refuses_what_has_no_official_form(tmp_path):
    def refuse(match, networks, **arguments):
        with pytest.raises(ConversionError, match=match) as caught:
            save_networks(networks, tmp_path / "out", **arguments)
        assert "\n" not in str(caught.value)

    base = make("style")
    with shapes_alone():
        for match, change in {
            "hidden_filters=8 has no": {"hidden_filters": 8},
            "norm='layer'": {"norm": "layer"},
            "kernel_size=11": {"kernel_size": 11},
            "conditioning=clade": {"conditioning": "clade"},
            "concat=convs": {"concat": "convs"},
            "upsampling=bilinear has no official": {"upsampling": "bilinear"},
            "padding=replicate has no official": {"padding": "replicate"},
            "noise_inputs=True has no official": {"noise_inputs": True},
        }.items():
            change |= {"image_size": (32, 32), "filters": 1}
            refuse(match, Networks(SPADEGenerator(3, **conditioned(**change)), None, None))
        refuse("encoder's image_size", base._replace(encoder=ConvEncoder(256, 2, (128, 128))))
        refuse("encoder's z_dim", base._replace(encoder=ConvEncoder(8, 2)))
        refuse("encoder's num_layers", base._replace(encoder=ConvEncoder(256, 2, num_layers=5)))
        refuse("encoder's filters", base._replace(encoder=ConvEncoder(256, 4)))
    refuse("generator's z_dim=None", base._replace(generator=make("cityscapes")[0]))
    refuse("label_nc=4, but a network has label_nc=3", base._replace(discriminator=make("coco")[1]))
    refuse("label_nc=9, but", base, options={"label_nc": 9})
    refuse("a ConvEncoder has no official counterpart as net G", Networks(base[2], None, None))
    assert not (tmp_path / "out").exists()
    save_networks(base._replace(encoder=None), tmp_path / "out")
    refuse("is already there; choose another folder", base)
    with pytest.raises(ConversionError, match="cannot be written"):
        save_networks(base, next((tmp_path / "out").iterdir()) / "below_a_file")
