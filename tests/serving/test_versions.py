import asyncio
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from served_networks import layouts
from starlette.testclient import TestClient

from spade_tf.serving.dispatch import Dispatch
from spade_tf.serving.errors import MissingError, ServingError, UnavailableError
from spade_tf.serving.fronts.rest_server import make_app
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.model.batching import MicroBatcher
from spade_tf.serving.model.versions import ModelVersions
from spade_tf.serving.requests import make_request


def batcher(predictor):
    return MicroBatcher(predictor.run, max_rows=1, num_threads=1, max_queue=64)


class FakePredictor:
    """A predictor that loads at once, unless the folder holds a file called `broken`."""

    closed: list = []  # noqa: RUF012

    def __init__(self, path, drafts=False):
        self.path = path
        if (path / "broken").exists():
            raise ServingError("half of it is missing")

    def warm_up(self):
        return 1

    def close(self):
        self.closed.append(self.path.name)

    def run(self, signature, inputs):
        return {}


@pytest.fixture
def fake(monkeypatch, tmp_path):
    monkeypatch.setattr("spade_tf.serving.model.versions.Predictor", FakePredictor)
    FakePredictor.closed.clear()
    add(tmp_path, 3)
    return ModelVersions(tmp_path, "m", batcher, ("stable",))


def add(folder, number, *files):
    (folder / str(number)).mkdir()
    for name in ("saved_model.pb", *files):
        (folder / str(number) / name).touch()


def states(versions):
    return [(status.version, status.state) for status in versions.statuses("m")]


def test_nothing_is_ready_before_it_is_loaded(fake):
    assert not fake.ready
    with pytest.raises(UnavailableError, match="m is not loaded yet"):
        fake.find("m")
    asyncio.run(fake.load())
    assert fake.ready
    assert states(fake) == [(3, "AVAILABLE")]


def test_health_says_by_rest_that_no_model_is_loaded(fake):
    """Live, but not ready, as load balancers ask."""
    dispatch = Dispatch(fake, None, RequestLimits(), SimpleNamespace(refused=print))
    client = TestClient(make_app(dispatch))
    paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready")
    assert [client.get(path).status_code for path in paths] == [200, 503, 503]
    assert client.get("/v2/health/ready").json() == {"ready": False}
    asyncio.run(fake.load())
    assert [client.get(path).status_code for path in paths] == [200, 200, 200]


def test_names_versions_and_labels_are_looked_up(fake):
    asyncio.run(fake.load())
    assert fake.find("m", 3) is fake.find("m") is fake.find("m", label="stable")
    for target in (("n",), ("m", 4), ("m", None, "canary")):
        with pytest.raises(MissingError, match="Servable not found"):
            fake.find(*target)
    with pytest.raises(MissingError, match="Could not find any versions of model m 4"):
        fake.statuses("m", 4)


def test_the_old_version_stays_until_its_requests_are_answered(fake, tmp_path):
    async def main():
        await fake.load()
        old = fake.find("m")
        with old:
            add(tmp_path, 12)
            await fake.load()
            assert fake.find("m").number == 12
            await asyncio.sleep(0)
            assert states(fake) == [(12, "AVAILABLE"), (3, "UNLOADING")]
            assert FakePredictor.closed == []
        while FakePredictor.closed != ["3"]:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert states(fake) == [(12, "AVAILABLE"), (3, "END")]
        # After its removal, the older version is the newest.
        shutil.rmtree(tmp_path / "12")
        await fake.load()
        assert fake.find("m").number == 3

    asyncio.run(main())


def test_a_version_that_cannot_be_loaded_changes_nothing(fake, tmp_path):
    async def main():
        await fake.load()
        add(tmp_path, 4, "broken")
        with pytest.raises(ServingError, match="half of it is missing"):
            await fake.load()
        assert fake.find("m").number == 3
        (status,) = fake.statuses("m", 4)
        assert (status.state, status.error) == ("END", "half of it is missing")
        # The same files are not tried again; changed files are.
        await fake.load()
        (tmp_path / "4" / "broken").unlink()
        await fake.load()
        assert fake.find("m").number == 4

    asyncio.run(main())


def test_a_new_version_is_picked_up_without_dropping_a_request(version, tmp_path):
    """Requests one after another, while the folder is watched and a second version appears."""
    shutil.copytree(version, tmp_path / "1")
    shutil.copytree(version, tmp_path / "2.part")
    label = layouts(1)
    values = {"label": label, "instance": label, "seed": np.array([3])}

    async def main():
        versions = ModelVersions(tmp_path, "tiny", batcher)
        await versions.load()
        watching = asyncio.create_task(versions.watch(0.05))
        answered = {1: 0, 2: 0}
        expected = None
        while answered[2] < 3:
            with versions.find("tiny") as servable:
                request = make_request("serving_default", values, servable.predictor.inputs, LIMITS)
                image = (await servable.batcher.submit(request))["image"]
            expected = image if expected is None else expected
            np.testing.assert_array_equal(image, expected)
            answered[servable.number] += 1
            if answered[1] == 3:
                (tmp_path / "2.part").rename(tmp_path / "2")
        watching.cancel()
        assert answered[1] >= 3
        assert states_of(versions) == [(2, "AVAILABLE"), (1, "END")]
        await versions.close()
        assert not versions.ready

    from spade_tf.serving.limits import RequestLimits

    LIMITS = RequestLimits()

    def states_of(versions):
        return [(status.version, status.state) for status in versions.statuses("tiny")]

    asyncio.run(main())
