"""Serving of exported models, and their clients."""

from typing import TYPE_CHECKING

from spade_tf.lazy import lazily

if TYPE_CHECKING:
    from spade_tf.serving.client.client import Client as Client
    from spade_tf.serving.client.client import connect as connect
    from spade_tf.serving.errors import ServingError as ServingError
    from spade_tf.serving.server import serve as serve

__all__ = [
    "Client",
    "ServingError",
    "connect",
    "serve",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Client": "spade_tf.serving.client.client",
        "ServingError": "spade_tf.serving.errors",
        "connect": "spade_tf.serving.client.client",
        "serve": "spade_tf.serving.server",
    },
)
