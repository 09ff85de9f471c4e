"""The README's pictures: the index and the decision lab of the newest run, as a browser shows them.

    uv run run_all.py && uv run --group dev python docs/pictures.py

writes ``docs/index.png`` and ``docs/decision_lab.png``. It needs Chromium or Chrome on the path.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SIZE = {"width": 1200, "height": 900}
LIMIT = 150_000  # bytes: a README should load at once


def newest(name: str) -> Path:
    """A page of the newest run that has it."""
    found = sorted(ROOT.glob(f"experiments/runs/*/{name}"))
    if not found:
        sys.exit(f"no run has kept {name}: run the chain first, `uv run run_all.py`")
    return found[-1]


def small(picture: bytes) -> bytes:
    """The same picture in as many colours as fit the limit; a page of text needs few."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32):
        packed = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(packed, "png", optimize=True)
        if packed.tell() < LIMIT:
            return packed.getvalue()
    sys.exit(f"a picture of {packed.tell()} bytes in {colours} colours is too large")


def main() -> None:
    pages = {
        "index.png": ROOT / "experiments" / "index.html",
        "decision_lab.png": newest("decision_lab.html"),
    }
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, file in pages.items():
            page = browser.new_page(viewport=SIZE, color_scheme="light")
            page.goto(file.as_uri())
            bottom = page.evaluate("document.querySelector('main').getBoundingClientRect().bottom")
            area = {
                "x": 0,
                "y": 0,
                "width": SIZE["width"],
                "height": min(SIZE["height"], bottom + 24),
            }
            picture = small(page.screenshot(clip=area))
            (ROOT / "docs" / name).write_bytes(picture)
            print(f"docs/{name}: {len(picture) / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
