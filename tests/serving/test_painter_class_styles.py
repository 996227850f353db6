"""A style for the chosen class, in Chromium."""

import time

import numpy as np
import pytest
from painted_double import DoubleServer, pictures, style_of_photograph
from painting_page import Painting
from PIL import Image
from served_networks import Z_DIM

from spade_tf.serving.fronts.painter import Painter

pytestmark = pytest.mark.browser

SKY, GRASS = 0, 1


@pytest.fixture
def class_server(tmp_path):
    """A server of a model with a style for each class."""
    with DoubleServer(tmp_path / "double", Painter(), class_style_dim=3) as server:
        yield server


def test_a_class_has_a_style_of_its_own(browser, class_server, tmp_path):
    painting = Painting(browser, class_server.url)
    page = painting.page

    def style(seed):
        whole = class_server.double.style_of_seed(seed, None)
        return whole[:Z_DIM], whole[Z_DIM:].reshape(-1, 3).copy()

    def check(z, class_styles):
        made = painting.canvas("picture")[..., :3].astype(int)
        expected = pictures(painting.ids()[None], z[None], class_styles[None])[0]
        assert np.abs(made - expected).max() <= 1

    painting.changed(page.locator("#horizon").click)
    z, of_classes = style(1)
    check(z, of_classes)
    # The sky alone gets another style, by its key, and then by a seed.
    page.keyboard.press("1")
    assert page.locator("#class-style-name").inner_text() == "sky"
    assert page.locator("#class-style-now").inner_text() == "as the picture"
    painting.changed(lambda: page.keyboard.press("c"))
    of_classes[SKY] = style(int(page.locator("#class-seed").input_value()))[1][SKY]
    check(z, of_classes)
    page.locator("#class-seed").fill("7")
    painting.changed(lambda: page.locator("#class-seed").press("Enter"))
    of_classes[SKY] = style(7)[1][SKY]
    check(z, of_classes)
    # The grass gets that of a photograph.
    page.locator("label", has=page.locator(f"input[name=class][value='{GRASS}']")).click()
    assert page.locator("#class-seed").input_value() == ""
    Image.new("RGB", (40, 30), (255, 128, 0)).save(tmp_path / "orange.png")
    painting.changed(
        lambda: page.locator("#class-photo-file").set_input_files(tmp_path / "orange.png")
    )
    assert page.locator("#class-style-now").inner_text() == "orange.png"
    of_classes[GRASS] = style_of_photograph((tmp_path / "orange.png").read_bytes(), Z_DIM)[:3]
    check(z, of_classes)
    painting.changed(page.locator("#class-reset").click)
    of_classes[GRASS] = style(1)[1][GRASS]
    check(z, of_classes)
    # Another style of the picture leaves the sky alone; so do variations, and a new visit.
    painting.changed(lambda: page.get_by_label("Style 4").check(force=True))
    z, of_classes = style(4)
    of_classes[SKY] = style(7)[1][SKY]
    check(z, of_classes)
    page.locator("#vary").click()
    page.locator("#variations li").nth(4).wait_for()
    skies = {made["class_styles"][0, SKY].tobytes() for made in class_server.double.made[-5:]}
    assert skies == {of_classes[SKY].tobytes()}
    time.sleep(0.5)
    painting.open()
    check(z, of_classes)
    painting.close()
