import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from experiments.commands.convert.convert import convert, label_files_of
from experiments.commands.export.export import export
from experiments.commands.generate import generate
from experiments.commands.train import train
from experiments.setup.assemble import make_gaugan
from experiments.setup.config import Config, ConfigError
from experiments.setup.trained_model import load_workdir
from experiments.setup.workdir import read_workdir
from pipelines.prepare.prepare import prepare
from pipelines.schema import LabelFiles, LabelSet
from pipelines.sources.label_sets import ADE20K
from spade_tf.convert.nvlabs.checkpoint import ConversionError
from spade_tf.convert.torch_file import read_state_dict
from spade_tf.training.checkpoints import Checkpoints

GOLDEN = Path(__file__).parents[1] / "goldens" / "nvlabs"
PIX2PIXHD = GOLDEN.parent / "pix2pixhd"
# The checkpoint that is read and written fastest, of four classes.
SMALL = PIX2PIXHD / "spade_spectralsync_batch"
NAMES = [f"thing {index}" for index in range(4)]


@pytest.fixture(scope="module")
def converted(ten_classes, tmp_path_factory):
    """The workdir of a checkpoint, which goes on with a data set."""
    return convert(
        source="nvlabs",
        checkpoint_dir=GOLDEN / "coco_like",
        output=tmp_path_factory.mktemp("converted") / "coco",
        dataset="paired_folder",
        data_dir=ten_classes,
    )


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """The workdir of the small checkpoint, with names of its classes."""
    output = tmp_path_factory.mktemp("named") / "small"
    return convert(source="nvlabs", checkpoint_dir=SMALL, output=output, class_names=NAMES)


@pytest.fixture(scope="module")
def golden():
    values = dict(np.load(GOLDEN / "coco_like" / "forward.npz"))
    values["label"] = values["label"].astype(np.int32)
    return values


@pytest.fixture(scope="module")
def ten_classes(source_dir, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("ten")
    prepare("paired_folder", source_dir=source_dir, data_dir=data_dir, num_classes=10)
    return data_dir


def inputs_of(golden):
    return {name: tf.constant(golden[name], tf.int32) for name in ("label", "instance")}


def labels_of(workdir):
    """Without the networks, which take seconds to make."""
    return LabelSet.from_metadata(read_workdir(workdir)["labels"])


def test_files_of_official_ade20k_are_shifted():
    assert label_files_of({"dataset_mode": "ade20k"}, ADE20K).id_table[:3] == (150, 0, 1)
    assert label_files_of({"dataset_mode": "coco"}, ADE20K) == LabelFiles()
    assert label_files_of({}, ADE20K) == LabelFiles()


def test_the_workdir_makes_the_official_pictures(converted, golden):
    generator = load_workdir(converted).generator
    # The second is the form that exports have.
    for form in (generator, generator.fuse()):
        # The bound of all parity tests; see tests/convert/test_nvlabs_parity.py.
        np.testing.assert_allclose(form(inputs_of(golden)), golden["fake_eval"], atol=1e-4)


def test_training_goes_on_without_a_jump(converted, golden):
    content = read_workdir(converted)
    config = Config.from_dict(content["config"])
    assert config.loss.perceptual_weight == 0  # As the options of the checkpoint say.
    model = make_gaugan(config, LabelSet.from_metadata(content["labels"]))
    assert Checkpoints(model, converted / "checkpoints").restore_latest() == 0
    losses = model.train_step(
        {name: tf.constant(golden[name]) for name in ("label", "instance", "image")}
    )
    train = np.load(GOLDEN / "coco_like" / "train.npz")
    for ours, theirs in {
        "generator/adversarial": "GAN",
        "generator/feature_matching": "GAN_Feat",
        "discriminator/fake": "D_Fake",
        "discriminator/real": "D_real",
    }.items():
        # Before the first update of each network: forward passes in float32 alone. The
        # discriminator's come after one update of the generator.
        np.testing.assert_allclose(losses[ours], train[f"loss_{theirs}"][0], rtol=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_train_takes_the_workdir(converted, ten_classes, tmp_path):
    workdir = tmp_path / "fine"
    shutil.copytree(converted, workdir)
    content = read_workdir(workdir)
    # A begun run must not change its settings, so this is written first.
    content["config"]["train"] |= {"batch_size": 2, "statistics_batches": 1}
    (workdir / "config.json").write_text(json.dumps(content))
    config = Config.from_dict(content["config"])
    config.train.steps = 1
    config.train.log_every = 1
    config.train.num_samples = 2
    before = load_workdir(workdir).generator.get_weights()
    assert train(config, data_dir=ten_classes, workdir=workdir, strategy="one") == 1
    after = load_workdir(workdir).generator
    # Adam's first step is at most the learning rate, so these are the initial weights.
    for old, variable in zip(before, after.variables, strict=True):
        if variable.trainable:
            assert np.abs(variable.numpy() - old).max() <= 1.01e-4
    losses = json.loads((workdir / "losses.jsonl").read_text())
    assert all(np.isfinite(value) for value in losses.values())


@pytest.mark.usefixtures("eagerly")
def test_generate_takes_the_workdir(converted, source_dir, tmp_path):
    paths = generate(converted, labels=source_dir / "val_label", output_dir=tmp_path)
    assert [np.asarray(Image.open(path)).shape for path in paths] == [(64, 64, 3)] * 2


def test_export_takes_the_workdir(named, tmp_path):
    exported = tf.saved_model.load(str(export(named, output_dir=tmp_path)))
    golden = np.load(SMALL / "forward.npz")
    picture = exported.signatures["generate"](label=tf.constant(golden["label"], tf.int32))["image"]
    np.testing.assert_allclose(picture, golden["fake"], atol=1e-4)


@pytest.mark.parametrize("name", ["coco_like", "vae"])
def test_the_way_back_is_bit_identical(name, converted, tmp_path):
    folder, workdir = GOLDEN / name, converted
    if name != "coco_like":
        workdir = convert(source="nvlabs", checkpoint_dir=folder, output=tmp_path / "workdir")
    convert(target="nvlabs", model=workdir, output=tmp_path / "official")
    files = sorted(path.name for path in folder.glob("*.pth"))
    assert sorted(path.name for path in (tmp_path / "official").glob("*.pth")) == files
    for file in files:
        before = read_state_dict(folder / file)
        after = read_state_dict(tmp_path / "official" / file)
        assert list(before) == list(after)
        for tensor in before:
            assert before[tensor].dtype == after[tensor].dtype
            assert before[tensor].shape == after[tensor].shape
            assert before[tensor].tobytes() == after[tensor].tobytes()
    options = json.loads((folder / "options.json").read_text())
    written = json.loads((tmp_path / "official" / "options.json").read_text())
    # The perceptual loss is off here, and its weight was not used.
    written["lambda_vgg"] = options["lambda_vgg"]
    assert written.items() <= options.items() | {("norm_E", "spectralinstance")}


@pytest.mark.parametrize("name", ["spade_spectralsync_batch", "original_instance", "original_rgb"])
def test_pix2pixhd_becomes_a_workdir_and_goes_back(name, tmp_path, capsys):
    folder = PIX2PIXHD / name
    workdir = convert(source="nvlabs", checkpoint_dir=folder, output=tmp_path / "workdir")
    said = capsys.readouterr().err
    values = dict(np.load(folder / "forward.npz"))
    ids = {
        key: tf.constant(values[key], tf.int32) for key in ("label", "instance") if key in values
    }
    loaded = load_workdir(workdir)
    is_rgb = name == "original_rgb"
    # In data sets, pictures in place of labels range from 0 to 1.
    inputs = tf.constant((values["condition"] + 1) / 2) if is_rgb else ids
    picture = loaded.generator(inputs)
    # The bound of all parity tests; see tests/convert/test_nvlabs_parity.py.
    np.testing.assert_allclose(picture, values["fake"], atol=1e-4)
    assert ("its pictures are taken to be 64x64" in said) == name.startswith("original")
    assert ("latest_net_D.pth: left out" in said) == is_rgb
    assert loaded.labels.condition_channels == 3 * is_rgb
    assert is_rgb or loaded.labels.class_names[:2] == ("class 0", "class 1")

    config = Config.from_dict(read_workdir(workdir)["config"])
    assert config.loss.adversarial == ("hinge" if name.startswith("spade") else "least_squares")
    model = make_gaugan(config, loaded.labels)
    assert Checkpoints(model, workdir / "checkpoints").restore_latest() == 0
    batch = {"condition": inputs} if is_rgb else ids
    losses = model.train_step(batch | {"image": tf.constant(values["image"])})
    assert all(np.isfinite(value) for value in losses.values())

    if is_rgb:
        with pytest.raises(ConversionError, match="continuous maps in place of labels have no"):
            convert(target="nvlabs", model=workdir, output=tmp_path / "official")
        return
    convert(target="nvlabs", model=workdir, output=tmp_path / "official")
    if name.startswith("spade"):
        for file in sorted(path.name for path in folder.glob("*.pth")):
            before = read_state_dict(folder / file)
            after = read_state_dict(tmp_path / "official" / file)
            assert list(before) == list(after)
            for tensor in before:
                assert before[tensor].tobytes() == after[tensor].tobytes()
    options = json.loads((tmp_path / "official" / "options.json").read_text())
    assert options["netG"] == "pix2pixhd"
    again = convert(
        source="nvlabs", checkpoint_dir=tmp_path / "official", output=tmp_path / "again"
    )
    np.testing.assert_array_equal(load_workdir(again).generator(inputs), picture)


def test_pictures_and_instance_edges_together_are_refused(tmp_path):
    folder = Path(shutil.copytree(PIX2PIXHD / "original_instance", tmp_path / "rgb"))
    options = {"netG": "global", "label_nc": 0, "input_nc": 6}
    with pytest.raises(ConversionError, match="pictures in place of labels and instance edges"):
        convert(source="nvlabs", checkpoint_dir=folder, output=tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


def test_options_decide_how_training_goes_on(tmp_path):
    options = json.loads((GOLDEN / "coco_like" / "options.json").read_text())
    options |= json.loads((SMALL / "options.json").read_text()) | {"semantic_nc": 4}
    options |= {"gan_mode": "ls", "lr": 1e-3, "no_TTUR": True, "beta2": 0.9, "lambda_feat": 3}
    options |= {"no_vgg_loss": False, "lambda_vgg": 2.5}
    output = convert(source="nvlabs", checkpoint_dir=SMALL, output=tmp_path / "w", options=options)
    config = Config.from_dict(read_workdir(output)["config"])
    assert config.loss.adversarial == "least_squares"
    assert (config.loss.feature_matching_weight, config.loss.perceptual_weight) == (3.0, 2.5)
    assert config.optimizer.generator_learning_rate == 1e-3
    assert config.optimizer.discriminator_learning_rate == 1e-3
    assert config.optimizer.beta_2 == 0.9
    back = convert(target="nvlabs", model=output, output=tmp_path / "back")
    assert json.loads((back / "options.json").read_text()) == {
        name: options[name] for name in json.loads((back / "options.json").read_text())
    }


def test_a_generator_alone_can_be_used_and_trained(tmp_path, capsys):
    folder = tmp_path / "official"
    folder.mkdir()
    for name in ("latest_net_G.pth", "options.json"):
        shutil.copy(SMALL / name, folder)
    output = convert(source="nvlabs", checkpoint_dir=folder, output=tmp_path / "workdir")
    assert "train will begin with a new discriminator" in capsys.readouterr().err
    golden = np.load(SMALL / "forward.npz")
    picture = load_workdir(output).generator({"label": tf.constant(golden["label"], tf.int32)})
    np.testing.assert_allclose(picture, golden["fake"], atol=1e-4)
    content = read_workdir(output)
    model = make_gaugan(
        Config.from_dict(content["config"]), LabelSet.from_metadata(content["labels"])
    )
    assert Checkpoints(model, output / "checkpoints").restore_latest() == 0


def test_labels_come_from_a_data_set_or_a_list_or_a_file(converted, named, tmp_path):
    labels = labels_of(converted)
    assert (labels.num_classes, labels.has_unknown, labels.has_instance) == (10, True, True)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    output, file = tmp_path / "output", tmp_path / "names.txt"
    convert(source="nvlabs", checkpoint_dir=SMALL, output=output, class_names=file)
    for workdir in (named, output):
        assert list(labels_of(workdir).class_names) == NAMES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give either --source=nvlabs or --target=nvlabs"),
        ({"source": "nvlabs", "target": "nvlabs"}, "give either"),
        ({"source": "pix2pix"}, "--source=pix2pix: give one of nvlabs"),
        ({"source": "nvlabs"}, "needs --checkpoint_dir"),
        ({"target": "nvlabs"}, "needs --model"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        convert(output=tmp_path / "out", **arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_refusals_leave_nothing_behind(converted, ten_classes, tmp_path):
    folder = SMALL
    with pytest.raises(ConfigError, match="is there already; give a new folder"):
        convert(source="nvlabs", checkpoint_dir=folder, output=converted)
    output = tmp_path / "out"
    with pytest.raises(ConfigError, match="1 received, but the checkpoint has 4 classes"):
        convert(source="nvlabs", checkpoint_dir=folder, output=output, class_names=["sky"])
    with pytest.raises(ConfigError, match="10 classes, unknown=True, but the checkpoint has 4"):
        convert(
            source="nvlabs",
            checkpoint_dir=folder,
            output=output,
            dataset="paired_folder",
            data_dir=ten_classes,
        )
    with pytest.raises(ConversionError, match="no such folder"):
        convert(source="nvlabs", checkpoint_dir=tmp_path / "none", output=output)
    with pytest.raises(ConfigError, match=r"no config\.json in it"):
        convert(target="nvlabs", model=tmp_path, output=output)
    (tmp_path / "official").mkdir()
    shutil.copy(folder / "latest_net_D.pth", tmp_path / "official")
    with pytest.raises(ConversionError, match=r"no latest_net_G\.pth in it"):
        convert(source="nvlabs", checkpoint_dir=tmp_path / "official", output=output)
    assert [path.name for path in tmp_path.iterdir()] == ["official"]


def test_a_model_without_an_official_counterpart_is_refused(workdir, tmp_path):
    with pytest.raises(ConversionError, match="has no official counterpart"):
        convert(target="nvlabs", model=workdir, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
