"""Chromium, as tests start it."""

import contextlib
import shutil

import pytest

# WebGPU on a processor, of machines without a graphics processor.
SOFTWARE_WEBGPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-unsafe-swiftshader",
)


@contextlib.contextmanager
def chromium():
    """The browser, which Playwright drives; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with playwright.sync_playwright() as browsers:
        browser = _launched(browsers.chromium)
        yield browser
        browser.close()


@contextlib.contextmanager
def another(browser, *flags):
    """One more process of the browser, with flags."""
    other = _launched(browser.browser_type, *flags)
    yield other
    other.close()


def _launched(kind, *flags):
    return kind.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", *flags])
