"""A real browser, in which nothing may be complained of and which may fetch nothing."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    Opener = Callable[..., Page]

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    if not CHROMIUM:
        pytest.skip("needs Chromium: the package chromium of Debian")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has none
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser) -> Iterator[Opener]:
    """Open a report: `show(file, **options)`, whose options are those of a browser's context.

    When the test ends, the browser must have complained of nothing, shown no dialog, and fetched only the file.
    """
    noted: list[str] = []
    with ExitStack() as stack:

        def show(file: Path, **options: Any) -> Page:  # noqa: ANN401  # as playwright has them
            context = stack.enter_context(browser.new_context(**options))
            page = context.new_page()
            page.on("console", lambda message: noted.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: noted.append(f"error: {error}"))
            page.on("dialog", lambda dialog: noted.append(f"dialog: {dialog.message}"))
            page.on("popup", lambda popup: noted.append(f"popup: {popup.url}"))
            address = file.resolve().as_uri()
            page.on("request", lambda r: noted.append(f"request: {r.url}") if r.url.split("#")[0] != address else None)
            page.goto(address)
            return page

        yield show
    assert noted == []
