"""The VGG networks as extractors of feature maps."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from spade_tf.networks.frozen import _FrozenNetwork, normalize_imagenet

__all__ = ["VGGFeatures"]

# The feature maps of the perceptual loss.
PERCEPTUAL_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

_CONVS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_FILTERS = (64, 128, 256, 512, 512)

_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


@keras.saving.register_keras_serializable("spade_tf")
class VGGFeatures(_FrozenNetwork):
    """Feature maps of VGG16 or VGG19, from inside the network.

    Five blocks of 3×3 convolutions with ReLU, of 64, 128, 256, 512 and 512 filters, each followed
    by a 2×2 max-pool; `reluB_I` is the output of the I-th convolution of block B after its ReLU.
    The network ends at the deepest layer asked for. Its weights are never trained, also when a
    model that holds it sets `trainable`; gradients pass through to the images. A new one has
    random weights (He normal): `spade_tf.convert.vgg.load_vgg` makes one that is trained.

    Args:
        architecture: `"vgg19"` (16 convolutions) or `"vgg16"` (13).
        layers: names of the feature maps, in the order in which they are returned.
        preprocessing: what the weights were trained on. `"torchvision"`: RGB in [0, 1], minus
            the ImageNet mean, over its standard deviation; `"caffe"`: BGR in [0, 255] minus the
            mean, as in `keras.applications`; `"none"`: images in [-1, 1] as they are.
        dtype: of the computation and of the weights. float32 unless said otherwise, also under a
            mixed-precision policy.
        **kwargs: `name`.

    Call arguments:
        image: `[B, H, W, 3]` RGB images in [-1, 1], of any size that leaves the deepest layer
            a pixel: H, W at least 16 for `relu5_1`.

    Returns:
        A list with, for each of `layers` in block B, `[B, H // 2^(B-1), W // 2^(B-1), C]`.

    Raises:
        ValueError: if an argument is none of the above, or the images are too small or not RGB.

    Reference: Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556, configurations D, E.
        The official SPADE release uses VGG19 with torchvision's weights, but gives it the images
        in [-1, 1]: that is `preprocessing="none"`.

    Example:
        >>> import numpy as np
        >>> from spade_tf.networks import VGGFeatures
        >>> vgg = VGGFeatures("vgg16", layers=["relu1_1"])
        >>> [tuple(each.shape) for each in vgg(np.zeros((1, 16, 16, 3), "float32"))]
        [(1, 16, 16, 64)]
    """

    def __init__(
        self,
        architecture: Literal["vgg19", "vgg16"] = "vgg19",
        layers: Sequence[str] = PERCEPTUAL_LAYERS,
        preprocessing: Literal["torchvision", "caffe", "none"] = "torchvision",
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, **kwargs)
        if architecture not in _CONVS_PER_BLOCK:
            raise ValueError(f'architecture must be "vgg19" or "vgg16"; received {architecture!r}')
        if preprocessing not in ("torchvision", "caffe", "none"):
            raise ValueError(
                f'preprocessing must be "torchvision", "caffe" or "none"; '
                f"received {preprocessing!r}"
            )
        names = [
            f"relu{block}_{index}"
            for block, count in enumerate(_CONVS_PER_BLOCK[architecture], start=1)
            for index in range(1, count + 1)
        ]
        if not layers or isinstance(layers, str) or not set(layers) <= set(names):
            raise ValueError(
                f"layers must name ReLUs of {architecture}, from relu1_1 to {names[-1]}; "
                f"received {layers!r}"
            )
        self.architecture = architecture
        self.layer_names = tuple(layers)
        self.preprocessing = preprocessing
        deepest = max(map(names.index, layers))
        self._convs = [name.removeprefix("relu") for name in names[: deepest + 1]]

    @property
    def conv_names(self) -> tuple[str, ...]:
        """The convolutions that are there, also before it is built: `("conv1_1", …)`."""
        return tuple(f"conv{name}" for name in self._convs)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights; the network is not run."""
        if input_shape[-1] != 3:
            raise ValueError(f"image must have 3 channels; received shape {tuple(input_shape)}")
        channels = 3
        for name in self._convs:
            filters = _FILTERS[int(name[0]) - 1]
            self.add_conv(f"conv{name}", (3, 3, channels, filters), filters)
            channels = filters

    def call(self, image: Any) -> list[Any]:
        """Computes the feature maps."""
        self._check_size(image.shape)
        x = self._preprocess(image)
        features = {}
        block = "1"
        for name in self._convs:
            if name[0] != block:
                block = name[0]
                x = ops.max_pool(x, 2, strides=2, padding="valid", data_format="channels_last")
            x = ops.relu(self.conv(f"conv{name}", x))
            features[f"relu{name}"] = x
        return [features[name] for name in self.layer_names]

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> list[tuple[int | None, ...]]:
        """The shapes of the feature maps."""
        self._check_size(input_shape)
        batch, *size, _ = input_shape
        blocks = [int(name[4]) for name in self.layer_names]
        return [
            (
                batch,
                *(None if n is None else n // 2 ** (block - 1) for n in size),
                _FILTERS[block - 1],
            )
            for block in blocks
        ]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "architecture": self.architecture,
            "layers": list(self.layer_names),
            "preprocessing": self.preprocessing,
        }

    def _check_size(self, shape: Sequence[int | None]) -> None:
        smallest = 2 ** (int(self._convs[-1][0]) - 1)
        if any(n is not None and n < smallest for n in shape[1:3]):
            raise ValueError(
                f"image must be at least {smallest}×{smallest} for "
                f"relu{self._convs[-1]}; received shape {tuple(shape)}"
            )

    def _preprocess(self, image: Any) -> Any:
        if self.preprocessing == "torchvision":
            return normalize_imagenet(image)
        if self.preprocessing == "caffe":
            bgr = (ops.flip(image, axis=-1) + 1) * 127.5
            return bgr - ops.cast(_CAFFE_MEAN_BGR, image.dtype)
        return image
