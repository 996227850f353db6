import json
import random
import re
import string

import pytest
import yaml
from batching_double import BOOL, MESSAGE, STRING, batching_parameters
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from spade_tf.export.errors import ExportError
from spade_tf.export.serving_config import (
    check_names,
    resource_name,
    serving_files,
    write_serving_config,
)

DIGEST = "tensorflow/serving@sha256:" + "0" * 64


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    target = write_serving_config(folder, model_name="My_model.v2", image=DIGEST)
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


def test_batching_config_makes_pictures_one_at_a_time(files):
    read = batching_parameters(files["batching.config"])
    assert read.enable_large_batch_splitting.value
    assert read.max_execution_batch_size.value == 1
    # Otherwise TensorFlow Serving does not start.
    assert read.max_batch_size.value >= read.max_execution_batch_size.value
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
    # A DNS label has no capital, dot or underscore.
    assert re.fullmatch(r"my-model-v2-[0-9a-f]{6}", deployment["metadata"]["name"])


def test_an_image_of_a_tag_says_how_to_pin_it(tmp_path):
    target = write_serving_config(tmp_path, model_name="any")
    for name in ("docker-compose.yml", "kubernetes.yaml"):
        text = (target / name).read_text()
        # Without a digest, the file must say so, and how to find one.
        assert "It is a tag" in text
        assert "RepoDigests" in text


def names():
    """Names that are hard on YAML, on Kubernetes or on a cut, and two hundred drawn ones."""
    yield from ("2024", "on", "off", "no", "y", "null", "true", "1land", "0x1F", "1e3", "1_000")
    yield from ("NULL", "On", "a", "A", "9", "a-", "a.", "a_", "a--b", "12.5", "2024-01-01", "0")
    yield from ("My_model", "my-model", "my.model", "m" * 50, "m" * 51, "m" * 200, "1" * 200)
    # Cut at any of the lengths that matter, a '-' is the last character.
    yield from ("m" * length + "-" + "x" * 60 for length in range(38, 63))
    draw = random.Random(0)
    for _ in range(200):
        length = draw.choice([1, 2, 5, 44, 50, 63, 100])
        rest = "".join(draw.choices(string.ascii_letters + string.digits + "._-", k=length - 1))
        yield draw.choice(string.ascii_letters + string.digits) + rest


LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")


def is_1035(name):
    return isinstance(name, str) and len(name) <= 63 and LABEL_1035.fullmatch(name) is not None


def texts(value):
    """All texts of a document, by their place in it."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value]


@pytest.mark.parametrize("name", list(names()))
def test_every_name_makes_manifests_that_are_what_they_seem(name):
    check_names(name)
    written = serving_files(name, image=DIGEST, cpus=2, memory_mib=300, max_replicas=3)
    compose = yaml.safe_load(written["docker-compose.yml"])
    assert isinstance(compose["name"], str)
    assert PROJECT.fullmatch(compose["name"])
    service = compose["services"]["serving"]
    assert service["mem_limit"] == "300m"
    assert all(isinstance(argument, str) for argument in service["command"])
    deployment, front, scaler = yaml.safe_load_all(written["kubernetes.yaml"])
    host = deployment["metadata"]["name"]
    assert is_1035(host)
    assert SUBDOMAIN_1123.fullmatch(host)
    assert host == compose["name"] == front["metadata"]["name"] == scaler["metadata"]["name"]
    pods = deployment["spec"]["template"]
    labels = {"app": host}
    assert labels == deployment["spec"]["selector"]["matchLabels"] == front["spec"]["selector"]
    assert labels == pods["metadata"]["labels"] == deployment["metadata"]["labels"]
    (container,) = pods["spec"]["containers"]
    for probe in ("readinessProbe", "startupProbe"):
        assert container[probe]["httpGet"]["path"] == f"/v1/models/{name}/metadata"
    assert container["args"] == service["command"]
    assert container["resources"]["limits"] == {"memory": "300Mi"}
    assert container["resources"]["requests"] == {"cpu": "2", "memory": "300Mi"}
    (volume,) = pods["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == host
    (line,) = re.findall(r"^    name: (.*)$", written["models.config"], re.MULTILINE)
    assert json.loads(line) == name


def test_no_two_names_share_their_resources():
    every = set(names())
    assert len({resource_name(name) for name in every}) == len(every)
    # A name that needs no change stays the same.
    assert resource_name("landscapes") == "landscapes"


@pytest.mark.parametrize(
    "name", ["", "übung", "모델", "a b", "a/b", "a\nb", "-a", ".a", 'a"', "a:b"]
)
def test_names_that_no_address_can_have(name):
    with pytest.raises(ExportError, match="letters, digits"):
        check_names(name)
    # Kubernetes accepts it too.
    assert is_1035(resource_name(name))


def test_it_takes_the_place_of_an_older_one(tmp_path):
    write_serving_config(tmp_path, model_name="a")
    (tmp_path / "serving" / "old").touch()
    write_serving_config(tmp_path, model_name="b")
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
        write_serving_config(tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []
