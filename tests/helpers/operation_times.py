"""What TensorFlow's profiler says of the operations of a call."""

import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path


def milliseconds_by_operation(run: Callable[[], None]) -> dict[str, list[float]]:
    """The profiler's times of each operation, on all threads."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    sums: dict[str, list[float]] = defaultdict(list)
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options):
            run()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        names = {key: data.name for key, data in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                # Executed operations are called `name:Type`.
                name, colon, kind = names[event.metadata_id].rpartition(":")
                if colon and kind.isidentifier() and not name.endswith(":"):
                    sums[kind].append(event.duration_ps / 1e9)
    return sums
