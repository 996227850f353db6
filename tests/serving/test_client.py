import http.server
import json
import threading

import grpc
import numpy as np
import pytest
from serving_doubles import ServingDouble

from spade_tf.serving.client.client import Client, TransportError, connect
from spade_tf.serving.errors import ServingError

ROW = {"x": np.zeros([1], np.int32)}


class FakeTransport:
    """A service that fails on demand, then doubles its input. Sleeping advances the clock."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.calls = []
        self.time = 0.0
        self.pauses = []

    def __str__(self):
        return "fake://"

    def predict(self, signature, inputs, seconds):
        self.calls.append((len(inputs["x"]), seconds))
        if self.failures:
            raise self.failures.pop(0)
        return {"y": inputs["x"] * 2}

    def close(self):
        pass

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.time += seconds

    def client(self, **options):
        return Client(self, sleep=self.sleep, clock=lambda: self.time, **options)


def passing():
    return TransportError("UNAVAILABLE: not yet", retryable=True)


def test_what_may_pass_is_tried_again_after_growing_pauses():
    transport = FakeTransport(passing(), passing(), passing())
    with transport.client(backoff_seconds=1.0) as client:
        np.testing.assert_array_equal(client.predict("s", {"x": np.array([3])})["y"], [6])
    assert len(transport.calls) == 4
    for pause, largest in zip(transport.pauses, (1, 2, 4), strict=True):
        assert largest / 2 <= pause <= largest
    # The rest of the deadline is passed on.
    assert [seconds for _, seconds in transport.calls] == pytest.approx(
        [60 - sum(transport.pauses[:index]) for index in range(4)]
    )


def test_what_will_not_pass_is_not_tried_again():
    transport = FakeTransport(TransportError("INVALID_ARGUMENT: no", retryable=False))
    with transport.client() as client, pytest.raises(ServingError, match=r"fake://: INVALID"):
        client.predict("s", ROW)
    assert len(transport.calls) == 1


def test_attempts_and_deadline_end():
    transport = FakeTransport(*(passing() for _ in range(9)))
    with transport.client(max_attempts=3) as client, pytest.raises(ServingError, match="3 attem"):
        client.predict("s", ROW)
    assert len(transport.calls) == 3
    transport = FakeTransport(*(passing() for _ in range(9)))
    options = {"deadline_seconds": 1.0, "backoff_seconds": 0.9, "max_attempts": 9}
    with transport.client(**options) as client, pytest.raises(ServingError, match="of 1 seconds"):
        client.predict("s", ROW)
    assert transport.time <= 1.0


def test_large_batches_are_split_and_put_together_in_order():
    transport = FakeTransport()
    values = np.arange(11)
    with transport.client(max_rows=4) as client:
        np.testing.assert_array_equal(client.predict("s", {"x": values})["y"], 2 * values)
    assert sorted(rows for rows, _ in transport.calls) == [3, 4, 4]


@pytest.fixture(scope="module")
def double(version):
    with ServingDouble("tiny", version) as double:
        yield double


NAME = {"name": np.array([b"model_card.md"], object)}


def test_grpc_codes(double):
    """Only UNAVAILABLE and RESOURCE_EXHAUSTED are worth another try."""
    service = double.prediction
    codes = grpc.StatusCode
    with connect(double.endpoint, "tiny", backoff_seconds=0.01) as client:
        service.failures, service.calls = [codes.UNAVAILABLE, codes.RESOURCE_EXHAUSTED], 0
        assert client.predict("describe", NAME)["text"][0] == b"# tiny\n"
        assert service.calls == 3
        for code in (codes.INVALID_ARGUMENT, codes.DEADLINE_EXCEEDED, codes.INTERNAL):
            service.failures, service.calls = [code], 0
            with pytest.raises(ServingError, match=f"{code.name}: as the test wants it"):
                client.predict("describe", NAME)
            assert service.calls == 1
    with connect(double.endpoint, "other") as client, pytest.raises(ServingError, match="NOT_FOU"):
        client.predict("describe", NAME)


def test_model_status(double):
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{double.port}") as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "tiny"
        (status,) = stub.GetModelStatus(request, timeout=30).model_version_status
    assert status.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE


class _Handler(http.server.BaseHTTPRequestHandler):
    answers: list = []  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.asked.append((self.path, json.loads(self.rfile.read(length))))
        status, body = self.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def rest():
    """An HTTP server with given answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _Handler.answers.clear()
    _Handler.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_rest_statuses_that_may_pass(rest, status):
    _Handler.answers += [(status, b"<html>busy</html>"), (200, b'{"outputs": ["# tiny"]}')]
    with connect(rest, "tiny", backoff_seconds=0.01) as client:
        assert client.describe("model_card.md") == "# tiny"
    body = {"signature_name": "describe", "inputs": {"name": ["model_card.md"]}}
    assert _Handler.asked == [("/v1/models/tiny:predict", body)] * 2


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, b'{"error": "label: no"}', "status 400: label: no"),
        (404, b"nothing", "status 404: nothing"),
        (500, b"", "status 500: no reason given"),
        (200, b"<html>", "not of TF Serving's REST interface"),
        (200, b'{"predictions": 3}', "not of TF Serving's REST interface"),
    ],
)
def test_rest_answers_that_will_not_pass(rest, status, body, text):
    _Handler.answers.append((status, body))
    with connect(rest, "tiny") as client, pytest.raises(ServingError) as caught:
        client.describe("x")
    assert text in str(caught.value)
    assert len(_Handler.asked) == 1


def test_rest_files_go_as_base64(rest):
    _Handler.answers.append((200, b'{"outputs": [{"b64": "AAH/"}]}'))
    with connect(rest, "tiny") as client:
        file = np.array([b"\x00\xff", None], object)[:1]
        made = client.predict("generate_bytes", {"label_bytes": file})
    assert made["image_bytes"][0] == b"\x00\x01\xff"
    assert _Handler.asked[0][1]["inputs"] == {"label_bytes": [{"b64": "AP8="}]}


def test_nobody_there():
    from served_process import free_port

    client = connect(f"http://127.0.0.1:{free_port()}", "x", max_attempts=2)
    with client, pytest.raises(ServingError, match=r"refused.*\(2 attempts\)"):
        client.describe("config.json")


@pytest.mark.parametrize("endpoint", ["localhost:8500", "ftp://x", "grpc://", ""])
def test_endpoints_that_are_none(endpoint):
    with pytest.raises(ServingError, match="give grpc://HOST:PORT"):
        connect(endpoint, "x")
