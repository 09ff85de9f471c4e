"""Chromium without a window, in which pages are opened as a reader would open them."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import install_on_build_machine
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: Chromium makes a window for each page, and a page of its own for what its address bar may show,
#: which takes as long as a page of the tests. The others are some that Playwright turns off, whose
#: list this one takes the place of.
FEATURES_OFF = [
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"),
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"),
    *("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "OptimizationHints"),
    *("NetworkTimeServiceQuerying", "PaintHolding", "ThirdPartyStoragePartitioning"),
]


def chromium() -> str | None:
    """A browser that can be driven; a build machine may install Debian's.

    The one that has no windows at all starts and opens a page in half the processor time.
    """
    names = ("chromium-headless-shell", "chromium", "google-chrome")
    if not any(map(shutil.which, names)):
        install_on_build_machine(names[0])
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine")
    expect.set_options(timeout=60_000)  # a machine with much else to do takes its time
    with sync_playwright() as playwright:
        options = ["--no-sandbox", f"--disable-features={','.join(FEATURES_OFF)}"]
        yield playwright.chromium.launch(executable_path=program, args=options)


@contextmanager
def visit(browser: Browser, file: Path, width: int = 1280, **context) -> Iterator[Page]:
    """A page from disk; at the end it has asked for nothing but itself and complained of nothing.

    What it may load is what its reader follows links to: other pages from disk.
    """
    wrong: list[str] = []
    with browser.new_context(viewport={"width": width, "height": 900}, **context) as tab:
        page = tab.new_page()
        page.on(
            "console", lambda said: said.type in ("error", "warning") and wrong.append(said.text)
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda asked: (
                asked.url.startswith(("file:", "data:"))
                and asked.resource_type in ("document", "image")
                or wrong.append(asked.url)
            ),
        )
        page.goto(file.as_uri())
        yield page
    assert not wrong


def wait_until(page: Page, condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what no `expect` can express, a position or a scroll offset.

    Playwright's `wait_for_function` evaluates its text inside the page on every animation frame,
    which the reports' own content security policy refuses; here each look is a call of its own.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        page.wait_for_timeout(50)


def barriers(page: Page) -> list[str]:
    """What keeps people with a disability from the page: axe's serious and critical findings."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
