"""Serves an export."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from experiments.setup.config import ConfigError
from experiments.setup.program import program
from spade_tf.export.serving_config import is_model_name
from spade_tf.serving.model.folders import newest_version


def serve(
    model: str | os.PathLike[str],
    *,
    port: int,
    grpc_port: int,
    model_name: str | None,
    micro_batch: int,
    num_threads: int,
    max_body_bytes: int,
    max_batch: int,
    max_pixels: int,
    max_gmac: float,
    max_memory: int | None,
    max_queue: int,
    receive_seconds: float,
    poll_seconds: float,
    version_labels: Sequence[str],
) -> None:
    """Serves an export by REST and gRPC until it is interrupted.

    Args:
        model: an export, or the folder of its versions.
        port: REST port.
        grpc_port: gRPC port; 0 for none.
        model_name: name of the model in requests; None for the name of the folder of versions.
        micro_batch: int >= 1, most pictures of concurrent requests in a batch.
        num_threads: int >= 1, number of batches that are made at once.
        max_body_bytes: largest body of a request.
        max_batch: most label maps in a request.
        max_pixels: most pixels of all its pictures together.
        max_gmac: most billions of multiply-adds of a request.
        max_memory: most bytes for pictures; None for all memory.
        max_queue: most requests that wait at once.
        receive_seconds: longest time in which a body must arrive.
        poll_seconds: time between checks for a new version; 0 to never check.
        version_labels: labels that stand for the served version.

    Raises:
        ConfigError: if `model` is a workdir, the ports are the same, or the name cannot be part of
            addresses.
        ServingError: if it cannot be served.
    """
    if (Path(model) / "config.json").exists():
        raise ConfigError(
            f"--model={model}: a workdir, and exports are served; {program()} export "
            f"--model={model} --output_dir=DIR makes one"
        )
    if port == grpc_port:
        raise ConfigError(f"--grpc_port={grpc_port}: --port is the same; give two ports")
    if model_name is not None and not is_model_name(model_name):
        raise ConfigError(
            f"--model_name={model_name}: it is part of addresses; give letters, digits, '.', '_' "
            "and '-' alone"
        )
    newest_version(Path(model))
    from spade_tf.serving.limits import RequestLimits
    from spade_tf.serving.requirements import require

    require("tritonclient.grpc", "serve")
    from spade_tf.serving import server
    from spade_tf.serving.model.work import available_memory

    server.serve(
        model,
        port=port,
        grpc_port=grpc_port,
        model_name=model_name,
        micro_batch=micro_batch,
        num_threads=num_threads,
        poll_seconds=poll_seconds,
        version_labels=version_labels,
        limits=RequestLimits(
            max_body_bytes=max_body_bytes,
            receive_seconds=receive_seconds,
            max_pixels=max_pixels,
            max_gmac=max_gmac,
            max_memory=available_memory() if max_memory is None else max_memory,
            num_threads=num_threads,
            micro_batch=micro_batch,
            max_batch=max_batch,
            max_queue=max_queue,
        ),
    )
