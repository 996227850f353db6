"""LiteRT.js, which runs LiteRT models in browsers: its files, from an npm package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.setup.output import user_cache_dir
from spade_tf.export.errors import ExportError

PACKAGE, VERSION = "@litertjs/core", "2.5.3"
_HELPER = "@litertjs/wasm-utils"
_INSTALL = f"npm install {PACKAGE}@{VERSION}"
# For browsers with and without relaxed SIMD; and with threads, where the web server allows them.
_BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal", "litert_wasm_threaded_internal")
_CHANGED = (
    f"// {PACKAGE} {VERSION}, Copyright Google LLC, Apache License 2.0. Changed by the export of\n"
    "// spade-tf: it imports wasm_utils.js by its place. Workers know no names of packages.\n"
)
_SECONDS = 600


def find_litert_js(folder: str | os.PathLike[str] | None) -> Path:
    """The folder of the npm package, with all files that an export takes of it.

    Args:
        folder: the package, or the `node_modules` that it is in, or the folder of that; None for
            the package that npm installs into the user's cache.

    Raises:
        ExportError: if it is not there, or of another version; or if there is no npm.
    """
    core = _find(Path(folder)) if folder is not None else _installed()
    given = f"--litert_js={folder}" if folder is not None else f"--format=web: {core}"
    version = json.loads((core / "package.json").read_text()).get("version")
    if version != VERSION:
        raise ExportError(
            f"{given}: {PACKAGE} {version}, and the painter runs with {VERSION}; "
            f"{_INSTALL} installs it"
        )
    for path in (*_sources(core).values(), *_wasm(core)):
        if not path.is_file():
            remedy = f"{_INSTALL} installs it" if folder is not None else "remove that folder"
            raise ExportError(f"{given}: {path} is missing; {remedy}")
    return core


def write_litert_js(core: Path, folder: Path) -> None:
    """Copies what a page needs of the package, with its bare imports made relative.

    Args:
        core: see `find_litert_js`.
        folder: to write; its parent exists.
    """
    folder.mkdir()
    for path in _wasm(core):
        (folder / path.name).write_bytes(path.read_bytes())
    for name, path in _sources(core).items():
        text = path.read_text()
        # Maps of the sources are left out.
        text = "\n".join(line for line in text.splitlines() if "sourceMappingURL" not in line)
        relative = text.replace(f'"{_HELPER}"', '"./wasm_utils.js"')
        (folder / name).write_text((_CHANGED if relative != text else "") + relative + "\n")


def _sources(core: Path) -> dict[str, Path]:
    helper = next(
        (
            path
            for path in (core / "node_modules" / _HELPER, core.parent / _HELPER.split("/")[1])
            if path.is_dir()
        ),
        core.parent / _HELPER.split("/")[1],
    )
    return {
        "index.js": core / "dist" / "index.js",
        "wasm_utils.js": helper / "dist" / "index.js",
    }


def _wasm(core: Path) -> Iterator[Path]:
    for build in _BUILDS:
        for kind in ("js", "wasm"):
            yield core / "wasm" / f"{build}.{kind}"


def _find(folder: Path) -> Path:
    for core in (folder, folder / PACKAGE, folder / "node_modules" / PACKAGE):
        try:
            if json.loads((core / "package.json").read_text())["name"] == PACKAGE:
                return core
        except (OSError, ValueError, LookupError, TypeError):
            continue
    raise ExportError(
        f"--litert_js={folder}: the npm package {PACKAGE} is not there; give the folder "
        f"node_modules/{PACKAGE} that {_INSTALL} makes"
    )


def _installed() -> Path:
    """The package in the user's cache; npm puts it there once."""
    root = user_cache_dir() / f"litert_js-{VERSION}"
    core = root / "node_modules" / PACKAGE
    if (core / "package.json").is_file():
        return core
    remedy = f"run `{_INSTALL}` where that works, and give --litert_js=node_modules/{PACKAGE}"
    npm = shutil.which("npm")
    if npm is None:
        raise ExportError(
            f"--format=web: the page needs the npm package {PACKAGE}, and npm is not installed "
            f"here; {remedy}"
        )
    print(f"{_INSTALL}, into {root}, for this export and later ones", file=sys.stderr)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent) as scratch:
            command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"]
            package = Path(scratch) / "package"
            package.mkdir()
            command += ["--prefix", str(package), f"{PACKAGE}@{VERSION}"]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
            if done.returncode == 0:
                # Another export may have been faster.
                if not root.exists():
                    os.replace(package, root)
                return core
            said = next(iter(done.stderr.strip().splitlines()), f"it ended with {done.returncode}")
    except subprocess.TimeoutExpired:
        said = f"it took more than {_SECONDS} s"
    except OSError as error:
        said = f"{error.strerror}: {error.filename}"
    raise ExportError(f"--format=web: npm cannot install {PACKAGE} here ({said}); {remedy}")
