"""EfficientNet-Lite as an extractor of feature maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras
from keras import ops

from spade_tf.networks.frozen import _FrozenNetwork

__all__ = ["EfficientNetLiteFeatures"]

# Width and depth over those of lite0, and the size of the pictures that it was trained on.
_SCALES = {"lite0": (1.0, 1.0, 224), "lite1": (1.0, 1.1, 240), "lite2": (1.1, 1.2, 260)}
_STEM_FILTERS = 32
_HEAD_FILTERS = 1280
# Of lite0: blocks, kernel size, stride of the first block, expansion, filters.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
LAYERS = (*(f"stage{stage}" for stage in range(1, len(_STAGES) + 1)), "head", "pooled")


class _Block(NamedTuple):
    """An inverted residual block: 1×1 expansion, depthwise convolution, 1×1 projection."""

    name: str
    stage: int
    kernel_size: int
    stride: int
    inputs: int
    hidden: int
    outputs: int


def _blocks(architecture: str) -> list[_Block]:
    width, depth, _ = _SCALES[architecture]
    blocks: list[_Block] = []
    inputs = _STEM_FILTERS
    for stage, (count, kernel_size, stride, expansion, filters) in enumerate(_STAGES, start=1):
        # The first and the last stage keep their depth, in all of the Lite family.
        if 1 < stage < len(_STAGES):
            count = math.ceil(count * depth)
        outputs = _rounded(filters * width)
        for index in range(count):
            blocks.append(
                _Block(
                    f"block{len(blocks)}",
                    stage,
                    kernel_size,
                    1 if index else stride,
                    inputs,
                    inputs * expansion,
                    outputs,
                )
            )
            inputs = outputs
    return blocks


def _rounded(filters: float) -> int:
    """The multiple of 8 next to it, never a tenth below it."""
    multiple = max(8, int(filters + 4) // 8 * 8)
    return multiple + 8 if multiple < 0.9 * filters else multiple


@keras.saving.register_keras_serializable("spade_tf")
class EfficientNetLiteFeatures(_FrozenNetwork):
    """Feature maps of EfficientNet-Lite, from inside the network, or its pooled features.

    A 3×3 convolution of stride 2, seven stages of inverted residual blocks with ReLU6 (no
    squeeze-and-excitation), a 1×1 convolution of 1280 filters, and the mean over the picture.
    Batch normalisation is folded into the convolutions. The network ends at the deepest layer that
    is asked for.

    Args:
        architecture: `"lite0"`, `"lite1"` or `"lite2"`.
        layers: of `stage1` … `stage7` (what a stage's last block gives, at a stride of 2, 4, 8,
            16, 16, 32, 32), `head` (after its ReLU6, stride 32) and `pooled`, in the order in which
            they are returned.
        dtype: of the computation and of the weights. Default float32, whatever the policy.
        **kwargs: `name`.

    Call arguments:
        image: `[B, H, W, 3]` RGB pictures in [-1, 1], which is how the weights want them. They were
            trained at `native_size`.

    Returns:
        A list with, for each of `layers`, `[B, h, w, C]`, or `[B, 1280]` for `pooled`.

    Raises:
        ValueError: if an argument is none of the above, or the pictures are not RGB.

    Example:
        >>> network = EfficientNetLiteFeatures("lite0", layers=["stage2", "pooled"])
        >>> [tuple(features.shape) for features in network(keras.ops.zeros([1, 64, 64, 3]))]
        [(1, 16, 16, 24), (1, 1280)]

    Reference: Tan and Le 2019, https://arxiv.org/abs/1905.11946; "Lite" is TensorFlow's variant
        for edge devices.
    """

    def __init__(
        self,
        architecture: Literal["lite0", "lite1", "lite2"] = "lite0",
        layers: Sequence[str] = ("pooled",),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if architecture not in _SCALES:
            raise ValueError(
                f"architecture must be one of {', '.join(_SCALES)}; received {architecture!r}"
            )
        if not layers or isinstance(layers, str) or not set(layers) <= set(LAYERS):
            raise ValueError(f"layers must be some of {', '.join(LAYERS)}; received {layers!r}")
        self.architecture = architecture
        self.layer_names = tuple(layers)
        self._deepest = max(map(LAYERS.index, layers))
        self._blocks = [
            block for block in _blocks(architecture) if block.stage <= self._deepest + 1
        ]

    @property
    def native_size(self) -> int:
        """Height and width in pixels of the pictures that the weights were trained on."""
        return _SCALES[self.architecture][2]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights; the network is not run."""
        if input_shape[-1] != 3:
            raise ValueError(f"image must have 3 channels; received shape {tuple(input_shape)}")
        self.add_conv("stem", (3, 3, 3, _STEM_FILTERS), _STEM_FILTERS)
        for block in self._blocks:
            size, hidden = block.kernel_size, block.hidden
            if hidden != block.inputs:
                self.add_conv(f"{block.name}_expand", (1, 1, block.inputs, hidden), hidden)
            self.add_conv(f"{block.name}_depthwise", (size, size, hidden, 1), hidden)
            self.add_conv(f"{block.name}_project", (1, 1, hidden, block.outputs), block.outputs)
        if self._has_head:
            outputs = self._blocks[-1].outputs
            self.add_conv("head", (1, 1, outputs, _HEAD_FILTERS), _HEAD_FILTERS)

    @property
    def _has_head(self) -> bool:
        return self._deepest >= LAYERS.index("head")

    def call(self, image: Any) -> list[Any]:
        """Computes the features."""
        x = ops.relu6(self.conv("stem", image, strides=2))
        features = {}
        for block in self._blocks:
            x = self._residual(block, x)
            features[f"stage{block.stage}"] = x
        if self._has_head:
            features["head"] = ops.relu6(self.conv("head", x))
            features["pooled"] = ops.mean(features["head"], axis=(1, 2))
        return [features[name] for name in self.layer_names]

    def _residual(self, block: _Block, x: Any) -> Any:
        y = x
        if block.hidden != block.inputs:
            y = ops.relu6(self.conv(f"{block.name}_expand", y))
        y = ops.relu6(self.depthwise_conv(f"{block.name}_depthwise", y, strides=block.stride))
        y = self.conv(f"{block.name}_project", y)
        return x + y if block.stride == 1 and block.inputs == block.outputs else y

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> list[tuple[Any, ...]]:
        """The shapes of the features."""
        batch, *size, _ = input_shape
        size = [None if n is None else -(-n // 2) for n in size]
        shapes: dict[str, tuple[Any, ...]] = {}
        for block in self._blocks:
            size = [None if n is None else -(-n // block.stride) for n in size]
            shapes[f"stage{block.stage}"] = (batch, *size, block.outputs)
        shapes |= {"head": (batch, *size, _HEAD_FILTERS), "pooled": (batch, _HEAD_FILTERS)}
        return [shapes[name] for name in self.layer_names]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "architecture": self.architecture,
            "layers": list(self.layer_names),
        }
