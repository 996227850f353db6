"""From trained networks to what is served."""

from typing import TYPE_CHECKING

from spade_tf.lazy import lazily

if TYPE_CHECKING:
    from spade_tf.export.errors import ExportError as ExportError
    from spade_tf.export.litert.export import export_litert as export_litert
    from spade_tf.export.saved_model import export_saved_model as export_saved_model
    from spade_tf.export.source_files import SourceFiles as SourceFiles

__all__ = [
    "ExportError",
    "SourceFiles",
    "export_litert",
    "export_saved_model",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ExportError": "spade_tf.export.errors",
        "SourceFiles": "spade_tf.export.source_files",
        "export_litert": "spade_tf.export.litert.export",
        "export_saved_model": "spade_tf.export.saved_model",
    },
)
