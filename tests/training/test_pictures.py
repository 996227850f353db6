import numpy as np
from PIL import Image

from spade_tf.training.pictures import colorize, grid, to_uint8, write_png


def test_colours_of_classes():
    np.testing.assert_array_equal(
        colorize(np.array([[0, 1], [1, 0]]), [(1, 2, 3), (4, 5, 6)]),
        [[[1, 2, 3], [4, 5, 6]], [[4, 5, 6], [1, 2, 3]]],
    )


def test_bytes_of_every_level_come_back():
    levels = np.arange(256)
    np.testing.assert_array_equal(to_uint8(levels / np.float32(127.5) - 1), levels)
    np.testing.assert_array_equal(to_uint8(np.array([-2.0, 2.0])), [0, 255])


def test_grid_places_pictures():
    pictures = [[np.full((2, 3, 3), 10 * i + j, np.uint8) for j in range(2)] for i in range(2)]
    canvas = grid(pictures, gap=1)
    assert canvas.shape == (5, 7, 3)
    assert (canvas[3, 4] == 11).all()
    assert (canvas[2] == 255).all()


def test_a_png_is_written_whole(tmp_path):
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    write_png(tmp_path / "new" / "a.png", picture)
    with Image.open(tmp_path / "new" / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read), picture)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
