"""What the JSON beside a model says of label maps, inputs and outputs."""

from __future__ import annotations

from typing import Any

import keras

_SEMANTICS = (
    "1.0 in the channel of a pixel's class id (what label_map makes of the value in a file), 0.0 "
    "in those of the others{edges}; never from tf.one_hot on a GPU, which is silently wrong there"
)
_CONTINUOUS = "the map, in the range that the data set has it in"
_EDGES = (
    "; in the last channel 1.0 where a pixel's instance id differs from that of the pixel above, "
    "below, left or right (both sides of a boundary), 0.0 elsewhere and where there are no "
    "instance ids"
)
LABEL_MAP_MEANING = (
    "a file's value v is of class id_of_value[v]; beyond that list, unknown_value is of class "
    "unknown; every other value, and one whose id is -1, must be refused"
)


def plain_label_map(num_ids: int) -> dict[str, Any]:
    """How label map files are read that hold the ids of classes.

    Args:
        num_ids: int, class ids, the unknown one included.

    Returns:
        `num_ids`, `id_of_value`, `unknown_value` and `unknown`; and `meaning`, the rule in words.
    """
    return {
        "num_ids": num_ids,
        "id_of_value": list(range(num_ids)),
        "unknown_value": None,
        "unknown": None,
        "meaning": LABEL_MAP_MEANING,
    }


def add_meanings(facts: dict[str, Any], generator: keras.Model, *, one_hot: bool) -> None:
    """Adds a `meaning` to each input and output of a generator's model.

    Args:
        facts: what `report` says of the model.
        generator: whose.
        one_hot: bool, whether the generator sees labels; False for continuous maps.
    """
    edges = _EDGES if generator.use_instance_edges else ""
    meanings = {
        "semantics": _SEMANTICS.format(edges=edges) if one_hot else _CONTINUOUS,
        "label": f"class ids, 0 to {generator.num_labels - 1}: what label_map makes of the values "
        "in a file, not the values; other ids are of no class at all",
        "instance": "instance ids; the same one all over for none",
        "z": "a style: standard normal numbers, or what the encoder says of a photograph",
        "class_styles": "a style for each class id, in order: standard normal numbers",
        "image": "RGB in [-1, 1]: round((value + 1) * 127.5) for 8 bits",
    }
    for tensor in facts["inputs"] + facts["outputs"]:
        tensor["meaning"] = meanings[tensor["name"]]
        if tensor["quantization"]:
            tensor["meaning"] += "; int8: value = (int8 - zero_point) * scale"
