"""Configuration of TF Serving for an export: for Docker Compose, and for Kubernetes."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from spade_tf.export.errors import ExportError
from spade_tf.export.serving_texts import (
    BATCHING,
    COMPOSE,
    KUBERNETES,
    MODELS,
    MONITORING,
    PINNING,
)

# Of a replica whose memory was not measured.
_UNMEASURED_MIB = 4096

# Pictures of one request to TF Serving, at most.
MAX_ROWS = 64

# A tag can be moved: what is written says how to give a digest instead.
DEFAULT_IMAGE = "tensorflow/serving:latest"


def write_serving_config(
    output_dir: str | os.PathLike[str],
    *,
    model_name: str,
    image: str = DEFAULT_IMAGE,
    cpus: int = 2,
    memory_mib: int | None = None,
    max_replicas: int = 4,
) -> Path:
    """Writes `output_dir/serving/`, in place of one that is there.

    Args:
        output_dir: of the model's versions.
        model_name: that requests name.
        image: of TF Serving, best by digest: `tensorflow/serving@sha256:...`.
        cpus: int >= 1, of a replica.
        memory_mib: int >= 256, of a replica; None for what the newest version was measured to take
            of one picture at a time, the largest that it makes, or for 4096 if it was not.
        max_replicas: int >= 1, on Kubernetes.

    Returns:
        The directory.

    Raises:
        ExportError: if an argument cannot be used, or the directory cannot be written.
    """
    check_names(model_name, image)
    if memory_mib is None:
        memory_mib = measured_mib(Path(output_dir)) or _UNMEASURED_MIB
    files = serving_files(
        model_name,
        image=image,
        cpus=cpus,
        memory_mib=memory_mib,
        max_replicas=max_replicas,
    )
    target = Path(output_dir) / "serving"
    try:
        with tempfile.TemporaryDirectory(dir=output_dir, prefix=".export-") as scratch:
            staged = Path(scratch) / "serving"
            staged.mkdir()
            for name, text in files.items():
                (staged / name).write_text(text)
            if target.exists():
                os.replace(target, Path(scratch) / "replaced")
            os.replace(staged, target)
    except OSError as error:
        raise ExportError(
            f"{target}: cannot be written ({error.strerror}); choose another --output_dir"
        ) from error
    finally:
        for leftover in Path(output_dir).glob(".export-*"):
            shutil.rmtree(leftover, ignore_errors=True)
    return target


def measured_mib(output_dir: Path) -> int | None:
    """MiB that a replica is to have, in quarters of a GiB; None where nothing was measured.

    Args:
        output_dir: of the model's versions, of which the newest counts.
    """
    numbers = [int(path.name) for path in output_dir.iterdir() if path.name.isdecimal()]
    path = output_dir / str(max(numbers, default=0)) / "assets.extra" / "work.json"
    if not path.exists():
        return None
    needed = json.loads(path.read_text()).get("largest_picture_bytes")
    return None if needed is None else 256 * math.ceil(needed / (256 << 20))


def check_names(model_name: str, image: str = DEFAULT_IMAGE) -> None:
    """Raises an ExportError if a name would break the files that it stands in.

    Args:
        model_name: that requests name.
        image: of TF Serving.
    """
    if not is_model_name(model_name):
        raise ExportError(
            f"model name {model_name!r}: give letters, digits, '.', '_' and '-' alone, as it is "
            "part of URLs; name --output_dir so"
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./:@-]*", image):
        raise ExportError(f"--serving_image={image}: no name of an image")


def is_model_name(name: str) -> bool:
    """Whether a name can stand in addresses and in the files of this module."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) is not None


def resource_name(model_name: str) -> str:
    """What Kubernetes and Docker Compose call a model, and no other model.

    Kubernetes wants names of services by RFC 1035: small letters, digits and '-', a letter first,
    63 characters at most. A name that is none of these is made one, and ends in a part of its
    digest: of two models whose names differ in capitals alone, each has its own.

    Args:
        model_name: any text.
    """
    if re.fullmatch(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", model_name):
        return model_name
    readable = re.sub(r"[^a-z0-9]+", "-", model_name.lower()).strip("-")
    if not re.match(r"[a-z]", readable):
        readable = f"model-{readable}"
    digest = hashlib.sha256(model_name.encode()).hexdigest()[:6]
    return f"{readable[:43].rstrip('-')}-{digest}"


def serving_files(
    model_name: str,
    *,
    image: str,
    cpus: int,
    memory_mib: int,
    max_replicas: int,
) -> Mapping[str, str]:
    """Texts by file name; arguments as of `write_serving_config`."""
    arguments = [
        "--port=8500",
        "--rest_api_port=8501",
        "--model_config_file=/models/serving/models.config",
        "--monitoring_config_file=/models/serving/monitoring.config",
        "--enable_batching=true",
        "--batching_parameters_file=/models/serving/batching.config",
        f"--tensorflow_intra_op_parallelism={cpus}",
        "--tensorflow_inter_op_parallelism=1",
        "--rest_api_timeout_in_ms=60000",
    ]
    pinned = "It is a digest." if "@sha256:" in image else "It is a tag, and tags move."
    # A text of JSON is one of YAML and of protocol buffers: "on", "null" and "2024" stay texts.
    quoted = {
        "name": model_name,
        "host": resource_name(model_name),
        "image": image,
        "metadata": f"/v1/models/{model_name}/metadata",
        "cpus_text": str(cpus),
        "mem_limit": f"{memory_mib}m",
        "memory": f"{memory_mib}Mi",
    }
    values: dict[str, object] = {key: json.dumps(text) for key, text in quoted.items()}
    values |= {
        "title": model_name,
        "pinning": PINNING.format(image=image, pinned=pinned),
        "claim": quoted["host"],
        "cpus": cpus,
        "replicas": max_replicas,
        "rows": MAX_ROWS,
    }
    listed = [json.dumps(argument) for argument in arguments]
    return {
        "models.config": MODELS.format(**values),
        "batching.config": BATCHING.format(**values),
        "monitoring.config": MONITORING,
        "docker-compose.yml": COMPOSE.format(
            **values, arguments="".join(f"\n      - {argument}" for argument in listed)
        ),
        "kubernetes.yaml": KUBERNETES.format(
            **values, arguments="".join(f"\n            - {argument}" for argument in listed)
        ),
    }
