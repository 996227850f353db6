"""Painting by keys, touch and pen, in Chromium."""

import numpy as np
import pytest
from painting_page import Painting
from PIL import Image
from served_networks import SIZE

pytestmark = pytest.mark.browser

GRASS, WATER, ROCK = 1, 3, 4


def test_the_keyboard_alone(painting, tmp_path):
    page, keys = painting.page, painting.page.keyboard
    for _ in range(40):
        keys.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    else:
        pytest.fail("the map is not reached by Tab")
    assert page.locator("#cursor").is_visible()
    keys.press("4")
    for _ in range(40):
        keys.press("[")
    # From the middle ten to the left and one up; then drawn down to the right while Space is held.
    keys.press("Shift+ArrowLeft")
    keys.press("ArrowUp")
    assert page.locator("#spoken").inner_text() == "grass, column 23, row 32"

    def hold():
        keys.down(" ")
        keys.press("ArrowRight")
        keys.press("ArrowRight")
        keys.press("ArrowDown")
        keys.up(" ")

    painting.changed(hold)
    expected = np.full((SIZE, SIZE), GRASS)
    expected[31, 22:25] = expected[32, 24] = WATER
    np.testing.assert_array_equal(painting.ids(), expected)

    # For one hand: from Enter to Enter, a rectangle. Escape cancels the next.
    keys.press("r")
    keys.press("5")
    keys.press("Enter")
    keys.press("Shift+ArrowDown")
    keys.press("ArrowRight")
    painting.changed(lambda: keys.press("Enter"))
    expected[32:43, 24:26] = ROCK
    np.testing.assert_array_equal(painting.ids(), expected)
    keys.press("Enter")
    keys.press("Shift+ArrowUp")
    keys.press("Escape")
    np.testing.assert_array_equal(painting.ids(), expected)
    # Picked from under the cursor.
    keys.press("ArrowLeft")
    keys.press("i")
    keys.press(" ")
    assert page.locator("#spoken").inner_text() == "rock"
    with page.expect_download() as download:
        keys.press("Control+s")
    download.value.save_as(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        np.testing.assert_array_equal(np.array(image), expected)
    keys.press("?")
    page.get_by_role("dialog").wait_for()
    page.get_by_label("Keys of one letter or digit work").uncheck()
    keys.press("Escape")
    page.locator("#map").focus()
    keys.press("1")
    assert page.locator("input[name=class]:checked").get_attribute("value") == str(ROCK)


def test_touch_on_a_phone(browser, double_server):
    painting = Painting(
        browser,
        double_server.url,
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    page = painting.page
    page.get_by_text("water", exact=True).tap()
    page.locator("input[name=tool][value=fill]").locator("..").tap()
    painting.changed(lambda: page.touchscreen.tap(*painting.at(30, 30)))
    assert (painting.ids() == WATER).all()
    page.get_by_text("rock", exact=True).tap()
    page.locator("input[name=tool][value=brush]").locator("..").tap()
    page.locator("#size").fill("1")
    touches = painting.context.new_cdp_session(page)

    def touch(kind, *points):
        points = [dict(zip("xy", painting.at(*point), strict=True)) for point in points]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag():
        touch("touchStart", (10, 10))
        for x in range(11, 31):
            touch("touchMove", (x, 10))
        touch("touchEnd")

    painting.changed(drag)
    expected = np.full((SIZE, SIZE), WATER)
    expected[10, 10:31] = ROCK
    np.testing.assert_array_equal(painting.ids(), expected)
    # The page was not scrolled by it, and is not wider than the screen.
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    painting.close()


def test_a_pen_that_is_pressed_draws_wider(painting):
    page = painting.page
    page.locator("#size").fill("20")
    page.keyboard.press("5")
    counts = []
    for pressure in (0.1, 0.5):
        page.evaluate(
            """([x, y, pressure]) => {
              const canvas = document.getElementById('map');
              canvas.setPointerCapture = () => {};
              for (const type of ['pointerdown', 'pointerup']) {
                canvas.dispatchEvent(new PointerEvent(type, {clientX: x, clientY: y, pressure,
                  pointerType: 'pen', pointerId: 7, isPrimary: true, button: 0, bubbles: true}));
              }
            }""",
            [*painting.at(30, 30), pressure],
        )
        counts.append((painting.ids() == ROCK).sum())
        page.keyboard.press("Control+z")
    # Discs of 4 and of 20 pixels.
    assert counts[0] == pytest.approx(np.pi * 2**2, rel=0.3)
    assert counts[1] == pytest.approx(np.pi * 10**2, rel=0.05)
