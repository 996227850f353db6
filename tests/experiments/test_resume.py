import pytest

from experiments.setup.resume import why_lost

# In the form of TensorFlow's, where a worker was killed.
REFUSED = """Graph execution error:

Detected at node CollectiveReduceV2 defined at (most recent call last):
<stack traces unavailable>
Collective ops is aborted by: failed to connect to all addresses; last error: UNKNOWN: \
ipv4:127.0.0.1:35791: Failed to connect to remote host: connect: Connection refused (111)
Additional GRPC error information from remote target /job:worker/replica:0/task:1 while calling \
/tensorflow.WorkerService/RecvBuf:
:{"created":"@1700000000.1","description":"Error received from peer"}
The error could be from a previous operation. Restart your program to reset.
\t [[{{node CollectiveReduceV2}}]] [Op:__inference_step_4711]"""
SILENT = """{{function_node __wrapped__CollectiveReduceV2}} Collective ops is aborted by: The \
following tasks are unhealthy (stopped sending heartbeats): /job:worker/replica:0/task:1. \
The tasks have lost connection to the coordination service.
The error could be from a previous operation. Restart to reset. [Op:CollectiveReduceV2]"""


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            REFUSED,
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:35791: Failed "
            "to connect to remote host: connect: Connection refused (111)",
        ),
        (
            SILENT,
            "The following tasks are unhealthy (stopped sending heartbeats): "
            "/job:worker/replica:0/task:1. The tasks have lost connection to the coordination "
            "service",
        ),
        ("Socket closed\nAdditional GRPC error information", "Socket closed"),
        ("Additional GRPC error information", "TensorFlow says no more"),
    ],
)
def test_the_reason_of_a_loss_is_told_without_what_surrounds_it(message, said):
    assert why_lost(message) == said


def test_a_long_reason_ends_after_a_word():
    said = why_lost("unreachable host " * 50)
    assert len(said) <= 200
    assert said.endswith(("host …", "unreachable …"))
