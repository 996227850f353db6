import pytest
from served_process import ServedProcess


@pytest.fixture(scope="session")
def server(version, tmp_path_factory):
    """The embedded server in its own process. It must end cleanly and log no traceback."""
    pytest.importorskip("tritonclient.grpc")
    log = tmp_path_factory.mktemp("log") / "log"
    with ServedProcess(version, log, model_name="tiny", version_labels="stable") as server:
        yield server
    assert server.process.returncode == 0
    assert "Traceback" not in log.read_text()
