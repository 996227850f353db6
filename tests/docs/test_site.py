"""The site of the documentation: no warning, every page and name, and no need of a network."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="the site is made by pip install -e '.[docs]'")

ROOT = Path(__file__).parents[2]
PARTS = ("layers", "networks", "losses", "metrics", "training", "export", "convert", "serving")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q"]
    command += ["-d", folder / "doctrees", ROOT / "docs", folder / "html"]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_is_on_the_site_and_in_its_contents(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    pages = {path.stem for path in (*ROOT.glob("docs/*.md"), *ROOT.glob("docs/*.ipynb"))}
    assert {"TUTORIAL", "library_tour", "SERVING"} <= pages
    for page in pages - {"index"}:
        assert f'href="{page}.html"' in front, page
        assert (site / f"{page}.html").is_file()


@pytest.mark.parametrize("part", PARTS)
def test_every_public_name_is_described(site, part):
    text = (site / "reference" / f"{part}.html").read_text(encoding="utf-8")
    for name in importlib.import_module(f"spade_tf.{part}").__all__:
        assert f'id="spade_tf.{part}.{name}"' in text, name


def test_the_names_of_the_front_package_lead_to_their_descriptions(site):
    text = (site / "reference" / "index.html").read_text(encoding="utf-8")
    for name in importlib.import_module("spade_tf").__all__:
        described = f'id="spade_tf.{name}"' in text
        (target,) = re.findall(rf'href="(\w+\.html)#spade_tf\.\w+\.{name}"', text)[:1] or [None]
        assert described or (site / "reference" / target).is_file(), name


def test_sections_and_formulas_are_drawn(site):
    layer = (site / "reference" / "layers.html").read_text(encoding="utf-8")
    assert "Call arguments" in layer
    # Not (*args, **kwargs), which Keras gives to all layers.
    shown = re.sub(r"<[^>]*>", "", layer)
    assert re.search(r"SPADE\(\s*semantic_channels: int", shown)
    assert not re.search(r"<p>Reference: ", layer)
    assert "<math" in (site / "EVALUATION.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|source|iframe)\b[^>]*\ssrc=\"([^\"]*)\"", text)
        loaded += re.findall(r"<link\b[^>]*\shref=\"([^\"]*)\"", text)
        assert loaded
        for address in loaded:
            assert "//" not in address, f"{page.name}: {address}"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", text), style.name
