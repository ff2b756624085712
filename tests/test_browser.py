"""Published pages in a real browser with the network off: both languages, print, phone width, keyboard, WCAG AA."""

import shutil
from pathlib import Path

import pytest

from lib import paths

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra `browser` is not installed")
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_meets_wcag_aa(page, scheme):
    page.emulate_media(color_scheme=scheme)
    for chosen in ("zh", "en"):
        page.check(f"#lang-{chosen}", force=True)
        found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found.response["violations"]] == []


def test_the_keyboard_skips_to_the_text_and_switches_the_language(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#lang-zh")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("#lang-en")
    assert visible(page, "zh-CN") == 0


def test_a_figure_opens_large_and_escape_closes_it(page):
    if page.locator(".zoomable").count() == 0:
        pytest.skip("no figure on this page")
    page.locator(".zoomable").first.focus()
    page.keyboard.press("Enter")
    assert page.is_visible("dialog.zoom img")
    shoot(page, "zoom")
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog.zoom")


def test_a_table_sorts_by_a_column_both_ways(page):
    page.check("#lang-en", force=True)
    table = page.locator("table.sortable").first
    column = "t => [...t.tBodies[0].rows].map(r => r.cells[1].innerText.trim())"
    table.locator("th").nth(1).locator("button").click()
    up = table.evaluate(column)
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "ascending"
    table.locator("th").nth(1).locator("button").click()
    down = table.evaluate(column)
    assert sorted(up) == sorted(down)
    assert len(set(up)) < 2 or up != down


def test_numbers_are_sorted_by_value(page):
    given = ["-0.5 [-0.9, -0.1]", "1.76×10⁶", "2.0×10⁻⁴", "10,000", "—", "0.31"]
    found = page.evaluate("xs => xs.sort(compare)", given)
    assert found == ["-0.5 [-0.9, -0.1]", "2.0×10⁻⁴", "0.31", "10,000", "1.76×10⁶", "—"]


def test_the_command_is_copied(page):
    if page.locator("code.command").count() == 0:
        pytest.skip("no command on this page")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.check("#lang-en", force=True)
    page.locator("button.copy").last.click()
    page.wait_for_selector("button.copy:has-text('copied')")
    assert page.evaluate("navigator.clipboard.readText()").startswith("papermill notebooks/")


def test_the_ledger_is_filtered_by_verdict(page):
    if page.locator("table.ledger").count() == 0:
        pytest.skip("no ledger on this page")
    page.click("label[for=v-supported]")
    shown = page.evaluate(
        "[...document.querySelectorAll('.ledger tbody tr')].filter(r => r.offsetParent).map(r => r.className)"
    )
    assert set(shown) <= {"supported"}


def test_the_contents_mark_the_section_in_view(page):
    links = page.locator(".contents a")
    if links.count() == 0:
        pytest.skip("no contents on this page")
    page.set_viewport_size({"width": 1500, "height": 900})
    target = links.nth(min(2, links.count() - 1))
    target.click()
    page.wait_for_function("document.querySelector('.contents a[aria-current]') !== null")
    assert page.locator(".contents a[aria-current]").get_attribute("href") == target.get_attribute("href")


def test_a_page_can_be_read_without_its_script(browser):
    context = browser.new_context(offline=True, java_script_enabled=False)
    made = context.new_page()
    made.goto(PAGES[0].as_uri())
    made.check("#lang-en", force=True)
    assert made.locator("main [lang=en]").first.is_visible()
    assert not made.locator("main [lang='zh-CN']").first.is_visible()
    context.close()


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
