import pytest
from chromium import chromium
from painted_double import DoubleServer
from painted_export import paintable
from painting_page import Painting
from served_process import ServedProcess

from spade_tf.serving.fronts.painter import Painter


@pytest.fixture(scope="session")
def painted_version(version, tmp_path_factory):
    """The export that others read, with classes to paint."""
    return paintable(version, tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="session")
def server(painted_version, tmp_path_factory):
    """The embedded server in its own process. It must end cleanly and log no traceback."""
    pytest.importorskip("tritonclient.grpc")
    log = tmp_path_factory.mktemp("log") / "log"
    with ServedProcess(painted_version, log, model_name="tiny", version_labels="stable") as server:
        yield server
    assert server.process.returncode == 0
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="session")
def browser():
    """Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def double_server(tmp_path_factory):
    """A server of a model that takes no time."""
    with DoubleServer(tmp_path_factory.mktemp("double"), Painter()) as server:
        yield server


@pytest.fixture
def painting(browser, double_server):
    """The page, opened for the first time."""
    painting = Painting(browser, double_server.url)
    yield painting
    painting.close()
