"""A model that is painted with, and a server of it, without TensorFlow: they start at once.

Its pictures are the colours of the classes, moved by the first three numbers of the style, and by
those of the style of each class.
"""

import io
import json
import threading
import time

import numpy as np
import uvicorn
from painted_export import LABELS, PALETTE
from PIL import Image
from served_networks import SIZE, Z_DIM
from served_process import free_port

from spade_tf.serving.bodies import BodyReader
from spade_tf.serving.dispatch import Dispatch
from spade_tf.serving.fronts.rest_server import make_app
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.metrics import Metrics
from spade_tf.serving.model.batching import MicroBatcher
from spade_tf.serving.model.versions import Servable
from spade_tf.serving.requests import Spec


class Double:
    """Stands in for the versions of a model and for the predictor.

    Attributes:
        made: inputs of all that was made.
        seconds: how long a picture takes.
    """

    name = "double"
    queue_length, number = 0, 1
    work, draws_styles, drafts = None, True, None

    def __init__(self, folder, labels=LABELS, z_dim=None, size=(32, 64), class_style_dim=0):
        self.version, self.made, self.z_dim = folder, [], z_dim
        self.class_shape = (len(PALETTE), class_style_dim)
        (folder / "assets").mkdir(parents=True, exist_ok=True)
        height, width = size
        content = {"labels": labels, "config": {"data": {"height": height, "width": width}}}
        (folder / "assets" / "config.json").write_text(json.dumps(content))
        self.inputs = {"serving_uint8": {"label": Spec("uint8", (None,) * 3)}}
        if z_dim:
            z = {"z": Spec("float32", (None, z_dim))}
            if class_style_dim:
                z["class_styles"] = Spec("float32", (None, *self.class_shape))
            self.inputs["generate_with_style"] = {"label": Spec("int32", (None,) * 3), **z}
            self.inputs["encode_style"] = {"image_bytes": Spec("string", (None,))}
        self.seconds = 0.0
        self.batcher = None

    def style_of_seed(self, seed, size):
        length = self.z_dim + np.prod(self.class_shape)
        return np.random.default_rng(seed).normal(size=length).astype(np.float32)

    def run(self, signature, inputs):
        self.made.append(inputs)
        time.sleep(self.seconds)
        if signature == "encode_style":
            z = style_of_photograph(inputs["image_bytes"][0], self.z_dim)[None]
            if not self.class_shape[1]:
                return {"z": z}
            return {"z": z, "class_styles": np.tile(z[:, None, :3], (1, self.class_shape[0], 1))}
        return {"image": pictures(inputs["label"], inputs.get("z"), inputs.get("class_styles"))}

    def find(self, name, version=None, label=""):
        if self.batcher is None:
            self.batcher = MicroBatcher(self.run, max_rows=1, num_threads=1, max_queue=4)
        return Servable(1, self, self.batcher)

    def dispatch(self):
        metrics = Metrics(lambda: 0, lambda: 1)
        return Dispatch(self, BodyReader(), RequestLimits(), metrics)


def pictures(label, z=None, class_styles=None):
    """Pictures of label maps, uint8 `[B, H, W, 3]`."""
    moved = np.zeros(3) if z is None else 40 * z[:, None, None, :3]
    if class_styles is not None:
        moved = moved + 40 * class_styles[np.arange(len(label))[:, None, None], label]
    return np.clip(np.rint(np.array(PALETTE)[label] + moved), 0, 255).astype(np.uint8)


def style_of_photograph(encoded, z_dim):
    """The mean colour, from -1 to 1, and zeros."""
    with Image.open(io.BytesIO(encoded)) as image:
        mean = np.asarray(image.convert("RGB")).mean((0, 1)) / 127.5 - 1
    return np.concatenate([mean, np.zeros(z_dim - 3)]).astype(np.float32)


class DoubleServer:
    """Serves the double by REST on a thread of this process, with a painter.

    Args:
        folder: where the double says its classes.
        painter: the options of the painter.
        class_style_dim: 3, or 0 for no styles of classes.
    """

    def __init__(self, folder, painter, class_style_dim=0):
        self.double = Double(
            folder, z_dim=Z_DIM, size=(SIZE, SIZE), class_style_dim=class_style_dim
        )
        self._painter = painter
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self):
        self.double.batcher = None
        app = make_app(self.double.dispatch(), self._painter)
        config = uvicorn.Config(app, port=self._port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        end = time.monotonic() + 60
        while not self._server.started:
            assert time.monotonic() < end, "not started in 60 s"
            time.sleep(0.01)

    def stop(self):
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(60)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
