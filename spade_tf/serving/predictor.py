"""An export in this process: what the embedded server asks for pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from spade_tf.serving.errors import BadRequestError, ServingError, sentence


class Predictor:
    """The signatures of a SavedModel.

    Args:
        directory: of a version, or of a model's numbered versions, of which the newest is taken.

    Attributes:
        version: its directory.
        inputs: specs of the inputs, by signature and key.
        outputs: likewise.

    Raises:
        ServingError: if it holds no SavedModel of this project.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.version = newest_version(Path(directory))
        try:
            self._model = tf.saved_model.load(str(self.version))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ServingError(f"--model={directory}: cannot be loaded ({reason})") from error
        self._signatures = dict(self._model.signatures)
        if "serving_default" not in self._signatures:
            raise ServingError(
                f"--model={directory}: no signature serving_default in it; export it again"
            )
        self.outputs: dict[str, dict[str, tf.TensorSpec]] = {
            name: dict(signature.structured_outputs) for name, signature in self._signatures.items()
        }
        self.inputs: dict[str, dict[str, tf.TensorSpec]] = {
            name: _in_order(signature.structured_input_signature[1])
            for name, signature in self._signatures.items()
        }

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of a signature; safe to be called from several threads.

        Args:
            signature: its name.
            inputs: arrays by key, of the dtypes of its specs.

        Raises:
            BadRequestError: with the sentence of the check that refused them.
        """
        specs = self.inputs[signature]
        try:
            tensors = {key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
            outputs = self._signatures[signature](**tensors)
            return {key: value.numpy() for key, value in outputs.items()}
        except tf.errors.InvalidArgumentError as error:
            raise BadRequestError(sentence(str(error))) from None

    def warm_up(self) -> int:
        """Makes the export's own warm-up requests; returns how many there were."""
        path = self.version / "assets.extra" / "tf_serving_warmup_requests"
        if not path.exists():
            return 0
        from tensorflow_serving.apis import prediction_log_pb2

        count = 0
        for record in tf.data.TFRecordDataset([str(path)]):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            request = log.predict_log.request
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            self.run(request.model_spec.signature_name, inputs)
            count += 1
        return count


def _in_order(specs):
    """What a label map is given by first, as in messages."""
    return {key: specs[key] for key in sorted(specs, key=lambda k: (not k.startswith("label"), k))}


def newest_version(directory: Path) -> Path:
    """The directory itself if it holds a SavedModel, else its version of the largest number.

    Raises:
        ServingError: if there is neither.
    """
    if not directory.is_dir():
        raise ServingError(f"--model={directory}: no such folder; give the output of export")
    numbers = sorted((int(p.name) for p in directory.iterdir() if p.name.isdecimal()), reverse=True)
    for candidate in [directory, *(directory / str(number) for number in numbers)]:
        if (candidate / "saved_model.pb").exists():
            return candidate
    raise ServingError(
        f"--model={directory}: no SavedModel in it (no saved_model.pb); make one with run.py "
        "export --model=WORKDIR --output_dir=DIR"
    )
