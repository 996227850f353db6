import json
import os

import numpy as np
import pytest
from edge_networks import (
    ALL,
    make_encoder,
    make_generator,
    make_layouts,
    make_photographs,
    shared_generator,
)

from spade_tf.export.errors import ExportError
from spade_tf.export.litert.edge_form import edge_form
from spade_tf.export.litert.export import export_litert
from spade_tf.export.litert.functions import edge_functions, edge_inputs
from spade_tf.export.litert.model import GPU_SAFE_OPS, LiteRTModel
from spade_tf.export.litert.variants import VARIANTS, Variant

FLOATS = ("float32", "float16")
# The generator that is converted fastest.
QUICKEST = "pix2pixhd"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    generator, encoder = shared_generator("clade"), make_encoder()
    photographs = [inputs["image"] for inputs in make_photographs(encoder, 2)]
    return export_litert(
        generator,
        tmp_path_factory.mktemp("models"),
        layouts=make_layouts(generator, 2),
        calibration_layouts=make_layouts(generator, 4, seed=2),
        encoder=encoder,
        photographs=photographs,
        # A generator with two filters and random weights is not accurate in int8.
        allow_below_bound=("int8", "dynamic_int8"),
        description={"classes": [{"id": 0, "name": "sky", "color": [0, 0, 255]}]},
    )


@pytest.mark.parametrize("name", ALL)
def test_keras_equals_litert(name, exported):
    generator = shared_generator(name)
    layouts = make_layouts(generator, 2)
    if name == "clade":
        # It is there already.
        content = (exported / "generator_float32.tflite").read_bytes()
    else:
        function, _ = edge_functions(edge_form(generator))
        content = function.convert("float32")
    model = LiteRTModel(content)
    for layout, inputs in zip(layouts, edge_inputs(generator, layouts), strict=True):
        given = {**layout, "class_styles": inputs.get("class_styles")}
        expected = generator(given, z=inputs.get("z"), training=False).numpy()
        # The same sums in another order, through up to thirty layers.
        np.testing.assert_allclose(model(**inputs)["image"], expected, atol=1e-4)
    operations = model.operations()
    assert set(operations.counts) <= GPU_SAFE_OPS
    assert operations.largest_rank <= 4
    assert all(tensor["shape"][0] == 1 for tensor in model.describe()["inputs"])


def test_noise_takes_its_own_size_alone():
    """Not that of the features that it is added to, which converters would make of it."""
    sizes = {}
    for noise_inputs in (True, False):
        generator = make_generator("spade_noise_inputs", noise_inputs=noise_inputs)
        function, _ = edge_functions(edge_form(generator))
        sizes[noise_inputs] = len(function.convert("float32"))
    # Half a kilobyte for each of six times seven operations, and their names.
    noise = sum(4 * (64 // scale) ** 2 for scale in (16, 16, 8, 4, 2, 1))
    assert sizes[True] - sizes[False] < noise + 6 * 7 * 512


def test_int8_does_not_go_with_styles_of_classes(tmp_path):
    generator = shared_generator("spade_with_class_styles")
    layouts = make_layouts(generator, 1)
    with pytest.raises(ExportError, match=r"--variants=int8: .* give dynamic_int8"):
        export_litert(
            generator,
            tmp_path,
            layouts=layouts,
            calibration_layouts=layouts,
            variants=("int8",),
        )


def test_label_ids_give_what_maps_give(exported):
    generator = shared_generator("clade")
    layouts = make_layouts(generator, 1)
    inputs = edge_inputs(generator, layouts)[0]
    dense, ids = (
        LiteRTModel((exported / f"generator_{name}.tflite").read_bytes())
        for name in ("float32", "ids_float32")
    )
    assert {tensor["name"] for tensor in ids.describe()["inputs"]} >= {"label", "instance"}
    np.testing.assert_allclose(ids(**inputs)["image"], dense(**inputs)["image"], atol=1e-5)


def test_every_variant_has_its_file_and_its_facts(exported):
    assert exported.parent.name == "litert"
    stems = {path.stem for path in exported.iterdir()}
    assert stems == {f"generator_{name}" for name in VARIANTS} | {
        "encoder_float32",
        "encoder_float16",
    }
    for path in exported.glob("*.tflite"):
        facts = json.loads(path.with_suffix(".json").read_text())
        assert facts["file"] == path.name
        assert facts["size_bytes"] == path.stat().st_size
        assert facts["classes"][0]["name"] == "sky"
        assert facts["label_map"]["id_of_value"] == list(range(facts["label_map"]["num_ids"]))
        assert all(tensor["meaning"] for tensor in facts["inputs"] + facts["outputs"])
        assert facts["cpu"]["milliseconds"] > 0
        assert facts["gpu_safe"] or "ids" in path.stem
        assert facts["objections"] == [] or "int8" in path.stem


def test_facts_are_those_of_the_file(exported):
    generator = shared_generator("clade")
    facts = json.loads((exported / "generator_int8.json").read_text())
    model = LiteRTModel((exported / "generator_int8.tflite").read_bytes())
    layouts = make_layouts(generator, 2)
    errors = []
    for layout, inputs in zip(layouts, edge_inputs(generator, layouts), strict=True):
        expected = generator(layout, z=inputs["z"], training=False).numpy()
        errors.append(model(**inputs)["image"] - expected)
    decibels = 10 * np.log10(4 / np.mean(np.square(errors)))
    assert facts["against_keras"]["psnr_db"] == pytest.approx(decibels, abs=0.05)
    assert facts["inputs"][0]["dtype"] == facts["outputs"][0]["dtype"] == "int8"
    assert facts["outputs"][0]["quantization"]["scale"] == pytest.approx(2 / 256, rel=0.05)


def test_smaller_numbers_make_smaller_files(exported):
    size = {p.stem.split("_", 1)[1]: p.stat().st_size for p in exported.glob("generator*.tflite")}
    assert size["float16"] < 0.7 * size["float32"]
    assert size["dynamic_int8"] < size["float16"]


def export(generator, path, variants=("float32",), **more):
    return export_litert(
        generator,
        path,
        layouts=make_layouts(generator, 1),
        calibration_layouts=make_layouts(generator, 1, seed=2),
        variants=variants,
        **more,
    )


def test_versions_are_numbered(tmp_path):
    (tmp_path / "litert" / "1").mkdir(parents=True)
    assert export(shared_generator(QUICKEST), tmp_path).name == "2"
    assert sorted(path.name for path in (tmp_path / "litert").iterdir()) == ["1", "2"]


def refused(generator, path, text, variants=("float32",), **more):
    with pytest.raises(ExportError, match=text) as caught:
        export(generator, path, variants, **more)
    assert "\n" not in str(caught.value)
    assert not list(path.rglob("*.tflite"))
    assert not list(path.rglob("*.json"))


def test_an_operation_that_gpus_do_not_take_stops_the_export(tmp_path, monkeypatch):
    generator = shared_generator(QUICKEST)
    monkeypatch.setattr("spade_tf.export.litert.report.GPU_SAFE_OPS", GPU_SAFE_OPS - {"TANH"})
    refused(generator, tmp_path, r"float32: not for GPUs \(TANH\).*nothing written")


def test_a_model_that_misses_its_bound_stops_the_export(tmp_path, monkeypatch):
    generator = shared_generator(QUICKEST)
    monkeypatch.setitem(VARIANTS, "float16", Variant("float16", 150.0))
    text = r"float16: [\d.]+ dB against Keras, less than 150.*--variants=float32, or"
    refused(generator, tmp_path, text, FLOATS)
    path = export(generator, tmp_path, ("float16",), allow_below_bound=("float16",))
    facts = json.loads((path / "generator_float16.json").read_text())
    assert not facts["against_keras"]["within_bound"]
    assert "less than 150" in facts["objections"][0]


def test_activations_that_float16_cannot_hold_stop_the_export(tmp_path):
    generator = make_generator("concat")
    # The activations inside exceed float16, but the picture is the same.
    generator.blocks[-1].conv_1.bias.assign(
        generator.blocks[-1].conv_1.bias + np.array([1e6, 0.0], "float32")
    )
    kernel = generator.conv_img.kernel.numpy()
    kernel[:, :, 0] = 0.0
    generator.conv_img.kernel.assign(kernel)
    refused(
        generator, tmp_path, r"float16: .* reaches 1e\+06, more than float16 holds", ("float16",)
    )


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"variants": ("float64",)}, "float64.*float32, float16"),
        ({"allow_below_bound": ("int4",)}, "int4"),
        ({"layouts": ()}, "at least one"),
        ({"variants": ("int8",), "calibration_layouts": ()}, "ranges of activations"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(tmp_path, more, text):
    generator = shared_generator("clade")
    arguments = {"layouts": make_layouts(generator, 1), "calibration_layouts": (), **more}
    with pytest.raises(ExportError, match=text):
        export_litert(generator, tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    generator = shared_generator(QUICKEST)
    monkeypatch.setattr(os, "replace", fail)
    refused(generator, tmp_path, "No space left on device")
    assert list((tmp_path / "litert").iterdir()) == []


def test_a_network_is_traced_once_for_all_quantizations():
    generator = shared_generator(QUICKEST)
    function, _ = edge_functions(edge_form(generator))
    calls, call = [], function.call
    function.call = lambda **inputs: calls.append(1) or call(**inputs)
    assert len({function.convert(name) for name in ("float32", "float16")}) == 2
    assert calls == [1]


def test_without_the_runtime_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert", None)
    with pytest.raises(ExportError, match=r"pip install 'spade-tf\[litert\]'"):
        export(shared_generator("clade"), tmp_path)


def test_continuous_maps_have_no_ids(tmp_path):
    generator = shared_generator(QUICKEST)
    maps = [np.random.default_rng(0).uniform(0, 1, (1, 32, 64, 5)).astype("float32")]
    path = export_litert(
        generator,
        tmp_path,
        layouts=maps,
        calibration_layouts=maps,
        variants=("float32", "ids_float32"),
        one_hot=False,
    )
    assert [p.name for p in path.glob("*.tflite")] == ["generator_float32.tflite"]
    facts = json.loads((path / "generator_float32.json").read_text())
    expected = generator(maps[0]).numpy()
    given = LiteRTModel((path / "generator_float32.tflite").read_bytes())(semantics=maps[0])
    np.testing.assert_allclose(given["image"], expected, atol=1e-4)
    assert facts["against_keras"]["max_abs_difference"] < 1e-4
