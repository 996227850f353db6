"""Labels photographs with a segmentation network that is given as a file."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.schema import ArgumentError, BadFileError, DataError
from pipelines.sources.inspection import scale_ids


class Segmenter(NamedTuple):
    """A segmentation network, loaded where it is first called.

    It is called with one photograph, `[1, H, W, 3]`, and returns logits or probabilities
    `[1, h, w, N]`, or ids `[1, h, w]`. If its input has a fixed size, photographs are scaled to
    that; what it returns is scaled back, logits bilinearly and ids by nearest neighbour.

    Attributes:
        path: a SavedModel folder, a `.keras` file or a `.tflite` file.
        num_classes: the number of classes `N`.
        scale: what pixels, 0..255, are multiplied by.
        offset: what is added to them after that.
    """

    path: Path
    num_classes: int
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, image: np.ndarray, source: Path) -> np.ndarray:
        """Labels a photograph.

        Args:
            image: uint8 array `[H, W, 3]`.
            source: its file, for the error message.

        Returns:
            uint16 array `[H, W]` of ids `0..N-1`.

        Raises:
            DataError: if the network cannot be loaded or returns something else.
            BadFileError: if it returns ids outside `0..N-1`.
        """
        import tensorflow as tf

        network, size = _load(str(self.path))
        height, width = image.shape[:2]
        pixels = tf.cast(image, tf.float32)[None]
        if size is not None and size != (height, width):
            pixels = tf.image.resize(pixels, size, antialias=True)
        output = np.asarray(network((pixels * self.scale + self.offset).numpy()))
        if output.ndim == 4 and output.shape[-1] == 1:
            output = output[..., 0]
        if output.ndim == 4:
            if output.shape[-1] != self.num_classes:
                raise DataError(
                    f"{self.path}: returns {output.shape[-1]} classes, but {self.num_classes} "
                    "names are given; give one name per class in classes.txt"
                )
            if output.shape[1:3] != (height, width):
                output = tf.image.resize(output, (height, width)).numpy()
            ids = output[0].argmax(-1)
        elif output.ndim == 3:
            ids = scale_ids(np.rint(output[0]).astype(np.int64), height, width)
        else:
            raise DataError(
                f"{self.path}: returns an array of shape {list(output.shape)}; give a network that "
                "returns [1, H, W, classes] or ids [1, H, W]"
            )
        if ids.min() < 0 or ids.max() >= self.num_classes:
            raise BadFileError(
                source,
                "id out of range",
                f"{self.path} gives it ids {ids.min()}..{ids.max()}, outside the "
                f"{self.num_classes} classes; give one name per class in classes.txt",
            )
        return ids.astype(np.uint16)


@functools.lru_cache(maxsize=1)
def _load(path: str) -> tuple[Any, tuple[int, int] | None]:
    """Returns a function of an array, and the size that it wants if that is fixed."""
    import tensorflow as tf

    try:
        if path.endswith(".tflite"):
            return _load_tflite(path)
        if path.endswith(".keras"):
            import keras

            model = keras.models.load_model(path, compile=False)
            return lambda x: model(x, training=False), _fixed_size(model.input_shape)
        loaded = tf.saved_model.load(path)
        function = loaded.signatures["serving_default"]
        (name, spec), *_ = function.structured_input_signature[1].items()

        def call(x: np.ndarray) -> Any:
            outputs = function(**{name: tf.cast(x, spec.dtype)})
            return next(iter(outputs.values()))

        # Signatures die with the object that they came from.
        call.owner = loaded  # type: ignore[attr-defined]
        return call, _fixed_size(spec.shape.as_list() if spec.shape.rank else ())
    except Exception as error:
        # What an unfit file raises depends on where its reader gives up.
        reason = " ".join(str(error).split())[:200]
        raise ArgumentError(
            "segmenter",
            f"{path} cannot be loaded ({type(error).__name__}: {reason}); give a "
            "SavedModel folder with a serving_default signature, a .keras file or a .tflite file",
        ) from None


def _load_tflite(path: str) -> tuple[Any, tuple[int, int] | None]:
    try:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=path)
    except ImportError:
        import tensorflow as tf

        with warnings.catch_warnings():
            # TensorFlow's own interpreter is deprecated, but there is no other here.
            warnings.simplefilter("ignore")
            interpreter = tf.lite.Interpreter(model_path=path)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    given = interpreter.get_output_details()[0]

    def call(x: np.ndarray) -> np.ndarray:
        if taken["dtype"] != np.float32:
            scale, zero = taken["quantization"]
            x = np.rint(x / scale + zero) if scale else x
        interpreter.set_tensor(taken["index"], x.astype(taken["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return call, _fixed_size([int(size) for size in taken["shape"]])


def _fixed_size(shape: Any) -> tuple[int, int] | None:
    if len(shape) != 4 or not shape[1] or not shape[2] or shape[1] < 2:
        return None
    return int(shape[1]), int(shape[2])
