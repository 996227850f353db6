"""Painting by mouse, and the picture that follows, in Chromium; the server comes and goes."""

import json

import numpy as np
import pytest
from painted_double import DoubleServer, pictures, style_of_photograph
from painted_export import PALETTE
from painting_page import Painting
from PIL import Image
from served_networks import SIZE, Z_DIM

from spade_tf.serving.fronts.painter import Painter

pytestmark = pytest.mark.browser

SKY, GRASS, TREE, WATER, ROCK = range(5)


def test_mouse_tools_undo_and_redo(painting, tmp_path):
    page = painting.page
    # The first class that is ground.
    assert (painting.ids() == GRASS).all()
    assert page.locator("#undo").is_disabled()
    states = [painting.ids()]

    def step(*points, tool, key):
        page.keyboard.press(key)
        page.locator(f"input[name=tool][value={tool}]").check(force=True)
        painting.changed(lambda: painting.drag(*points))
        states.append(painting.ids())
        return states[-1]

    page.locator("#size").fill("5")
    ids = step((10, 10), (30, 10), tool="brush", key="3")
    # A capsule of width 5: rows 8 to 12, and columns beyond both ends by 2.
    expected = np.full((SIZE, SIZE), GRASS)
    y, x = np.mgrid[:SIZE, :SIZE]
    away = np.hypot(x - np.clip(x, 10, 30), y - 10)
    expected[away < 2.5] = TREE
    np.testing.assert_array_equal(ids, expected)

    page.locator("#size").fill("1")
    ids = step((0, 40), (63, 40), tool="line", key="4")
    expected[40] = WATER
    np.testing.assert_array_equal(ids, expected)

    ids = step((20, 60), (20, 60), tool="fill", key="5")
    expected[41:] = ROCK
    np.testing.assert_array_equal(ids, expected)

    ids = step((50, 20), (40, 15), tool="rectangle", key="1")
    expected[15:21, 40:51] = SKY
    np.testing.assert_array_equal(ids, expected)

    ids = step((20, 10), (20, 10), tool="swap", key="4")
    expected[expected == TREE] = WATER
    np.testing.assert_array_equal(ids, expected)

    # Picked from the map, by the tool and by the right button.
    page.keyboard.press("i")
    page.mouse.click(*painting.at(0, 63))
    assert page.locator("input[name=class]:checked").get_attribute("value") == str(ROCK)
    page.mouse.click(*painting.at(45, 17), button="right")
    assert page.locator("input[name=class]:checked").get_attribute("value") == str(SKY)

    for action in ("#clear", "#horizon"):
        painting.changed(page.locator(action).click)
        states.append(painting.ids())
    assert (states[-2] == SKY).all()
    assert set(np.unique(states[-1][:32])) == {SKY}
    assert set(np.unique(states[-1][32:])) == {GRASS}
    undo_and_redo(painting, states)
    np.testing.assert_array_equal(painting.saved_ids(tmp_path / "map.png"), painting.ids())


def undo_and_redo(painting, states):
    """Undoes all one by one, by keys and by the button, and redoes some."""
    page = painting.page
    for state in states[-2::-1]:
        page.keyboard.press("Control+z")
        np.testing.assert_array_equal(painting.ids(), state)
    assert page.locator("#undo").is_disabled()
    page.keyboard.press("Control+y")
    page.keyboard.press("Control+Shift+z")
    np.testing.assert_array_equal(painting.ids(), states[2])
    page.locator("#redo").click()
    np.testing.assert_array_equal(painting.ids(), states[3])
    # What is drawn now takes the place of what was undone.
    page.keyboard.press("b")
    painting.drag((5, 60), (9, 60))
    assert page.locator("#redo").is_disabled()


def test_a_stroke_keeps_the_tool_that_it_began_with(painting):
    page, mouse = painting.page, painting.page.mouse
    page.locator("#size").fill("1")
    page.keyboard.press("5")
    mouse.move(*painting.at(5, 5))
    mouse.down()
    page.keyboard.press("r")
    mouse.move(*painting.at(5, 9), steps=4)
    mouse.up()
    ids = painting.ids()
    assert (ids[5:10, 5] == ROCK).all()
    assert (ids == ROCK).sum() == 5
    # Escape takes back what is being drawn.
    mouse.move(*painting.at(30, 30))
    mouse.down()
    mouse.move(*painting.at(50, 50), steps=4)
    assert (painting.ids() == ROCK).sum() > 400
    page.keyboard.press("Escape")
    mouse.up()
    np.testing.assert_array_equal(painting.ids(), ids)


def test_the_picture_is_that_of_the_map_and_of_the_style(painting, double_server, tmp_path):
    page = painting.page

    def check(z):
        made = painting.canvas("picture")[..., :3].astype(int)
        # A rounding apart at most: the page mixes styles in float32.
        assert np.abs(made - pictures(painting.ids()[None], z[None])[0]).max() <= 1

    def style(seed):
        return double_server.double.style_of_seed(seed, None)

    page.keyboard.press("3")
    painting.changed(lambda: painting.drag((10, 10), (40, 50)))
    check(style(1))
    painting.changed(lambda: page.get_by_label("Style 4").check(force=True))
    check(style(4))

    def write_seed():
        page.locator("#seed-a").fill("7")
        page.locator("#seed-a").press("Enter")

    painting.changed(write_seed)
    check(style(7))
    page.locator("#seed-b").fill("9")
    painting.changed(lambda: page.locator("#mix").fill("50"))
    # Half of each, scaled to the length of one.
    check((style(7) + style(9)) / np.sqrt(2))
    painting.changed(page.locator("#dice").click)
    check(style(int(page.locator("#seed-a").input_value())))

    page.locator("#vary").click()
    page.locator("#variations li").nth(4).wait_for()
    label = page.locator("#variations button").nth(2).get_attribute("aria-label")
    painting.changed(page.locator("#variations button").nth(2).click)
    check(style(int(label.split()[-1])))

    # A reference photograph, as a file and as one that is too large to be sent as it is.
    random = np.random.default_rng(0)
    for name, pixels in (("small.png", (70, 90)), ("large.bmp", (2100, 2200))):
        small = random.integers(0, 256, (7, 9, 3), np.uint8)
        Image.fromarray(small).resize(pixels[::-1]).save(tmp_path / name)
        painting.changed(
            lambda name=name: page.locator("#photo-file").set_input_files(tmp_path / name)
        )
        assert page.locator("#style-a").inner_text() == "Photograph"
    file = (tmp_path / "small.png").read_bytes()
    painting.changed(lambda: page.locator("#photo-file").set_input_files(tmp_path / "small.png"))
    check(style_of_photograph(file, Z_DIM))

    check_what_is_shown_and_saved(painting, tmp_path)


def check_what_is_shown_and_saved(painting, tmp_path):
    """The picture is downloaded as it is shown, and is shown as a blend with the map."""
    page = painting.page
    download = painting.file_of("#download")
    assert download.suggested_filename == "double.png"
    download.save_as(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        np.testing.assert_array_equal(np.array(image), painting.canvas("picture")[..., :3])

    # The map over the picture, and alone.
    picture = painting.canvas("picture")[..., :3].astype(int)
    page.keyboard.press("p")
    colors = np.array(PALETTE)[painting.ids()]
    np.testing.assert_array_equal(painting.canvas("picture")[..., :3], colors)
    page.keyboard.press("p")
    blend = painting.canvas("picture")[..., :3]
    assert np.abs(blend - (picture + colors) / 2).max() <= 1


def test_what_is_painted_is_there_again(painting):
    page = painting.page
    page.keyboard.press("4")
    painting.changed(lambda: painting.drag((3, 3), (50, 60)))
    painting.changed(lambda: page.get_by_label("Style 3").check(force=True))
    page.locator("#size").fill("9")
    ids, picture = painting.ids(), painting.canvas("picture")
    painting.open()
    np.testing.assert_array_equal(painting.ids(), ids)
    np.testing.assert_array_equal(painting.canvas("picture"), picture)
    assert page.locator("#size").input_value() == "9"
    assert page.locator("input[name=class]:checked").get_attribute("value") == str(WATER)
    # What is kept may be of anybody's making.
    key, kept = page.evaluate("Object.entries(localStorage)[0]")
    kept = json.loads(kept)
    for bad in (None, {"classes": 3}, {"runs": [9, 4096]}, {"runs": [0, 1e9]}, {"runs": {}}):
        text = "{" if bad is None else json.dumps({**kept, **bad})
        # After the page itself, which keeps what it has when it is left.
        page.evaluate(
            "(kept) => addEventListener('pagehide', () => localStorage.setItem(...kept))",
            [key, text],
        )
        painting.open()
        assert (painting.ids() == GRASS).all()


# Requests for pictures, and how each ended; they wait between `hold()` and `release()`.
HELD = """() => {
  window.asked = [];
  window.hold = () => { window.gate = new Promise((open) => { window.release = open; }); };
  const ask = window.fetch;
  window.fetch = async (address, options) => {
    if (!String(address).includes('picture?')) return ask(address, options);
    const one = {draft: String(address).includes('jpeg'), ended: ''};
    asked.push(one);
    const left = new Promise((_, fail) => options.signal.addEventListener(
      'abort', () => fail(new DOMException('', 'AbortError'))));
    try {
      await Promise.race([window.gate, left]);
      const answer = await ask(address, options);
      one.ended = 'answered';
      return answer;
    } catch (error) {
      one.ended = error.name;
      throw error;
    }
  };
}"""


def test_the_latest_request_wins(painting, double_server):
    page = painting.page
    page.evaluate(HELD)
    # After a second without a picture, the next is let through.
    page.wait_for_timeout(1100)
    page.evaluate("hold()")
    page.keyboard.press("5")
    painting.drag((5, 5), (60, 20), (5, 40), (60, 60))
    # Of all that was drawn meanwhile, one request waits, and is not sent.
    assert page.evaluate("asked") == [{"draft": True, "ended": ""}]
    painting.changed(lambda: page.evaluate("release()"))
    exact = {"draft": False, "ended": "answered"}
    assert page.evaluate("asked") == [{"draft": True, "ended": "answered"}, exact]

    # Pictures of the style before are of no use: they are cancelled.
    page.evaluate("hold()")
    painting.drag((20, 5), (20, 60))
    page.get_by_label("Style 2").check(force=True)
    painting.changed(lambda: page.evaluate("release()"))
    stale = page.evaluate("asked")[2:-1]
    assert {each["ended"] for each in stale} == {"AbortError"}
    assert page.evaluate("asked")[-1] == exact
    z = double_server.double.style_of_seed(2, None)
    made = painting.canvas("picture")[..., :3]
    np.testing.assert_array_equal(made, pictures(painting.ids()[None], z[None])[0])


def test_a_server_that_comes_and_goes(browser, tmp_path):
    with DoubleServer(tmp_path, Painter()) as server:
        painting = Painting(browser, server.url)
        page = painting.page
        page.keyboard.press("3")
        painting.changed(lambda: painting.drag((5, 5), (40, 40)))
        server.stop()
        # Painting goes on, and the page says why there is no picture.
        painting.drag((40, 5), (5, 40))
        page.get_by_text("The server does not answer.").wait_for()
        ids = painting.ids()
        server.start()
        painting.made()
        assert page.locator("#status").inner_text() == ""
        np.testing.assert_array_equal(painting.ids(), ids)
        made = painting.canvas("picture")[..., :3]
        z = server.double.style_of_seed(1, None)
        np.testing.assert_array_equal(made, pictures(ids[None], z[None])[0])
        painting.close()


@pytest.mark.parametrize("width", [920, 1100, 1280])
def test_map_and_picture_stay_in_their_panels_side_by_side(browser, double_server, width):
    painting = Painting(browser, double_server.url, viewport={"width": width, "height": 800})
    spilled, tops = painting.page.evaluate(
        """() => {
            const panels = [...document.querySelectorAll("#map-panel, #picture-panel")];
            return [
                panels.map(panel => panel.scrollWidth - panel.clientWidth),
                panels.map(p => Math.round(p.querySelector("canvas").getBoundingClientRect().top)),
            ];
        }"""
    )
    assert spilled == [0, 0]
    assert tops[0] == tops[1]
    painting.close()


@pytest.mark.parametrize("class_style_dim", [0, 3])
def test_everybody_can_use_it(browser, class_style_dim, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with DoubleServer(tmp_path / "double", Painter(), class_style_dim) as server:
        check_everybody_can_use_it(browser, axe, server.url)


def check_everybody_can_use_it(browser, axe, url):
    for options in (
        {"viewport": {"width": 1280, "height": 800}},
        {"viewport": {"width": 390, "height": 844}},
        {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    ):
        painting = Painting(browser, url, **options)
        page = painting.page
        found = [axe.run(page).response]
        page.locator("#vary").click()
        page.locator("#variations li").nth(4).wait_for()
        page.locator("#show-keys").click()
        found.append(axe.run(page).response)
        for response in found:
            assert len(response["passes"]) > 20
            faults = [
                (each["id"], [n["html"] for n in each["nodes"]]) for each in response["violations"]
            ]
            assert not faults, json.dumps(faults, indent=1)
        wide, high = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        )
        assert wide == options["viewport"]["width"]
        # On a desktop, all of it is seen at once.
        assert wide < 900 or high == 800
        painting.close()
