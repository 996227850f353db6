"""The JavaScript of docs/EDGE.md, run by a headless Chromium on WebGPU."""

import http.server
import json
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from edge_networks import make_generator, make_layouts

from spade_tf.export.litert.edge_form import edge_form
from spade_tf.export.litert.functions import edge_functions
from spade_tf.export.litert.meanings import plain_label_map
from spade_tf.export.litert.model import LiteRTModel

# docs/EDGE.md shows this code; tests/experiments/test_edge_samples.py checks that.
SAMPLES = Path(__file__).parents[2] / "docs" / "edge"
PACKAGE = "@litertjs/core@2.5.3"
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-domain-reliability",
    "--metrics-recording-only",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-unsafe-swiftshader",
]
PAGE = """<!doctype html>
<script type="importmap">
{"imports": {"@litertjs/core": "/node_modules/@litertjs/core/dist/index.js",
             "@litertjs/wasm-utils": "/node_modules/@litertjs/wasm-utils/dist/index.js"}}
</script>
<script type="module">
try {
  const {loadGenerator, generate} = await import('/generator.js');
  const wasm = '/node_modules/@litertjs/core/wasm/';
  const get = async (url) => (await fetch(url)).arrayBuffer();
  const values = new Uint8Array(await get('/values.bin'));
  const instance = new Int32Array(await get('/instance.bin'));
  const z = new Float32Array(await get('/z.bin'));
  const name = location.hash.slice(1);
  const accelerator = name === 'ids' ? 'wasm' : 'webgpu';
  const generator = await loadGenerator(`/${name}.tflite`, wasm, accelerator);
  const picture = await generate(generator, values, instance, z);
  const full = generator.model.isFullyAccelerated;
  await fetch(`/result?accelerated=${full}`, {method: 'POST', body: picture});
} catch (error) {
  await fetch('/error', {method: 'POST', body: String(error.stack || error)});
}
</script>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".html": "text/html",
        ".json": "application/json",
        "": "application/octet-stream",
    }

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answers.append((self.path, body))
        self.server.answered.set()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(tmp_path):
    """A folder with the npm package, the samples, and the page that runs them."""
    if shutil.which("npm") is None or shutil.which("chromium") is None:
        pytest.skip("needs npm and chromium: apt-get install npm chromium")
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), PACKAGE]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if installed.returncode:
        pytest.skip(f"npm install {PACKAGE}: {installed.stderr.strip().splitlines()[-1:]}")
    for name in ("generator.js", "label_map.js"):
        shutil.copy(SAMPLES / name, tmp_path)
    (tmp_path / "index.html").write_text(PAGE)
    return tmp_path


@pytest.fixture
def server(site):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Handler(*arguments, directory=str(site))
    )
    server.answers, server.answered = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", ["semantics", "ids"])
def test_the_documented_javascript_gives_what_keras_gives(name, site, server, tmp_path_factory):
    """Runs it on a map with unknown pixels (255 in the file) and instances."""
    generator = make_generator("clade")
    layout = make_layouts(generator, 1)[0]
    label, unknown = layout["label"], generator.num_labels - 1
    assert (label == unknown).any()
    assert (np.diff(layout["instance"]) != 0).any()
    values = np.where(label == unknown, 255, label).astype("uint8")
    z = np.random.default_rng(0).standard_normal((1, 8)).astype("float32")
    function = edge_functions(edge_form(generator))[name == "ids"]
    content = function.convert("float32")
    (site / f"{name}.tflite").write_bytes(content)
    label_map = plain_label_map(generator.num_labels) | {
        "id_of_value": list(range(unknown)),
        "unknown_value": 255,
        "unknown": unknown,
    }
    facts = LiteRTModel(content).describe() | {"label_map": label_map}
    (site / f"{name}.json").write_text(json.dumps(facts))
    (site / "values.bin").write_bytes(values.tobytes())
    (site / "instance.bin").write_bytes(layout["instance"].astype("int32").tobytes())
    (site / "z.bin").write_bytes(z.tobytes())
    profile = tmp_path_factory.mktemp("profile")
    url = f"http://127.0.0.1:{server.server_port}/index.html#{name}"
    with subprocess.Popen(
        ["chromium", *CHROMIUM, f"--user-data-dir={profile}", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        try:
            assert server.answered.wait(180), "the page has not answered"
        finally:
            browser.terminate()
    path, body = server.answers[0]
    assert path.startswith("/result"), body.decode(errors="replace")
    if name == "semantics":
        assert path == "/result?accelerated=true"
    picture = np.frombuffer(body, "float32").reshape(1, *generator.image_size, 3)
    expected = generator(layout, z=z, training=False).numpy()
    np.testing.assert_allclose(picture, expected, atol=1e-3)
