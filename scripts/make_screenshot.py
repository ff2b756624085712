"""Write docs/images/page.png, the README's picture of a published page: `python scripts/make_screenshot.py` (extra `browser`, Chromium)."""

import shutil
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

from lib import paths

PAGE = paths.REPORTS / "quick" / "opamp_transfer.html"
TARGET = paths.ROOT / "docs" / "images" / "page.png"
SIZE = {"width": 1100, "height": 1120}


def main(chromium: str | None) -> None:
    """Open the page in English with the network off and keep its first screen."""
    if chromium is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True, viewport=SIZE).new_page()
        page.goto(PAGE.as_uri())
        page.check("#lang-en", force=True)
        page.screenshot(path=TARGET)
        browser.close()
    Image.open(TARGET).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(TARGET, optimize=True)


if __name__ == "__main__":
    sys.exit(main(shutil.which("chromium") or shutil.which("chromium-browser")))
