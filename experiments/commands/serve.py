"""Serves an export."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from experiments.setup.config import ConfigError
from experiments.setup.program import program
from experiments.setup.shipped import shipped_model
from spade_tf.export.serving_config import is_model_name
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.listening import listening_socket
from spade_tf.serving.model.folders import newest_version


def serve(
    model: str | os.PathLike[str] | None = None,
    *,
    port: int,
    grpc_port: int,
    model_name: str | None,
    limits: RequestLimits,
    poll_seconds: float,
    version_labels: Sequence[str],
    host: str,
    painter: bool,
) -> None:
    """Serves an export by REST and gRPC until it is interrupted.

    Args:
        model: an export, or the folder of its versions; None for the model of landscapes that
            comes with a clone.
        port: REST port.
        grpc_port: gRPC port; 0 for none.
        model_name: name of the model in requests; None for the name of the folder of versions.
        limits: limits of a request; `max_memory` None for all memory of the machine.
        poll_seconds: time between checks for a new version; 0 to never check.
        version_labels: labels that stand for the served version.
        host: address to listen on.
        painter: whether the page at `/` is the painter.

    Raises:
        ConfigError: if `model` is a workdir, the ports are the same, or the name cannot be part of
            addresses.
        ServingError: if it cannot be served.
    """
    model = shipped_model() if model is None else model
    if Path(model).is_file():
        raise ConfigError(f"--model={model}: a file; give the folder that export wrote")
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
    # The server listens only after seconds of imports: a port that is taken is known before.
    listening_socket(host, port).close()
    from spade_tf.serving.requirements import require

    require("tritonclient.grpc", "serve")
    from spade_tf.serving import server
    from spade_tf.serving.fronts.painter import LOOPBACK, Painter
    from spade_tf.serving.model.work import available_memory

    if limits.max_memory is None:
        limits = limits._replace(max_memory=available_memory())
    server.serve(
        model,
        port=port,
        grpc_port=grpc_port,
        model_name=model_name,
        poll_seconds=poll_seconds,
        version_labels=version_labels,
        limits=limits,
        host=host,
        painter=Painter(sample_layouts, local=host in LOOPBACK) if painter else None,
    )


def sample_layouts(
    class_names: Sequence[str], height: int, width: int
) -> Callable[[int], np.ndarray] | None:
    """Layouts to begin a painting with.

    Args:
        class_names: names of a model's ids.
        height: rows of its pictures.
        width: columns of its pictures.

    Returns:
        A function from a seed to a label map, uint8 `[height, width]`; None where there are none:
        the procedural landscapes have them, of their own sizes.
    """
    from pipelines import landscapes

    if not landscapes.can_draw(class_names, height, width):
        return None
    return lambda seed: landscapes.render(seed, 0, height, width).label
