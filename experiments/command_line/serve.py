"""The `serve` command."""

from __future__ import annotations

import sys

from experiments.command_line.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("model", None, "An export, or the folder of its versions.", required=True)
    flags.integer("port", 8080, "REST port.", lower_bound=1, upper_bound=65535)
    flags.integer("grpc_port", 8081, "gRPC port; 0 for none.", lower_bound=0, upper_bound=65535)
    flags.string("model_name", None, "Name of the model in requests; default its folder's name.")
    flags.integer(
        "micro_batch",
        1,
        "How many pictures of concurrent requests are made together.",
        lower_bound=1,
    )
    flags.integer("num_threads", 1, "How many batches are made at once.", lower_bound=1)
    flags.integer("max_body_mib", 16, "Largest body of a request, in MiB.", lower_bound=1)
    flags.integer("max_batch", 16, "Most label maps in a request.", lower_bound=1)
    flags.integer("max_pixels", 1 << 22, "Most pixels of a request's pictures.", lower_bound=1)
    flags.float(
        "max_gmac", 2000.0, "Most work of a request, in billions of multiply-adds.", lower_bound=0.0
    )
    flags.integer(
        "max_memory_mib",
        None,
        "Memory that pictures may take, in MiB; default all that this machine or container has.",
        lower_bound=1,
    )
    flags.integer("max_queue", 256, "Most requests that wait at once.", lower_bound=1)
    flags.float("receive_seconds", 20.0, "How long a body may take to arrive.")
    flags.float("poll_seconds", 1.0, "Look for a new version so often; 0 for never.", lower_bound=0)
    flags.list("version_labels", [], "Labels that stand for the version that is served.")


def run(flags: Flags) -> None:
    """Serves an export."""
    # TensorFlow imports Keras, and that pandas, if they are there: a fifth of its start, and a
    # server uses neither. It goes on without. Where Keras is imported already, it stays.
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
    from experiments.commands.serve import serve

    serve(
        max_body_bytes=flags.max_body_mib << 20,
        max_memory=None if flags.max_memory_mib is None else flags.max_memory_mib << 20,
        **flags.arguments(without=["max_body_mib", "max_memory_mib"]),
    )


COMMAND = Command("a SavedModel → REST and gRPC", define, run)
