"""Tiny trees of files with the layout, names, bit depths and modes of the real data sets."""

import csv
import json

import numpy as np
from PIL import Image

from pipelines.sources import label_sets

SIZE = (8, 12)


def save(array, path, palette=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette is not None:
        image.putpalette(palette)
    image.save(path, **options)


def photo(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def ids(seed, values, dtype=np.uint8, size=SIZE):
    """A map in which each of the values occurs."""
    rng = np.random.default_rng(100 + seed)
    drawn = rng.choice(values, size).ravel()
    drawn[: len(values)] = values[: drawn.size]
    return drawn.reshape(size).astype(dtype)


COCO_VALUES = [0, 1, 90, 181, 255]


def coco_stuff_official(root):
    for split, count in (("train", 3), ("val", 1)):
        for i in range(count):
            name = f"{i:012d}"
            save(photo(i), root / f"{split}_img" / f"{name}.jpg")
            save(ids(i, COCO_VALUES), root / f"{split}_label" / f"{name}.png")
            save(ids(i, [0, 7, 400], np.uint16), root / f"{split}_inst" / f"{name}.png")
    return root


def coco_stuff_raw(root):
    for split, count in (("train2017", 3), ("val2017", 1)):
        for i in range(count):
            name = f"{i:012d}"
            save(photo(i), root / split / f"{name}.jpg")
            save(ids(i, COCO_VALUES), root / "stuffthingmaps" / split / f"{name}.png")
    return root


ADE_VALUES = [0, 1, 75, 150]

ADE_SCENES = ["street", "bathroom", "mountain_snowy", "apartment_building_outdoor"]


def ade20k(root):
    lines = []
    for split, short, count in (("training", "train", 4), ("validation", "val", 2)):
        for i in range(count):
            name = f"ADE_{short}_{i + 1:08d}"
            save(photo(i), root / "images" / split / f"{name}.jpg")
            save(ids(i, ADE_VALUES), root / "annotations" / split / f"{name}.png")
            lines.append(f"{name} {ADE_SCENES[i]}\n")
    (root / "sceneCategories.txt").write_text("".join(lines))
    return root


CITY_SIZE = (32, 64)


def cityscapes(root):
    for split, cities in (("train", ("aachen", "ulm")), ("val", ("munster",))):
        for city in cities:
            for i in range(2):
                name = f"{city}_{i:06d}_000019"
                truth = root / "gtFine" / split / city
                save(
                    photo(i, CITY_SIZE),
                    root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png",
                )
                labels = ids(i, [0, 7, 26, 33, 255], size=CITY_SIZE)
                save(labels, truth / f"{name}_gtFine_labelIds.png")
                instance = ids(i, [7, 26000, 26001], np.uint16, size=CITY_SIZE)
                save(instance, truth / f"{name}_gtFine_instanceIds.png")
                colors = np.asarray(label_sets.CITYSCAPES.palette, np.uint8)
                color = colors[np.where(labels == 255, 26, labels)]
                rgba = np.concatenate([color, np.full((*CITY_SIZE, 1), 255, np.uint8)], -1)
                save(rgba, truth / f"{name}_gtFine_color.png")
                (truth / f"{name}_gtFine_polygons.json").write_text("{}")
    return root


def facades(root):
    palette = [0, 0, 0] + [channel for color in label_sets.FACADES.palette for channel in color]
    for archive, letter, count in (("base", "b", 9), ("extended", "x", 4)):
        for i in range(1, count + 1):
            name = f"cmp_{letter}{i:04d}"
            save(photo(i), root / archive / f"{name}.jpg")
            save(ids(i, range(1, 13)), root / archive / f"{name}.png", palette=palette)
            (root / archive / f"{name}.xml").write_text("<objects/>")
        (root / archive / "label_names.txt").write_text("")
    return root


def manifest(root):
    rows = []
    for i, split in enumerate(("train", "train", "train", "val")):
        save(photo(i), root / "photos" / f"{i}.jpg")
        save(ids(i, [0, 1, 2, 255]), root / "masks" / f"m{i}.png")
        rows.append({"image": f"photos/{i}.jpg", "label": f"masks/m{i}.png", "split": split})
    with open(root / "list.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "label", "split"])
        writer.writeheader()
        writer.writerows(rows)
    (root / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "classes.txt").write_text("a\nb\nc\n")
    return root / "list.csv"


def paired_folder(root):
    for split, count in (("train", 3), ("val", 1)):
        for i in range(count):
            save(photo(i), root / f"{split}_img" / f"{i}.jpg")
            save(ids(i, [0, 1, 2, 255]), root / f"{split}_label" / f"{i}.png")
    (root / "classes.txt").write_text("a\nb\nc\n")
    return root
