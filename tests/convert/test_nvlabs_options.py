import json
from pathlib import Path

import pytest

from spade_tf.convert.nvlabs.complete_options import (
    ConversionError,
    complete_options,
    given_options,
    norm_name,
)

OFFICIAL = {
    "label_nc": 182,
    "contain_dontcare_label": True,
    "no_instance": False,
    "crop_size": 256,
    "aspect_ratio": 1.0,
    "ngf": 64,
    "num_upsampling_layers": "normal",
    "use_vae": False,
    "z_dim": 256,
    "norm_G": "spectralspadesyncbatch3x3",
    "ndf": 64,
    "num_D": 2,
    "n_layers_D": 4,
    "norm_D": "spectralinstance",
}


def generator(channels=12, ngf=64, kernel=3, spectral=True, batch=True, positions=None, z_dim=256):
    width = 16 * ngf
    shapes = {
        f"head_0.conv_0.weight{'_orig' * spectral}": (width, width, 3, 3),
        "head_0.norm_0.mlp_shared.0.weight": (128, channels, kernel, kernel),
        "conv_img.weight": (3, ngf, 3, 3),
        "fc.weight": (width * positions, z_dim) if positions else (width, channels, 3, 3),
    }
    if batch:
        shapes["head_0.norm_0.param_free_norm.running_mean"] = (width,)
    return {"G": ("G.pth", shapes)}


def complete(given=None, files=None):
    return complete_options(given or {}, "options", files or {})


def test_all_options_given():
    assert complete(OFFICIAL)._asdict() == OFFICIAL
    assert complete(OFFICIAL).num_labels == 183
    assert complete(OFFICIAL).image_size == (256, 256)


def test_unknown_names_and_none_are_left_alone():
    given, source = given_options(Path(), {"ngf": None, "batchSize": 32, "ndf": 8})
    assert given == {"batchSize": 32, "ndf": 8}
    assert source == "options"
    assert complete(given).ndf == 8


@pytest.mark.parametrize(
    ("channels", "labels"),
    [
        (184, (182, True, False)),
        (151, (150, True, True)),
        (36, (35, False, False)),
        (12, (12, False, True)),
    ],
)
def test_labels_from_channels_alone(channels, labels):
    options = complete(files=generator(channels))
    assert (options.label_nc, options.contain_dontcare_label, options.no_instance) == labels


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ({"label_nc": 10}, (10, True, False)),
        # If there is one more channel than classes, the official default is instance edges.
        ({"label_nc": 11}, (11, False, False)),
        ({"label_nc": 11, "no_instance": True}, (11, True, True)),
        ({"label_nc": 12}, (12, False, True)),
        ({"contain_dontcare_label": True}, (10, True, False)),
        ({"no_instance": True}, (12, False, True)),
        ({"no_instance": True, "contain_dontcare_label": True}, (11, True, True)),
    ],
)
def test_labels_given_in_part(given, labels):
    options = complete(given, generator(12))
    assert (options.label_nc, options.contain_dontcare_label, options.no_instance) == labels


@pytest.mark.parametrize(
    "given", [{"label_nc": 9}, {"label_nc": 13}, {"label_nc": 12, "no_instance": False}]
)
def test_labels_that_do_not_add_up(given):
    with pytest.raises(ConversionError, match="cannot make the 12 semantic channels"):
        complete(given, generator(12))


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, (256, 256)),
        ({"crop_size": 512, "aspect_ratio": 2.0, "num_upsampling_layers": "more"}, (256, 512)),
        ({"crop_size": 128, "aspect_ratio": 0.5}, (256, 128)),
        # Half a feature map does not exist: both are cut and rounded as in the release.
        ({"crop_size": 286}, (256, 256)),
        ({"crop_size": 256, "aspect_ratio": 1.5}, (160, 256)),
        ({"num_upsampling_layers": "most"}, (256, 256)),
    ],
)
def test_picture_sizes(given, size):
    assert complete(given).image_size == size


@pytest.mark.parametrize(
    ("positions", "given", "layers", "size"),
    [
        (64, {}, "normal", (256, 256)),
        (16, {}, "normal", (128, 128)),
        (16, {"crop_size": 256}, "normal", (64, 256)),
        (16, {"crop_size": 256, "aspect_ratio": 1.0}, "more", (256, 256)),
        (32, {}, "normal", (128, 256)),
        (32, {"num_upsampling_layers": "more"}, "more", (256, 512)),
        (32, {"crop_size": 512, "num_upsampling_layers": "more"}, "more", (256, 512)),
        (15, {"aspect_ratio": 5 / 3}, "normal", (96, 160)),
    ],
)
def test_sizes_from_the_dense_layer_of_the_style(positions, given, layers, size):
    options = complete(given, generator(positions=positions))
    assert options.use_vae
    assert (options.num_upsampling_layers, options.image_size) == (layers, size)


def test_sizes_that_do_not_fit_the_dense_layer():
    with pytest.raises(ConversionError, match=r"do not fit G\.pth: tensor 'fc\.weight'"):
        complete({"crop_size": 512}, generator(positions=7))
    with pytest.raises(ConversionError, match="too small to be made"):
        complete({"crop_size": 16})


@pytest.mark.parametrize("spectral", [True, False])
@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_norms_from_shapes(spectral, batch, kernel):
    options = complete(files=generator(spectral=spectral, batch=batch, kernel=kernel))
    assert options.generator_norm == (spectral, "batch" if batch else "instance", kernel)
    assert options.norm_G == norm_name(*options.generator_norm)
    files = generator(spectral=spectral, batch=batch, kernel=kernel)
    assert complete({"norm_G": options.norm_G}, files) == options


def test_batch_norm_may_be_synchronised_or_not():
    for name, norm in (("spadebatch3x3", "local_batch"), ("spadesyncbatch3x3", "batch")):
        options = complete({"norm_G": name}, generator(spectral=False))
        assert (options.norm_G, options.generator_norm) == (name, (False, norm, 3))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ngf": "64"}, "ngf='64'; give a whole number above 0"),
        ({"ngf": True}, "ngf=True; give a whole number"),
        ({"ngf": 0}, "ngf=0; give a whole number above 0"),
        ({"aspect_ratio": float("nan")}, "aspect_ratio=nan; give a number above 0"),
        ({"use_vae": 1}, "use_vae=1; give true or false"),
        ({"norm_G": 3}, "norm_G=3; give text"),
        ({"semantic_nc": "12"}, "semantic_nc='12'; give a whole number"),
        (
            {"norm_D": "spectrallayer"},
            "norm_D='spectrallayer' cannot be converted; it must be spectral, or sync_batch",
        ),
        ({"norm_E": "instance"}, "norm_E='instance' cannot be converted"),
        ({"netG": "asapnet"}, "netG='asapnet' cannot be converted; give one of spade, pix2pixhd"),
        ({"output_nc": 1}, "output_nc=1 cannot be converted"),
        ({"num_upsampling_layers": "least"}, "give one of normal, more, most"),
    ],
)
def test_values_that_cannot_be_used(given, message):
    with pytest.raises(ConversionError, match=message) as caught:
        given_options(Path(), given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"norm_G": "spectralspadelayer3x3"}, "norm_G='spectralspadelayer3x3' cannot be converted"),
        ({"norm_G": "spadebatch3x5"}, "norm_G='spadebatch3x5' cannot be converted"),
        ({"norm_G": "spadebatch4x4"}, "odd kernel size"),
        ({"norm_G": "instance"}, "norm_G='instance' cannot be .* must be .spectral.spade"),
        ({"netG": "pix2pixhd", "norm_G": "spadebatch3x3"}, "it must be spectral, or sync_batch"),
        ({"netG": "pix2pixhd", "norm_G": ""}, "norm_G='' cannot be converted"),
        ({"netG": "pix2pixhd", "resnet_kernel_size": 4}, "resnet_kernel_size=4 .* odd kernels"),
    ],
)
def test_norms_that_cannot_be_used(given, message):
    with pytest.raises(ConversionError, match=message) as caught:
        complete(given)
    assert "\n" not in str(caught.value)


def test_options_from_files(tmp_path):
    assert given_options(tmp_path, None) == ({}, str(tmp_path / "options.json"))
    (tmp_path / "options.json").write_text(json.dumps({"ngf": 3}))
    assert given_options(tmp_path, None)[0] == {"ngf": 3}
    assert given_options(tmp_path, {})[0] == {}
    assert given_options(Path(), tmp_path / "options.json")[0] == {"ngf": 3}


def test_option_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConversionError, match=r"none\.json: cannot be read"):
        given_options(tmp_path, tmp_path / "none.json")
    path = tmp_path / "options.json"
    for content, message in (("{", "is no JSON"), ("[]", "must hold one JSON object")):
        path.write_text(content)
        with pytest.raises(ConversionError, match=message) as caught:
            given_options(tmp_path, None)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
