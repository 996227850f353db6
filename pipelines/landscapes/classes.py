"""The classes of the procedural landscapes: names, ids and colours."""

CLASS_NAMES = (
    "sky",
    "cloud",
    "sun or moon",
    "mountain",
    "snow",
    "water",
    "sand",
    "grass",
    "tree",
    "rock",
    "road",
    "building",
)
SKY, CLOUD, SUN, MOUNTAIN, SNOW, WATER, SAND, GRASS, TREE, ROCK, ROAD, BUILDING = range(12)
PALETTE = (
    (118, 190, 238),
    (224, 232, 240),
    (255, 214, 64),
    (126, 104, 140),
    (250, 252, 255),
    (32, 96, 176),
    (236, 206, 140),
    (132, 186, 72),
    (30, 104, 52),
    (128, 128, 124),
    (70, 68, 76),
    (190, 74, 58),
)
