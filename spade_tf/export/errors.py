"""What exports fail with."""


class ExportError(ValueError):
    """An export that cannot be made; the message is one line."""
