"""One pass over the pairs: pictures are made, looked at, and reduced to a few numbers each."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from experiments.commands.evaluate.attributes import (
    AttributeJudge,
    attribute_scores,
    count_values,
)
from experiments.commands.evaluate.cache import RealCache
from experiments.commands.evaluate.gallery import Gallery
from experiments.commands.evaluate.judges import Judges
from experiments.commands.evaluate.options import Styles
from experiments.commands.evaluate.pairs import Batch, Pairs, batched
from experiments.commands.evaluate.scores import (
    Rows,
    distances,
    mean_score,
    pixel_counts,
    scored,
    step_scores,
)
from experiments.setup.config import ConfigError
from experiments.setup.predictors import Model, make_pictures
from pipelines.schema import LabelSet
from spade_tf.metrics.segmentation import scores_of_counts
from spade_tf.metrics.steps import picture_steps
from spade_tf.networks.styles import seeded_styles


def judge(
    model: Model,
    pairs: Pairs,
    judges: Judges,
    styles: Styles,
    *,
    cache: RealCache | None = None,
    attribute: AttributeJudge | None = None,
    batch_size: int,
    strategy: tf.distribute.Strategy,
) -> tuple[Rows, Gallery]:
    """Goes through the pairs once: makes pictures, and keeps a few numbers of each.

    Args:
        model: that makes the pictures.
        pairs: real pictures with their maps.
        judges: what looks at them.
        styles: of the model; see `Styles.of`.
        cache: knows what they saw in real pictures before, and keeps what they see; or None.
        attribute: classifier of an attribute of the data set, or None.
        batch_size: int >= 1, most pairs at once.
        strategy: that networks run on; a batch is divided over its devices.

    Returns:
        Numbers by picture, and pictures to show.

    Raises:
        ConfigError: if the model makes pictures of another size than the real ones.
    """
    rows, gallery, done = Rows(), Gallery(model.labels.palette), 0
    block = model.sizing["multiple"]
    looker = _Looker(judges, strategy, cache or RealCache(None, judges), block)
    bar = tqdm(total=pairs.count, unit="picture", disable=not sys.stderr.isatty())
    for batch in batched(pairs.pairs, batch_size):
        z = _styles(model, batch, styles, done)
        fakes = make_pictures(model, batch.names, batch.maps, z)
        _check(fakes, batch)
        _score_batch(rows, looker, batch, fakes, model.labels)
        if attribute is not None:
            _find_attribute(rows, attribute, batch, fakes, styles.style)
        gallery.add(batch, fakes, rows.last("lpips" if "lpips" in rows else "l1"))
        done += len(batch.names)
        bar.update(len(batch.names))
    bar.close()
    return rows, gallery


def _styles(model: Model, batch: Batch, styles: Styles, done: int) -> np.ndarray | None:
    """`[B, K, z_dim]`; the first style is that of the photograph, where it is asked for."""
    if model.z_dim is None:
        return None
    size, num_styles = len(batch.names), styles.num_styles
    # A picture has the same styles whatever the size of a batch.
    numbers = styles.seed + np.arange(done * num_styles, (done + size) * num_styles, dtype=np.int64)
    drawn = seeded_styles(numbers, model.z_dim).numpy().reshape(size, num_styles, model.z_dim)
    if styles.style == "photograph":
        image = batch.images.astype(np.float32) / np.float32(127.5) - np.float32(1)
        drawn[:, 0] = model.encode(image, batch.maps.get("label"))
    return drawn


def _check(fakes: np.ndarray, batch: Batch) -> None:
    if fakes.shape[2:] != batch.images.shape[1:]:
        made, real = fakes.shape[2:4], batch.images.shape[1:3]
        raise ConfigError(
            f"{batch.names[0]}: the model makes {made[1]}x{made[0]} pixels (width x height), and "
            f"the real picture has {real[1]}x{real[0]}; give pictures of the model's size"
        )


class _Looker:
    """What networks say of uint8 pictures `[B, H, W, 3]`, on all devices of a strategy."""

    def __init__(
        self, judges: Judges, strategy: tf.distribute.Strategy, cache: RealCache, block: int
    ):
        self.has_distance = judges.lpips is not None
        self.cache = cache
        self._strategy = strategy

        @tf.function(reduce_retracing=True, autograph=False)
        def look(image: tf.Tensor) -> dict[str, tf.Tensor]:
            image = _scaled(image)
            out = {f"features/{net.name}": net.features(image) for net in judges.features}
            if judges.segmenter is not None:
                out["prediction"] = judges.segmenter.predict(image)
            return out

        @tf.function(reduce_retracing=True, autograph=False)
        def compare(image: tf.Tensor, other: tf.Tensor) -> dict[str, tf.Tensor]:
            assert judges.lpips is not None
            return {"lpips": judges.lpips(_scaled(image), _scaled(other))}

        @tf.function(reduce_retracing=True, autograph=False)
        def measure(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return picture_steps(_scaled(image), block)._asdict()

        self._look, self._compare, self._measure = look, compare, measure

    def look(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Features and predicted classes by name."""
        return self._on_devices(self._look, image)

    def distance(self, image: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Perceptual distances `[B]`."""
        return self._on_devices(self._compare, image, other)["lpips"]

    def steps(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Steps between pixels; see `PictureSteps`."""
        return self._on_devices(self._measure, image)

    def _on_devices(self, function: Any, *images: np.ndarray) -> dict[str, np.ndarray]:
        devices, size = self._strategy.num_replicas_in_sync, len(images[0])
        if devices == 1:
            return {name: value.numpy() for name, value in function(*images).items()}
        # Every device gets as many: the last picture fills up.
        fill = np.minimum(np.arange(-(-size // devices) * devices), size - 1)
        parts = [self._shared(np.array_split(image[fill], devices)) for image in images]
        results = self._strategy.run(function, args=tuple(parts))
        return {
            name: np.concatenate(
                [part.numpy() for part in self._strategy.experimental_local_results(value)]
            )[:size]
            for name, value in results.items()
        }

    def _shared(self, shares: list[np.ndarray]) -> Any:
        """A share for each device, as `Strategy.run` takes them."""
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group])
        )


def _scaled(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def _score_batch(
    rows: Rows, looker: _Looker, batch: Batch, fakes: np.ndarray, labels: LabelSet
) -> None:
    fake, real = fakes[:, 0], batch.images
    for kind, images in (("fake", fake), ("real", real)):
        seen = looker.cache.get(batch) if kind == "real" else None
        if seen is None:
            seen = _looked(looker, batch, images, labels)
            if kind == "real":
                looker.cache.add(batch, seen)
        rows.add(**{f"{kind}/{name}": values for name, values in seen.items()})
        steps = looker.steps(images)
        rows.add(**{f"{kind}/steps/{name}": values for name, values in steps.items()})
    if looker.has_distance:
        rows.add(lpips=looker.distance(fake, real))
        others = [looker.distance(fakes[:, k], fake) for k in range(1, fakes.shape[1])]
        if others:
            rows.add(lpips_styles=np.mean(others, axis=0))
    difference = np.abs(fake.astype(np.float32) - real.astype(np.float32))
    rows.add(l1=difference.mean(axis=(1, 2, 3)) / np.float32(255))


def _looked(
    looker: _Looker, batch: Batch, images: np.ndarray, labels: LabelSet
) -> dict[str, np.ndarray]:
    """Features of pictures, and the pixels by class that the segmenter finds, by name."""
    seen = looker.look(images)
    prediction = seen.pop("prediction", None)
    if prediction is not None:
        seen["counts"] = pixel_counts(batch.maps["label"], prediction, labels.num_classes)
    return seen


def _find_attribute(
    rows: Rows, judge: AttributeJudge, batch: Batch, fakes: np.ndarray, style: str | None
) -> None:
    rows.add(**{"attribute/true": batch.attributes})
    if style == "photograph":
        rows.add(**{"attribute/reproduced": judge.predict(fakes[:, 0])})
        fakes = fakes[:, 1:]
    if fakes.shape[1]:
        rows.add(**{"attribute/drawn": count_values(judge, fakes)})


def summarise(
    rows: Rows, judges: Judges, seed: int, attribute: AttributeJudge | None = None
) -> dict[str, Any]:
    """All scores, as JSON has them.

    Args:
        rows: of `judge`.
        judges: that looked.
        seed: int, of intervals and subsets.
        attribute: classifier that looked, or None.
    """
    scores: dict[str, Any] = {"l1": mean_score(rows["l1"], seed)}
    for network in judges.features:
        real, fake = (rows[f"{kind}/features/{network.name}"] for kind in ("real", "fake"))
        scores[network.name] = distances(real, fake, seed)
    for name in ("lpips", "lpips_styles"):
        if name in rows:
            scores[name] = mean_score(rows[name], seed)
    if "fake/counts" in rows:
        scores["segmentation"] = {
            kind: _segmentation(rows[f"{kind}/counts"], seed) for kind in ("fake", "real")
        }
    if attribute is not None:
        scores["attributes"] = {
            attribute.attribute.name: attribute_scores(
                attribute,
                rows["attribute/true"],
                rows.get("attribute/reproduced"),
                rows.get("attribute/drawn"),
                seed,
            )
        }
    return scores | step_scores(rows, seed)


def _segmentation(counts: np.ndarray, seed: int) -> dict[str, Any]:
    """Scores of the counts `[N, 3, C]` of pictures, see `pixel_counts`."""
    whole = scores_of_counts(*counts.sum(0))
    scores = {
        name: scored(
            getattr(whole, name),
            lambda index, name=name: getattr(scores_of_counts(*counts[index].sum(0)), name),
            len(counts),
            seed=seed,
            bounds=(0.0, 1.0),
        )
        for name in ("mean_iou", "mean_class_accuracy", "pixel_accuracy")
    }
    # JSON has no NaN: a class that is nowhere has no score.
    iou = [None if np.isnan(value) else value for value in whole.iou.tolist()]
    return {**scores, "iou": iou, "pixels": counts[:, 1].sum(0).tolist()}
