"""The ways in which pictures get their size; `pipelines.reading.sizing` says what each does."""

PREPROCESS = (
    "resize_and_crop",
    "crop",
    "scale_width",
    "scale_width_and_crop",
    "scale_short_side",
    "scale_short_side_and_crop",
    "fixed",
    "none",
)

# Pictures keep their own shape, unless the network makes one size alone. All others set both sides.
KEEP_SHAPE = ("scale_width", "scale_short_side", "none")
