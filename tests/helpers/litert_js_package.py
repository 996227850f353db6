"""The npm package of LiteRT.js: a stand-in of a few bytes, and the real one where npm gets it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from experiments.commands.export.litert_js import PACKAGE, VERSION

FILES = {
    "core/dist/index.js": 'import {createWasmLib} from "@litertjs/wasm-utils";\n'
    "export {createWasmLib};\n"
    "//# sourceMappingURL=index.js.map\n",
    "wasm-utils/dist/index.js": "export const createWasmLib = 1;\n",
    **{
        f"core/wasm/litert_wasm_{kind}internal.{ending}": f"{kind}{ending}"
        for kind in ("", "compat_", "threaded_", "jspi_")
        for ending in ("js", "wasm")
    },
}


def write_package(folder: Path, version: str = VERSION) -> Path:
    """Writes a stand-in into `folder/node_modules` and gives its folder."""
    root = folder / "node_modules" / "@litertjs"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    described = {"name": PACKAGE, "version": version}
    (root / "core" / "package.json").write_text(json.dumps(described))
    return root / "core"


def installed_package(folder: Path) -> Path:
    """The real package: of the folder that SPADE_TF_LITERT_JS names, else installed by npm.

    Skips the test where neither is there.
    """
    if named := os.environ.get("SPADE_TF_LITERT_JS"):
        return Path(named)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm: apt-get install npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    command += ["--prefix", str(folder), f"{PACKAGE}@{VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm install {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return folder
