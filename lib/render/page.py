"""An executed notebook -> one self-contained bilingual HTML page."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from markupsafe import Markup
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from lib.files import write_text
from lib.progress import PROGRESS
from lib.render.foreign import plain, shown
from lib.render.guard import check_offline, policy, sealed
from lib.render.items import badge, coloured, interval, item, made_by
from lib.render.text import both, html
from lib.report.claims import Criterion
from lib.report.display import CAPTION, MIME
from lib.report.text import number, term

FOLDER = Path(__file__).parent
LANGS = {"lang-zh": "zh-CN", "lang-en": "en"}


@dataclass
class Page:
    """What a notebook adds up to: the body, its contents, and the results that head it."""

    body: list[str] = field(default_factory=list)
    contents: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, Any] | None = None
    error: str = ""
    log: list[tuple[str, str]] = field(default_factory=list)  # cell, and what it wrote to stderr or told of its progress


def render(notebook: Path, target: Path) -> None:
    """Write the page of an executed notebook; one that failed or never ran to its end is a ValueError, `target` is kept."""
    page = read(notebook)
    if page.error:
        raise ValueError(f"{notebook} failed ({page.error.splitlines()[-1]}): its page is not published.")
    if page.results is None:
        raise ValueError(f"{notebook} has no results: it was not executed to its last cell (report.finish).")
    write_page(target, "page.html.j2", page=page, results=page.results, lang=page.results["params"]["lang"])


def render_failed(notebook: Path | None, target: Path, failure: dict[str, Any]) -> None:
    """Write a page with the failure, its traceback and what had been shown until then."""
    try:
        page = read(notebook) if notebook is not None else Page()
    except ValueError:  # nothing was shown, or it is what the failure is about
        page = Page()
    write_page(target, "failed.html.j2", page=page, failure=failure, lang="zh")


def write_page(target: Path, template: str, **values: Any) -> None:
    """Fill a template, refuse anything remote in it, and write it atomically."""
    text = (
        environment().get_template(template).render(css=css(), font=font(), script=script(), policy=policy(script()), **values)
    )
    check_offline(text, str(target), script())
    write_text(target, sealed(text))


def read(notebook: Path) -> Page:
    """Convert every cell but those tagged `explore`; static prose by its language tag, outputs by their kind."""
    if not notebook.is_file():
        raise ValueError(f"Notebook {notebook} does not exist.")
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError, KeyError, TypeError):
        raise ValueError(f"{notebook} is not a notebook.") from None
    page = Page()
    for place, cell in enumerate(cells, 1):
        if "explore" in cell.metadata.get("tags", []):
            continue  # a viewer for JupyterLab
        name = f"{place} ({(cell.source.strip().splitlines() or ['empty'])[0][:80]})"
        with naming_cell(notebook, name):
            if cell.cell_type == "markdown":
                _prose(page, cell)
            elif cell.cell_type == "code":
                _code(page, cell, name)
            else:
                page.body.append(f"<pre>{escape(cell.source)}</pre>")
    _log(page)
    return page


@contextmanager
def naming_cell(notebook: Path, name: str) -> Iterator[None]:
    """Let what is wrong with a cell name it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{notebook}, cell {name}: {error}") from None


def _prose(page: Page, cell: NotebookNode) -> None:
    if cell.source.startswith("# ") and "\n" not in cell.source.strip():
        return  # the notebook's title: the page has its header card
    lang = next((LANGS[t] for t in cell.metadata.get("tags", []) if t in LANGS), None)
    anchor = ""
    heading = re.match(r"(##|###) (.+)", cell.source)
    if heading and lang == "en" and page.contents and "en" not in page.contents[-1]:
        page.contents[-1] |= {"en": heading[2]}
    elif heading and lang == "zh-CN":
        page.contents.append({"zh": heading[2], "id": f"section-{len(page.contents) + 1}", "level": len(heading[1])})
        anchor = f'<a id="{page.contents[-1]["id"]}"></a>'
    attribute = f' lang="{lang}"' if lang else ""
    page.body.append(f"{anchor}<div class=prose{attribute}>{html(cell.source)}</div>")


def _code(page: Page, cell: NotebookNode, name: str) -> None:
    if cell.source.strip() and "hide" not in cell.metadata.get("tags", []):
        summary = f"<summary>{both({'zh': '代码', 'en': 'code'})}</summary>"
        page.body.append(f"<details class=code>{summary}<pre>{coloured(cell.source)}</pre></details>")
    judged: list[str] = []  # verdicts that this cell has shown
    for output in cell.outputs:
        if output.output_type == "error":
            page.error = plain("\n".join(output.traceback))
        elif output.output_type == "stream" and output.name == "stdout":
            page.body.append(f"<pre>{escape(plain(output.text))}</pre>")
        elif output.output_type == "stream":
            page.log.append((name, plain(output.text)))
        elif PROGRESS in output.get("metadata", {}):
            page.log.append((name, plain(output.data["text/plain"])))
        elif CAPTION in output.get("metadata", {}):
            continue  # the figure above has it
        elif MIME in output.data:
            _item(page, output.data, judged)
        elif output.data.get("text/plain") not in judged:  # a claim returns its verdict, which its item shows
            _foreign(page, output.data)


def _foreign(page: Page, data: dict[str, Any]) -> None:
    try:
        fragment = shown(data)
    except ValueError as error:
        raise ValueError(
            f"it shows {error}, which a page cannot hold; show a table, a figure or text, or tag the cell 'explore' to leave it out."
        ) from None
    check_offline(fragment, "its output")
    page.body.append(fragment)


def _item(page: Page, data: dict[str, Any], judged: list[str]) -> None:
    payload = json.loads(data[MIME])
    if payload["kind"] == "summary":
        page.results = payload["results"]
        return
    if payload["kind"] == "claim":
        judged.append(repr(payload["claim"]["verdict"]))
    page.body.append(item(payload, data.get("image/png", "")))


def _log(page: Page) -> None:
    """End the page with what its cells wrote to stderr and told of their progress, folded, each with its cell."""
    if not page.log:
        return
    lines = sum(len(text.splitlines()) for _, text in page.log)
    head = both(
        {"zh": f"运行日志（标准错误输出与进度，{lines} 行）", "en": f"log (standard error and progress, {lines} lines)"}
    )
    body, last = [], ""
    for cell, text in page.log:
        if cell != last:
            body.append(f"<p>{both({'zh': '单元', 'en': 'cell'})} <code>{escape(cell)}</code></p>")
        body.append(f"<pre>{escape(text.rstrip())}</pre>")
        last = cell
    page.body.append(f"<details class=log><summary>{head}</summary>{''.join(body)}</details>")


@cache
def environment() -> jinja2.Environment:
    """The templates; every value is escaped unless a filter of ours made it HTML."""
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"both": lambda v: Markup(both(v)), "prose": lambda v: Markup(both(v, "div")), "term": term}
    made.globals |= {
        "badge": lambda c: Markup(badge(c)), "made_by": lambda item: Markup(made_by(item)), "interval": interval, "number": number, "said": _said,
        "criterion": lambda c: Criterion(**c["criterion"]).text(), "json_for_html": json_for_html,
    }  # fmt: skip
    return made


def _said(item: dict[str, Any]) -> str | dict[str, str]:
    """Write what the document reports of a claim or fact, and where."""
    if item["reported"] is None:
        return "—"
    source = {"document": ("原文", "document"), "public": ("公开记录", "public logs")}[item["reported_source"]]
    return {"zh": f"{number(item['reported'])}（{source[0]}）", "en": f"{number(item['reported'])} ({source[1]})"}


@cache
def css() -> str:
    """The style sheet, with the colours of code for light and dark."""
    light, dark = (HtmlFormatter(style=s).get_style_defs(".code") for s in ("friendly", "github-dark"))
    return f"{(FOLDER / 'page.css').read_text(encoding='utf8')}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


@cache
def script() -> str:
    """What a page does beyond reading: copy, zoom, sort, mark the current section."""
    return (FOLDER / "page.js").read_text(encoding="utf8")


@cache
def font() -> str:
    """The maths font as base64."""
    return base64.b64encode((FOLDER / "math.woff2").read_bytes()).decode("ascii")


def json_for_html(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return Markup(text)
