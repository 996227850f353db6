"""Painting with an export for the web, in Chromium: no server of this project runs."""

import io
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from chromium import SOFTWARE_WEBGPU, another, chromium
from litert_js_package import installed_package
from painting_page import Painting
from PIL import Image
from static_site import Site

from experiments.commands.export.export import export
from spade_tf.export.decoding import decode_photographs
from spade_tf.export.litert.model import LiteRTModel
from spade_tf.networks.styles import seeded_styles

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("loads_once")]

SIZE, Z_DIM, UNKNOWN = 64, 8, 4


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(workdir, tmp_path_factory):
    package = installed_package(tmp_path_factory.mktemp("npm"))
    output_dir = tmp_path_factory.mktemp("models") / "tiny"
    return export(workdir, formats=["web"], output_dir=output_dir, litert_js=package)


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the folder to damage."""
    return shutil.copytree(folder, tmp_path / "copy")


class Expected:
    """What Python makes of a map and a style, with the models of the same folder."""

    def __init__(self, folder):
        def model(name):
            return LiteRTModel((folder / "model" / f"{name}.tflite").read_bytes())

        self.generator, self.encoder = model("generator"), model("encoder")

    def picture(self, ids, z):
        # As the server: edges are those between classes.
        semantics = np.eye(UNKNOWN + 2, dtype=np.float32)[ids][None]
        different = np.zeros(ids.shape, bool)
        different[:, 1:] |= ids[:, 1:] != ids[:, :-1]
        different[:, :-1] |= ids[:, 1:] != ids[:, :-1]
        different[1:] |= ids[1:] != ids[:-1]
        different[:-1] |= ids[1:] != ids[:-1]
        semantics[..., -1] = different
        made = self.generator(semantics=semantics, z=np.asarray(z, np.float32)[None])["image"][0]
        return (made + 1) * 127.5


def style(seed):
    return seeded_styles(tf.constant([seed], tf.int64), Z_DIM).numpy()[0]


def opened(browser, folder, site, query="", **options):
    classes = json.loads((folder / "model" / "model.json").read_text())["classes"]
    palette = [each["color"] for each in classes]
    return Painting(browser, site.url + query, palette, **options)


def check(painting, expected):
    """The picture is the expected one.

    Sums are taken in another order here and there, which moves values by some 1e-6 of a level, and
    a value in the middle of two levels to the other one: so one level, of few values.
    """
    made = painting.canvas("picture")[..., :3].astype(int)
    assert np.ptp(made) > 100
    assert np.abs(made - expected).max() <= 0.51
    assert np.mean(made != np.rint(expected)) < 0.01


def test_a_folder_of_files_is_a_painter(browser, folder, tmp_path):
    expected = Expected(folder)
    with Site(folder) as site:
        painting = opened(browser, folder, site)
        page = painting.page
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        painting.open()
        assert page.locator("#made").inner_text() == "Made in this browser, by WebAssembly."
        assert page.locator("#model").inner_text() == "tiny, step 4, 64 × 64"
        assert page.locator("#status").inner_text() == ""
        check(painting, expected.picture(painting.ids(), style(1)))
        # There are no layouts of these classes, and so no button for one.
        assert page.locator("#sample").is_hidden()
        before = painting.canvas("picture")
        page.keyboard.press("3")
        painting.changed(lambda: painting.drag((10, 10), (40, 50)))
        page.keyboard.press("5")
        painting.changed(lambda: painting.drag((50, 5), (40, 60)))
        assert {2, UNKNOWN} <= set(np.unique(painting.ids()))
        assert (painting.canvas("picture") != before).any()
        check(painting, expected.picture(painting.ids(), style(1)))
        check_styles(painting, expected, tmp_path)
        assert all(url.startswith(site.url) or url.startswith("blob:") for url in asked)
        # All that is needed is there: painting goes on without the web server.
        site.stop()
        painting.changed(lambda: page.keyboard.press("Control+z"))
        check(painting, expected.picture(painting.ids(), style(1)))
        assert page.locator("#status").inner_text() == ""
        # The encoder has been loaded: it was asked for.
        painting.changed(
            lambda: page.locator("#photo-file").set_input_files(tmp_path / "photograph.png")
        )
        painting.close()


def test_a_file_that_comes_too_late_is_a_sentence(browser, folder, tmp_path):
    Image.new("RGB", (70, 70), (200, 90, 30)).save(tmp_path / "photograph.png")
    with Site(folder) as site:
        painting = opened(browser, folder, site)
        page = painting.page
        site.stop()
        page.locator("#photo-file").set_input_files(tmp_path / "photograph.png")
        page.get_by_text("does not answer, and model/encoder.tflite is needed.").wait_for()
        painting.changed(lambda: painting.drag((10, 10), (40, 50)))
        painting.close()


def check_styles(painting, expected, tmp_path):
    page, ids = painting.page, painting.ids()
    painting.changed(lambda: page.get_by_label("Style 4").check(force=True))
    check(painting, expected.picture(ids, style(4)))
    page.locator("#seed-b").fill("9")
    painting.changed(lambda: page.locator("#mix").fill("50"))
    check(painting, expected.picture(ids, (style(4) + style(9)) / np.sqrt(2)))
    page.locator("#vary").click()
    page.locator("#variations li").nth(4).wait_for()
    # A photograph, which the encoder of the folder looks at.
    random = np.random.default_rng(0)
    photograph = Image.fromarray(random.integers(0, 256, (9, 7, 3), np.uint8)).resize((140, 90))
    photograph.save(tmp_path / "photograph.png")
    painting.changed(
        lambda: page.locator("#photo-file").set_input_files(tmp_path / "photograph.png")
    )
    encoded = tf.constant([(tmp_path / "photograph.png").read_bytes()])
    image = decode_photographs("image", encoded, (SIZE, SIZE)).numpy()
    check(painting, expected.picture(ids, expected.encoder(image=image)["z"][0]))
    painting.changed(lambda: page.get_by_label("Style 1").check(force=True))


def test_seeds_and_photographs_are_those_of_python(browser, folder):
    """The page's own functions, against TensorFlow's: seeds of all kinds, and all shapes."""
    seeds = [0, 1, -1, 7, 2**31, -(2**40) - 3, 2**53 - 1, -(2**53) + 1]
    pixels = np.random.default_rng(1).integers(0, 256, (150, 200, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    sizes = [("stretch", 64, 96), ("stretch", 300, 230), ("cover", 64, 96), ("crop", 100, 33)]
    with Site(folder) as site:
        painting = opened(browser, folder, site)
        styles = painting.page.evaluate(
            """async (seeds) => {
              const {seededStyle} = await import('/painter/browser/seeded_styles.js');
              return seeds.map((seed) => Array.from(seededStyle(seed, 10)));
            }""",
            seeds,
        )
        images = painting.page.evaluate(
            """async ([bytes, sizes]) => {
              const {photographInput} = await import('/painter/browser/photographs.js');
              const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
              return sizes.map(([shape, height, width]) =>
                Array.from(photographInput(bitmap, {height, width}, shape)));
            }""",
            [list(file.getvalue()), sizes],
        )
        painting.close()
    wanted = seeded_styles(tf.constant(seeds, tf.int64), 10).numpy()
    np.testing.assert_allclose(styles, wanted, atol=2e-6)
    for (shape, *size), image in zip(sizes, images, strict=True):
        wanted = decode_photographs("image", tf.constant([file.getvalue()]), tuple(size), shape)
        # TensorFlow looks the kernel up in a table of 1024 places.
        np.testing.assert_allclose(np.reshape(image, wanted.shape), wanted, atol=5e-3)


# The maps that workers are asked for, which they hear of between `release()` and `hold()`. The
# page's clock stands still: a second without a picture, which a slow machine takes for these
# strokes, would let one more through.
HELD = """
  window.asked = [];
  performance.now = () => 0;
  window.hold = () => { window.gate = new Promise((open) => { window.release = open; }); };
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = async function (message, ...rest) {
    if (message.kind === 'picture') {
      asked.push(Array.from(message.ids));
      await window.gate;
    }
    post.call(this, message, ...rest);
  };
"""


def test_the_latest_map_wins(browser, folder):
    with Site(folder) as site:
        painting = opened(browser, folder, site)
        painting.page.add_init_script(HELD)
        painting.open()
        page, mouse = painting.page, painting.page.mouse
        page.evaluate("hold(); asked.length = 0")
        page.keyboard.press("3")
        painting.drag((5, 5), (60, 20), (5, 40), (60, 60))
        painting.drag((5, 60), (60, 5))
        painting.drag((30, 60), (30, 5))
        # Of all that was drawn meanwhile, one map waits.
        assert len(page.evaluate("asked")) == 1
        page.evaluate("release()")
        painting.made()
        asked = page.evaluate("asked")
        assert len(asked) == 2
        np.testing.assert_array_equal(np.reshape(asked[1], (SIZE, SIZE)), painting.ids())
        check(painting, Expected(folder).picture(painting.ids(), style(1)))
        # A map that is looked at already is not asked for again when the stroke ends.
        page.evaluate("hold(); asked.length = 0")
        page.keyboard.press("4")
        mouse.move(*painting.at(40, 40))
        mouse.down()
        for _ in range(200):
            if page.evaluate("asked.length"):
                break
            page.wait_for_timeout(50)
        mouse.up()
        page.evaluate("release()")
        painting.made()
        assert len(page.evaluate("asked")) == 1
        check(painting, Expected(folder).picture(painting.ids(), style(1)))
        painting.close()


def test_webgpu_makes_the_same_picture(browser, folder, copy):
    with another(browser, *SOFTWARE_WEBGPU) as with_webgpu:
        with Site(folder) as site:
            painting = opened(with_webgpu, folder, site, "?run=webgpu")
            assert painting.page.locator("#made").inner_text() == "Made in this browser, by WebGPU."
            check(painting, Expected(folder).picture(painting.ids(), style(1)))
            painting.close()
            # Unless it is asked for, it is not used where the processor plays its part.
            painting = opened(with_webgpu, folder, site)
            assert "by WebAssembly" in painting.page.locator("#made").inner_text()
            painting.close()
        # Nor where its pictures are wrong.
        facts = json.loads((copy / "model" / "model.json").read_text())
        facts["check"][5] += 0.2
        (copy / "model" / "model.json").write_text(json.dumps(facts))
        with Site(copy) as site:
            painting = opened(with_webgpu, copy, site, "?run=webgpu")
            assert "by WebAssembly" in painting.page.locator("#made").inner_text()
            check(painting, Expected(folder).picture(painting.ids(), style(1)))
            painting.close()


def test_threads_are_used_where_the_web_server_allows_them(browser, folder):
    headers = [
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
    ]
    with Site(folder, headers) as site:
        painting = opened(browser, folder, site)
        names = painting.page.evaluate("performance.getEntries().map((each) => each.name)")
        assert painting.page.evaluate("crossOriginIsolated"), names
        assert "with threads" in painting.page.locator("#made").inner_text()
        check(painting, Expected(folder).picture(painting.ids(), style(1)))
        painting.close()


@pytest.mark.parametrize("damage", ["gone", "short", "no model", "no WebAssembly"])
def test_what_is_wrong_with_a_folder_is_a_sentence(browser, copy, damage):
    model, said = copy / "model" / "generator.tflite", "model/generator.tflite is not there (404)"
    if damage == "gone":
        model.unlink()
    elif damage == "short":
        model.write_bytes(model.read_bytes()[:-1])
        said = "bytes in place of"
    elif damage == "no model":
        model.write_bytes(bytes(len(model.read_bytes())))
        said = "The model does not run in this browser"
    else:
        for path in (copy / "litert").glob("*.wasm"):
            path.unlink()
        said = "The model does not run in this browser"
    with Site(copy) as site:
        context = browser.new_context()
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(site.url)
        page.get_by_text(said).wait_for()
        assert "Copy the whole folder" in page.locator("#status").inner_text()
        assert not errors
        context.close()


def test_everybody_can_use_it(browser, folder):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Site(folder) as site:
        for options in (
            {"viewport": {"width": 1280, "height": 800}},
            {"viewport": {"width": 390, "height": 844}},
            {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
        ):
            painting = opened(browser, folder, site, **options)
            response = axe.run(painting.page).response
            assert len(response["passes"]) > 20
            assert response["violations"] == []
            size = painting.page.evaluate("document.documentElement.scrollWidth")
            assert size == options["viewport"]["width"]
            painting.close()
