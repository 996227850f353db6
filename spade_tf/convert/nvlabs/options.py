"""The options of the official release that determine its networks, complete."""

from __future__ import annotations

from typing import NamedTuple

from spade_tf.convert.nvlabs.norm_names import parse_norm, parse_plain_norm
from spade_tf.networks.generator import UPSAMPLINGS

__all__ = ["Options", "Pix2PixHDOptions", "image_size"]


class Options(NamedTuple):
    """The official options that determine the networks of `netG=spade`.

    Attributes:
        label_nc: classes, the unknown label not counted.
        contain_dontcare_label: whether an unknown label follows the classes.
        no_instance: whether the networks are shown no instance edges.
        crop_size: width of the pictures, in pixels.
        aspect_ratio: width over height.
        ngf: base width of generator and encoder.
        num_upsampling_layers: "normal", "more" or "most".
        use_vae: whether the generator starts from a style vector.
        z_dim: length of the style vector.
        norm_G: "spectralspadesyncbatch3x3": whether the generator is spectrally normalised, what
            SPADE normalises by ("syncbatch", "batch", "instance"), and the size of its kernels.
        ndf: base width of the discriminator.
        num_D: scales of the discriminator.
        n_layers_D: layers of each scale before the logits.
        norm_D: "spectralinstance": of the discriminator's middle layers; see `Pix2PixHDOptions`.
    """

    label_nc: int
    contain_dontcare_label: bool
    no_instance: bool
    crop_size: int
    aspect_ratio: float
    ngf: int
    num_upsampling_layers: str
    use_vae: bool
    z_dim: int
    norm_G: str  # noqa: N815
    ndf: int
    num_D: int  # noqa: N815
    n_layers_D: int  # noqa: N815
    norm_D: str = "spectralinstance"  # noqa: N815

    @property
    def num_labels(self) -> int:
        """Label ids, the unknown one included."""
        return self.label_nc + int(self.contain_dontcare_label)

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels of what the generator makes."""
        scale = 2 ** UPSAMPLINGS[self.num_upsampling_layers]
        return image_size(scale, self.crop_size, self.aspect_ratio)

    @property
    def generator_norm(self) -> tuple[bool, str, int]:
        """Whether spectrally normalised, SPADE's normalisation, and its kernel size."""
        return parse_norm(self.norm_G, "norm_G")

    @property
    def discriminator_norm(self) -> tuple[bool, str]:
        """Whether spectrally normalised, and the normalisation."""
        return parse_plain_norm(self.norm_D, "norm_D", "norm_D")


class Pix2PixHDOptions(NamedTuple):
    """The official options that determine the networks of `netG=pix2pixhd`.

    Attributes:
        label_nc: as in `Options`, and so all that are not named here.
        norm_G: "spectralinstance": whether the generator is spectrally normalised ("spectral"),
            and what follows its convolutions: "instance" without scale and shift, "sync_batch" or
            "batch" with them, or "none".
        resnet_n_downsample: halvings of the resolution.
        resnet_n_blocks: residual blocks.
        resnet_kernel_size: of the convolutions in them.
        resnet_initial_kernel_size: of the first convolution.
        norm_D: likewise of the discriminator's middle layers.
        condition_channels: 0; or, where pictures take the place of label maps, their channels,
            which `label_nc` then counts. (pix2pixHD's own repository has this for `label_nc=0`.)
    """

    label_nc: int
    contain_dontcare_label: bool
    no_instance: bool
    crop_size: int
    aspect_ratio: float
    ngf: int
    norm_G: str  # noqa: N815
    resnet_n_downsample: int
    resnet_n_blocks: int
    resnet_kernel_size: int
    resnet_initial_kernel_size: int
    ndf: int
    num_D: int  # noqa: N815
    n_layers_D: int  # noqa: N815
    norm_D: str  # noqa: N815
    condition_channels: int = 0

    @property
    def num_labels(self) -> int:
        """Label ids, the unknown one included; or channels of the pictures in their place."""
        return self.label_nc + int(self.contain_dontcare_label)

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels of the pictures that it was trained on."""
        return image_size(2**self.resnet_n_downsample, self.crop_size, self.aspect_ratio)

    @property
    def generator_norm(self) -> tuple[bool, str]:
        """Whether spectrally normalised, and the normalisation."""
        return parse_plain_norm(self.norm_G, "norm_G", "norm_G")

    @property
    def discriminator_norm(self) -> tuple[bool, str]:
        """Whether spectrally normalised, and the normalisation."""
        return parse_plain_norm(self.norm_D, "norm_D", "norm_D")


def image_size(scale: int, crop_size: int, aspect_ratio: float) -> tuple[int, int]:
    """`(height, width)` in pixels, multiples of `scale`.

    Args:
        scale: int >= 1, by which the network divides sizes.
        crop_size: int >= 1, width in pixels.
        aspect_ratio: float > 0, width over height.
    """
    width = crop_size // scale
    return round(width / aspect_ratio) * scale, width * scale
