"""Configuration of TF Serving for an export: for Docker Compose, and for Kubernetes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from spade_tf.export.errors import ExportError

# A tag can be moved: what is written says how to give a digest instead.
DEFAULT_IMAGE = "tensorflow/serving:latest"

_PINNING = """\
# {image} names the image. {pinned} To pin what you have tested:
#   docker pull {image} && docker inspect --format '{{{{index .RepoDigests 0}}}}' {image}
# and export again with --serving_image=tensorflow/serving@sha256:... (or replace it below)."""


def write_serving_config(
    output_dir: str | os.PathLike[str],
    *,
    model_name: str,
    fixed_size: bool,
    image: str = DEFAULT_IMAGE,
    cpus: int = 2,
    memory_mib: int = 4096,
    max_replicas: int = 4,
) -> Path:
    """Writes `output_dir/serving/`, in place of one that is there.

    Args:
        output_dir: of the model's versions.
        model_name: that requests name.
        fixed_size: whether the model makes pictures of one size only. TF Serving's batching puts
            requests together whose inputs have the same shape and refuses others, so that it is
            turned on for these models alone.
        image: of TF Serving, best by digest: `tensorflow/serving@sha256:...`.
        cpus: int >= 1, of a replica.
        memory_mib: int >= 256, of a replica.
        max_replicas: int >= 1, on Kubernetes.

    Returns:
        The directory.

    Raises:
        ExportError: if an argument cannot be used, or the directory cannot be written.
    """
    check_names(model_name, image)
    files = serving_files(
        model_name,
        fixed_size=fixed_size,
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


def check_names(model_name: str, image: str = DEFAULT_IMAGE) -> None:
    """Raises an ExportError if a name would break the files that it stands in.

    Args:
        model_name: that requests name.
        image: of TF Serving.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", model_name):
        raise ExportError(
            f"model name {model_name!r}: give letters, digits, '.', '_' and '-' alone, as it is "
            "part of URLs; name --output_dir so"
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w./:@-]*", image):
        raise ExportError(f"--serving_image={image}: no name of an image")


def serving_files(
    model_name: str,
    *,
    fixed_size: bool,
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
        f"--tensorflow_intra_op_parallelism={cpus}",
        "--tensorflow_inter_op_parallelism=1",
        "--rest_api_timeout_in_ms=60000",
    ]
    if fixed_size:
        arguments += [
            "--enable_batching=true",
            "--batching_parameters_file=/models/serving/batching.config",
        ]
    pinned = "It is a digest." if "@sha256:" in image else "It is a tag, and tags move."
    pinning = _PINNING.format(image=image, pinned=pinned)
    common = {
        "name": model_name,
        # As Kubernetes wants names.
        "host": re.sub(r"[^a-z0-9-]+", "-", model_name.lower()).strip("-")[:50] or "model",
        "image": image,
        "pinning": pinning,
        "cpus": cpus,
        "memory": memory_mib,
        "replicas": max_replicas,
    }
    return {
        "models.config": _MODELS.format(**common),
        "batching.config": _BATCHING.format(**common),
        "monitoring.config": _MONITORING,
        "docker-compose.yml": _COMPOSE.format(
            **common, arguments="".join(f"\n      - {argument}" for argument in arguments)
        ),
        "kubernetes.yaml": _KUBERNETES.format(
            **common, arguments="".join(f"\n            - {argument}" for argument in arguments)
        ),
    }


_MODELS = """\
# ModelServerConfig of TF Serving (--model_config_file).
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models"
    model_platform: "tensorflow"
    # The newest version is served; export writes each whole, so that none is loaded half-written.
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""

_BATCHING = """\
# BatchingParameters of TF Serving (--batching_parameters_file), with --enable_batching=true: only
# for models of one size, as requests of different shapes are not put together but refused.
max_batch_size {{ value: 8 }}
batch_timeout_micros {{ value: 2000 }}
num_batch_threads {{ value: {cpus} }}
max_enqueued_batches {{ value: 64 }}
pad_variable_length_inputs: false
"""

_MONITORING = """\
# MonitoringConfig of TF Serving (--monitoring_config_file): for Prometheus, on the REST port.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

_COMPOSE = """\
# TF Serving of {name}: docker compose up, in this folder.
{pinning}
services:
  serving:
    image: {image}
    # The image's own entry point wants MODEL_NAME: this is the binary that it starts.
    entrypoint: ["/usr/bin/tensorflow_model_server"]
    command:{arguments}
    ports:
      - "8500:8500"
      - "8501:8501"
    volumes:
      - ..:/models:ro
    cpus: {cpus}
    mem_limit: {memory}m
    read_only: true
    restart: unless-stopped
"""

_KUBERNETES = """\
# TF Serving of {name} on Kubernetes: kubectl apply -f kubernetes.yaml, once the versions of the
# model and this folder are in the volume of the claim {host}.
{pinning}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {host}
  labels:
    app: {host}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {host}
  template:
    metadata:
      labels:
        app: {host}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8501"
        prometheus.io/path: /monitoring/prometheus/metrics
    spec:
      containers:
        - name: serving
          image: {image}
          command: ["/usr/bin/tensorflow_model_server"]
          args:{arguments}
          ports:
            - name: grpc
              containerPort: 8500
            - name: rest
              containerPort: 8501
          # Not before the model is loaded and its warm-up requests are answered.
          readinessProbe:
            httpGet:
              path: /v1/models/{name}/metadata
              port: rest
            periodSeconds: 5
            failureThreshold: 3
          startupProbe:
            httpGet:
              path: /v1/models/{name}/metadata
              port: rest
            periodSeconds: 5
            failureThreshold: 60
          livenessProbe:
            tcpSocket:
              port: grpc
            periodSeconds: 10
          resources:
            requests:
              cpu: "{cpus}"
              memory: {memory}Mi
            limits:
              memory: {memory}Mi
          volumeMounts:
            - name: models
              mountPath: /models
              readOnly: true
      volumes:
        - name: models
          persistentVolumeClaim:
            claimName: {host}
---
apiVersion: v1
kind: Service
metadata:
  name: {host}
spec:
  selector:
    app: {host}
  ports:
    - name: grpc
      port: 8500
      targetPort: grpc
    - name: rest
      port: 8501
      targetPort: rest
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {host}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {host}
  minReplicas: 1
  maxReplicas: {replicas}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: 80
"""
