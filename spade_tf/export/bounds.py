"""What an export may be asked for."""

from __future__ import annotations

from spade_tf.export.errors import ExportError


def check_max_pixels(image_size: tuple[int, int], max_pixels: int | None) -> None:
    """Raises an ExportError if a picture of the trained size would be refused.

    Args:
        image_size: (height, width) of the generator's pictures in training.
        max_pixels: as of `export_saved_model`.
    """
    height, width = image_size
    if max_pixels is not None and max_pixels < height * width:
        raise ExportError(
            f"--max_pixels={max_pixels}: less than the {height}x{width} pixels that the model was "
            f"trained at; give {height * width} or more"
        )
