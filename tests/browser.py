"""Chromium for the tests of pages."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT = 30_000  # milliseconds; the machine may be busy


@pytest.fixture(scope="module")
def chromium():
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and os.environ.get("CI"):
        pytest.fail("CI has no Chromium: tests/chromium.sh installs it")
    if path is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed, and only root on Debian may install it")
    with sync_playwright() as driver:
        expect.set_options(timeout=WAIT)
        browser = driver.chromium.launch(executable_path=path)
        yield browser
        browser.close()
