import re
from pathlib import Path

import numpy as np
import pytest
import served_networks
import tensorflow as tf
from served_networks import SIZE, Z_DIM, layouts

from spade_tf.export.baking import spectral_layers
from spade_tf.export.errors import ExportError
from spade_tf.export.saved_model import export_saved_model
from spade_tf.networks.fused.generator import FusedGenerator


@pytest.mark.parametrize(
    "name", ["spade", "pix2pixhd", pytest.param("clade", marks=pytest.mark.slow)]
)
def test_every_generator_makes_the_pictures_of_keras(name, tmp_path):
    generator = getattr(served_networks, name)()
    version = export_saved_model(generator, tmp_path / name)
    signatures = tf.saved_model.load(str(version)).signatures
    sizes = [(SIZE, SIZE)] if name == "clade" else [(SIZE, SIZE), (SIZE, 2 * SIZE)]
    # The export's kernels include spectral norms; the network's own still do not.
    names = [name for name, _ in tf.train.list_variables(str(version / "variables/variables"))]
    assert len(names) < len(generator.variables)
    assert not [layer for layer in spectral_layers(generator) if "normalized_kernel" in vars(layer)]
    for height, width in sizes:
        label = layouts(2, height, width)
        inputs = {"label": label}
        if generator.use_instance_edges:
            inputs["instance"] = label // 2
        z = {}
        if generator.z_dim is not None:
            z["z"] = np.random.default_rng(0).standard_normal((2, Z_DIM)).astype(np.float32)
        expected = generator(inputs, **z).numpy()
        assert expected.std() > 0.05
        inputs = {key: tf.constant(value) for key, value in (inputs | z).items()}
        image = signatures["generate"](**inputs)["image"]
        # Float32 through some twenty convolutions; fused, in another order.
        np.testing.assert_allclose(image, expected, rtol=0, atol=2e-5)
    bad = {key: value[:, :41] if key != "z" else value for key, value in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"label: .*41x"):
        signatures["generate"](**bad)
    if name == "pix2pixhd":
        small = {key: value[:, :4, :8] for key, value in inputs.items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match="multiples of 4, and at least 8"):
            signatures["generate"](**small)


def test_weights_are_copied_into_the_export(networks, version, signatures):
    """The kernels include spectral norm and batch statistics: no variables for these are left."""
    names = [name for name, _ in tf.train.list_variables(str(version / "variables/variables"))]
    generator = [name for name in names if name.startswith("fused")]
    assert isinstance(networks[0].fuse(), FusedGenerator)
    assert generator
    assert not [name for name in generator if "moving" in name or name.endswith("/u")]


def test_the_graph_of_the_generator_is_written_once(version):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    names = [function.signature.name for function in functions]
    assert len([name for name in names if "_make_picture_" in name]) == 1


def test_assets_are_files(version):
    assert (version / "assets" / "config.json").read_text() == '{"answer": 42}'
    assert (version / "assets" / "model_card.md").read_text() == "# tiny\n"


def test_warm_up_requests_are_answered(version, signatures):
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    asked = set()
    for record in tf.data.TFRecordDataset([str(path)]):
        log = prediction_log.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "tiny"
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        outputs = signatures[request.model_spec.signature_name](**inputs)
        assert all(len(value) for value in outputs.values())
        asked.add(request.model_spec.signature_name)
    # Five signatures take a label and an instance map of 64x64 ids: a byte each, and little else.
    assert path.stat().st_size < (5 * 2 + 1) * 64 * 64
    # This also warms up the parts of signatures.
    assert asked == {name for name in signatures if not name.startswith("stage_")}


def test_a_picture_of_the_trained_size_must_be_allowed(networks, tmp_path):
    with pytest.raises(ExportError, match="--max_pixels=4095: less than the 64x64 pixels"):
        export_saved_model(networks[0], tmp_path / "m", max_pixels=4095)
    assert not (tmp_path / "m").exists()


def test_an_export_within_a_strategy_is_refused(networks, two_replicas, tmp_path):
    with two_replicas.scope(), pytest.raises(ExportError, match="outside"):
        export_saved_model(networks[0], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_an_export_is_loaded_in_python_as_the_documentation_has_it(version, signatures):
    text = (Path(__file__).parents[2] / "docs" / "SERVING.md").read_text(encoding="utf-8")
    section = text.split("### In Python, without a server")[1].split("\n## ")[0]
    by_signature, by_layer = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    label = tf.constant(layouts())
    seed = tf.range(len(label), dtype=tf.int64)
    names = {
        "path": str(version),
        "inputs": {"label": label, "instance": label, "seed": seed},
    }
    expected = signatures["serving_default"](**names["inputs"])["image"].numpy()
    for code in (by_signature, by_layer):
        exec(code, names)
        # The same graph and weights, but other threads may sum in another order.
        difference = names.pop("pictures").numpy().astype(int) - expected
        assert np.abs(difference).max() <= 1
