"""Where an export for the web takes LiteRT.js from."""

import json
import stat

import pytest
from litert_js_package import FILES, write_package

from experiments.commands.export import litert_js
from experiments.commands.export.litert_js import VERSION, find_litert_js, write_litert_js
from spade_tf.export.errors import ExportError


def test_the_package_is_found_by_each_of_its_folders(tmp_path):
    core = write_package(tmp_path)
    for folder in (tmp_path, tmp_path / "node_modules", core):
        assert find_litert_js(folder) == core
    write_litert_js(core, tmp_path / "litert")
    written = {path.name: path.read_text() for path in (tmp_path / "litert").iterdir()}
    builds = ("internal", "compat_internal", "threaded_internal")
    wasm = {f"litert_wasm_{build}.{kind}" for build in builds for kind in ("js", "wasm")}
    assert set(written) == {"index.js", "wasm_utils.js", *wasm}
    # Its licence asks for a notice of changes.
    assert "Changed by the export of" in written["index.js"]
    assert 'from "./wasm_utils.js"' in written["index.js"]
    assert "@litertjs/wasm-utils" not in written["index.js"]
    assert "sourceMappingURL" not in written["index.js"]
    assert written["wasm_utils.js"] == FILES["wasm-utils/dist/index.js"]


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    def refused(folder):
        with pytest.raises(ExportError) as caught:
            find_litert_js(folder)
        assert f"npm install @litertjs/core@{VERSION}" in str(caught.value)
        assert f"--litert_js={folder}: " in str(caught.value)
        return str(caught.value)

    assert "is not there; give the folder" in refused(tmp_path)
    core = write_package(tmp_path, version="3.0.0")
    assert "@litertjs/core 3.0.0, and the painter runs with" in refused(core)
    core = write_package(tmp_path)
    (core / "wasm" / "litert_wasm_compat_internal.wasm").unlink()
    assert "litert_wasm_compat_internal.wasm is missing" in refused(core)
    for text in ("{", "[]", json.dumps({"name": "lodash"})):
        (core / "package.json").write_text(text)
        assert "is not there" in refused(tmp_path)


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A program in the place of npm, which notes what it is asked for."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "npm"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(script):
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return write


def test_npm_installs_it_once(npm, tmp_path, capsys):
    write_package(tmp_path / "made")
    # The folder follows --prefix.
    npm(
        'while [ "$1" != --prefix ]; do shift; done\n'
        f'cp -r {tmp_path}/made/node_modules "$2/node_modules"'
    )
    first = find_litert_js(None)
    assert "for this export and later ones" in capsys.readouterr().err
    assert find_litert_js(None) == first
    assert first.is_relative_to(tmp_path / "cache" / "spade-tf")
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked.startswith("install --ignore-scripts ")
    assert asked.endswith(f"@litertjs/core@{VERSION}")
    assert len(list((tmp_path / "cache" / "spade-tf").iterdir())) == 1
    (first / "dist" / "index.js").unlink()
    with pytest.raises(ExportError, match=r"--format=web: .*index\.js is missing; remove that"):
        find_litert_js(None)


def test_without_npm_the_one_command_is_said(npm, tmp_path, monkeypatch):
    remedy = rf"run `npm install @litertjs/core@{VERSION}` where that works, and give --litert_js"
    npm("echo npm error code ENOTFOUND >&2; exit 1")
    with pytest.raises(ExportError, match=rf"\(npm error code ENOTFOUND\); {remedy}"):
        find_litert_js(None)
    npm("exit 3")
    with pytest.raises(ExportError, match=r"\(it ended with 3\)"):
        find_litert_js(None)
    npm("sleep 5")
    monkeypatch.setattr(litert_js, "_SECONDS", 0.1)
    with pytest.raises(ExportError, match=r"\(it took more than 0.1 s\)"):
        find_litert_js(None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=f"npm is not installed here; {remedy}"):
        find_litert_js(None)
    assert list((tmp_path / "cache" / "spade-tf").iterdir()) == []
