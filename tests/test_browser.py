"""Published pages in a real browser with the network off: both languages, print, phone width."""

import shutil
from pathlib import Path

import pytest

from lib import paths

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGES = sorted(p for p in paths.REPORTS.glob("*/*.html"))
SHOTS = paths.BUILD / "screenshots"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.skipif(not PAGES, reason="no pages under reports/: run `make reports` first"),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(params=PAGES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def page(request, browser):
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    made = context.new_page()
    made.problems, made.requests = [], []
    made.on("console", lambda m: made.problems.append(m.text) if m.type == "error" else None)
    made.on("pageerror", lambda e: made.problems.append(str(e)))
    made.on("request", lambda r: made.requests.append(r.url) if not r.url.startswith(("data:", "file:")) else None)
    made.goto(request.param.as_uri())
    made.file = request.param
    yield made
    context.close()


def shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{page.file.parent.name}-{page.file.stem}-{name}.png", full_page=True)


def visible(page, lang):
    return page.evaluate(
        "l => [...document.querySelectorAll(`main [lang='${l}']`)].filter(e => e.offsetParent !== null).length", lang
    )


def test_a_page_opens_without_errors_or_requests_and_switches_language(page):
    for chosen, shown, hidden in (("zh", "zh-CN", "en"), ("en", "en", "zh-CN")):
        page.check(f"#lang-{chosen}", force=True)
        assert visible(page, shown) > 0
        assert visible(page, hidden) == 0
        shoot(page, chosen)
    assert page.problems == []
    assert page.requests == []


def test_a_page_prints_only_the_chosen_language(page):
    page.check("#lang-en", force=True)
    page.emulate_media(media="print")
    assert visible(page, "en") > 0
    assert visible(page, "zh-CN") == 0
    assert not page.is_visible("nav.switch")


def test_a_page_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    for chosen in ("zh", "en"):
        page.check(f"#lang-{chosen}", force=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, "phone")


def test_a_page_can_be_read_in_the_dark_and_its_figures_have_texts(page):
    page.emulate_media(color_scheme="dark")
    shoot(page, "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    if page.file.stem in paths.STUDIES:
        assert page.evaluate("[...document.querySelectorAll('main figure img')].every(i => i.alt.length > 10)")


def test_formulas_are_drawn_with_the_embedded_font(page):
    if page.locator("math").count() == 0:
        pytest.skip("no formula on this page")
    assert page.evaluate("document.fonts.load('16px \"Report Math\"').then(f => f.length)") == 1
    widths = page.evaluate(
        "[...document.querySelectorAll('math')].filter(m => m.getClientRects().length).map(m => m.getBoundingClientRect().width)"
    )
    assert widths
    assert min(widths) > 0
    assert Path(page.file).stat().st_size <= 3_000_000
