"""The `serve` command."""

from __future__ import annotations

import sys

from experiments.command_line.command import Command, Flags
from experiments.command_line.model import SHIPPED

# Those limits of `RequestLimits` that are flags by the same name.
_LIMITS = (
    *("micro_batch", "num_threads", "max_batch", "max_pixels", "max_gmac", "max_queue"),
    "receive_seconds",
)


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string(
        "model",
        None,
        f"An export, or the folder of its versions{SHIPPED}.",
    )
    flags.integer("port", 8080, "REST port.", lower_bound=1, upper_bound=65535)
    flags.integer("grpc_port", 8081, "gRPC port; 0 for none.", lower_bound=0, upper_bound=65535)
    flags.string(
        "host",
        "127.0.0.1",
        "Address to listen on: 127.0.0.1 for this machine alone, 0.0.0.0 for all machines that "
        "reach it.",
    )
    flags.boolean("painter", True, "A page at / on which you paint label maps.")
    flags.string("model_name", None, "Name of the model in requests; default the folder's name.")
    flags.integer(
        "micro_batch",
        1,
        "Most pictures that are made together, of requests that arrive at the same time.",
        lower_bound=1,
    )
    flags.integer(
        "num_threads", 1, "How many such batches are made at the same time.", lower_bound=1
    )
    flags.integer("max_body_mib", 16, "Largest request, in MiB.", lower_bound=1)
    flags.integer("max_batch", 16, "Most label maps in a request.", lower_bound=1)
    flags.integer("max_pixels", 1 << 22, "Most pixels in the pictures of a request.", lower_bound=1)
    flags.float(
        "max_gmac",
        2000.0,
        "Most work for a request, in billions of multiply-adds.",
        lower_bound=0.0,
    )
    flags.integer(
        "max_memory_mib",
        None,
        "Most memory for making pictures, in MiB; default all of this machine or container.",
        lower_bound=1,
    )
    flags.integer(
        "max_queue",
        256,
        "Most requests that wait at the same time; more are refused.",
        lower_bound=1,
    )
    flags.float("receive_seconds", 20.0, "How long a request may take to arrive, in seconds.")
    flags.float(
        "poll_seconds",
        1.0,
        "How often to look for a new version, in seconds; 0 for never.",
        lower_bound=0,
    )
    flags.list(
        "version_labels",
        [],
        "Labels that requests may use instead of the version's number, such as stable.",
    )


def run(flags: Flags) -> None:
    """Serves an export."""
    # TensorFlow imports Keras, and that pandas, if they are there: a fifth of its start, and a
    # server uses neither. It goes on without. Where Keras is imported already, it stays.
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
    from experiments.commands.serve import serve
    from spade_tf.serving.limits import RequestLimits

    limits = RequestLimits(
        max_body_bytes=flags.max_body_mib << 20,
        max_memory=None if flags.max_memory_mib is None else flags.max_memory_mib << 20,
        **{name: getattr(flags, name) for name in _LIMITS},
    )
    rest = flags.arguments(without=["max_body_mib", "max_memory_mib", *_LIMITS])
    serve(limits=limits, **rest)


COMMAND = Command(
    "answers requests for pictures by REST and gRPC, and opens a page to paint on", define, run
)
