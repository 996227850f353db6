import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from spade_tf.export.errors import ExportError
from spade_tf.export.serving_config import write_serving_config

DIGEST = "tensorflow/serving@sha256:" + "0" * 64


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    target = write_serving_config(folder, model_name="My_model.v2", fixed_size=True, image=DIGEST)
    return {path.name: path.read_text() for path in target.iterdir()}


def message(fields, nested=None):
    """A message class with fields as TF Serving's documentation names them.

    The package of its stubs holds ModelServerConfig, but neither of the other two.
    """
    file = descriptor_pb2.FileDescriptorProto(name="x.proto", package="x", syntax="proto3")
    if nested:
        inner = file.message_type.add(name="Inner")
        for number, (name, kind) in enumerate(nested.items(), 1):
            inner.field.add(name=name, number=number, type=kind, label=1)
    outer = file.message_type.add(name="Outer")
    for number, (name, kind) in enumerate(fields.items(), 1):
        reference = {"type_name": ".x.Inner"} if kind == 11 else {}
        outer.field.add(name=name, number=number, type=kind, label=1, **reference)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("x.Outer"))()


INT64, BOOL, STRING, MESSAGE = 3, 8, 9, 11


def test_models_config_is_read_by_tf_servings_own_protocol(files):
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    read = text_format.Parse(files["models.config"], config.ModelServerConfig())
    (model,) = read.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (
        "My_model.v2",
        "/models",
        "tensorflow",
    )
    assert model.model_version_policy.latest.num_versions == 1


def test_batching_config_is_a_message(files):
    names = ("max_batch_size", "batch_timeout_micros", "num_batch_threads", "max_enqueued_batches")
    fields = {**dict.fromkeys(names, MESSAGE), "pad_variable_length_inputs": BOOL}
    read = text_format.Parse(files["batching.config"], message(fields, {"value": INT64}))
    assert read.max_batch_size.value == 8
    assert read.num_batch_threads.value == 2
    assert not read.pad_variable_length_inputs


def test_monitoring_config_is_a_message(files):
    kind = message({"prometheus_config": MESSAGE}, {"enable": BOOL, "path": STRING})
    read = text_format.Parse(files["monitoring.config"], kind)
    assert read.prometheus_config.enable
    assert read.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_compose_starts_the_binary_on_the_files_beside_it(files):
    service = yaml.safe_load(files["docker-compose.yml"])["services"]["serving"]
    assert service["image"] == DIGEST
    assert service["volumes"] == ["..:/models:ro"]
    given = dict(argument.split("=") for argument in service["command"])
    assert given["--enable_batching"] == "true"
    for flag in (
        "--model_config_file",
        "--monitoring_config_file",
        "--batching_parameters_file",
    ):
        folder, _, name = given[flag].rpartition("/")
        assert folder == "/models/serving"
        assert name in files


def test_kubernetes_manifest_probes_and_scales(files):
    deployment, service, scaler = yaml.safe_load_all(files["kubernetes.yaml"])
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == DIGEST
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/models/My_model.v2/metadata"
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert (scaler["kind"], scaler["apiVersion"]) == ("HorizontalPodAutoscaler", "autoscaling/v2")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    # A label of DNS: no capital, dot or underscore.
    assert deployment["metadata"]["name"] == "my-model-v2"


def test_models_of_any_size_are_not_batched(tmp_path):
    target = write_serving_config(tmp_path, model_name="any", fixed_size=False)
    for name in ("docker-compose.yml", "kubernetes.yaml"):
        text = (target / name).read_text()
        assert "enable_batching" not in text
        # Nobody looked a digest up: the file must say so, and how to.
        assert "It is a tag" in text
        assert "RepoDigests" in text


def test_it_takes_the_place_of_an_older_one(tmp_path):
    write_serving_config(tmp_path, model_name="a", fixed_size=True)
    (tmp_path / "serving" / "old").touch()
    write_serving_config(tmp_path, model_name="b", fixed_size=True)
    assert 'name: "b"' in (tmp_path / "serving" / "models.config").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["serving"]
    assert not (tmp_path / "serving" / "old").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"model_name": "a b"}, "'a b'"),
        ({"model_name": 'x"'}, "letters, digits"),
        ({"model_name": "a", "image": "x; rm"}, "--serving_image=x; rm"),
    ],
)
def test_names_that_would_break_the_files_are_refused(arguments, text, tmp_path):
    with pytest.raises(ExportError, match=text):
        write_serving_config(tmp_path, fixed_size=True, **arguments)
    assert list(tmp_path.iterdir()) == []
