"""The JavaScript of docs/EDGE.md, run by a headless Chromium on WebGPU."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from edge_networks import make_generator, make_layouts

from spade_tf.export.edge_form import edge_form
from spade_tf.export.litert import edge_functions
from spade_tf.export.litert_model import LiteRTModel

DOCUMENT = Path(__file__).parents[2] / "docs" / "EDGE.md"
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
  const {loadGenerator, generate} = await import('/edge.js');
  const generator = await loadGenerator('/generator.tflite', '/node_modules/@litertjs/core/wasm/');
  const label = new Int32Array(await (await fetch('/label.bin')).arrayBuffer());
  const z = new Float32Array(await (await fetch('/z.bin')).arrayBuffer());
  const picture = await generate(generator, label, z);
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
    """A folder with the npm package, the document's snippet, and the page that runs it."""
    if shutil.which("npm") is None or shutil.which("chromium") is None:
        pytest.skip("needs npm and chromium: apt-get install npm chromium")
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), PACKAGE]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if installed.returncode:
        pytest.skip(f"npm install {PACKAGE}: {installed.stderr.strip().splitlines()[-1:]}")
    snippet = re.search(r"<!-- javascript -->\n```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "edge.js").write_text(snippet[1])
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
def test_the_documented_javascript_gives_what_keras_gives(site, server, tmp_path_factory):
    generator = make_generator("clade")
    label = make_layouts(generator, 1)[0]["label"]
    z = np.random.default_rng(0).standard_normal((1, 8)).astype("float32")
    content = edge_functions(edge_form(generator))[0].convert("float32")
    (site / "generator.tflite").write_bytes(content)
    (site / "generator.json").write_text(json.dumps(LiteRTModel(content).describe()))
    (site / "label.bin").write_bytes(label.tobytes())
    (site / "z.bin").write_bytes(z.tobytes())
    profile = tmp_path_factory.mktemp("profile")
    url = f"http://127.0.0.1:{server.server_port}/index.html"
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
    assert path == "/result?accelerated=true", body.decode(errors="replace")
    picture = np.frombuffer(body, "float32").reshape(1, *generator.image_size, 3)
    expected = generator({"label": label}, z=z, training=False).numpy()
    np.testing.assert_allclose(picture, expected, atol=1e-3)
