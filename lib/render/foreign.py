"""What a cell shows beside the report's own items: tables of pandas, drawings, images and text, made harmless.

Taken away without a word is only what shows nothing (comments, handlers, classes, style sheets); where something that would be
seen cannot be kept, a ValueError says what it is, and the page is not made.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any

import bleach
from bleach.css_sanitizer import CSSSanitizer

from lib.render.svg import PICTURE, clean_svg
from lib.render.text import html

TERMINAL = re.compile(  # colours, cursor moves and titles of a terminal, and characters that no page may hold
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n|$)", re.M)  # a line that a terminal has drawn over, as progress bars do
PLACEHOLDER = re.compile(r"<[\w.]+(\.| )?\w* object( at 0x[0-9a-f]+)?>\Z")
_TAGS = (
    "a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre "
    "q s samp small span strong sub summary sup table tbody td tfoot th thead tr tt u ul var"
)
TAGS = frozenset(_TAGS.split())
BESIDE = frozenset(("html", "head", "body", "center", "font", "article", "section", "main", "header", "footer", "nav", "label",
                    "figure", "figcaption", "style", "nobr", "wbr", "cite", "dfn", "time", "data", "big", "strike"))  # fmt: skip
STYLE = CSSSanitizer(
    allowed_css_properties=[
        "text-align",
        "font-weight",
        "font-style",
        "text-decoration",
        "color",
        "background-color",
        "white-space",
    ]
)
SHEET = re.compile(r"<style\b.*?</style\s*>", re.I | re.S)


def plain(text: str) -> str:
    """Return text as a terminal would leave it: no colours, and of a line drawn over only what came last."""
    return TERMINAL.sub("", OVERWRITTEN.sub("", text))


def shown(data: Mapping[str, Any]) -> str:
    """Render a bundle of one output by the richest kind that a page can show.

    Raises ValueError, a noun for a sentence, where none can: something that runs, a widget, a kind unknown here.
    """
    problem = ""
    for kind, show in KINDS.items():
        if kind in data:
            try:
                return show(data[kind])
            except ValueError as error:
                problem = problem or str(error)
    others = {kind for kind in data if not kind.startswith("text/")}
    text = data.get("text/plain", "")
    if "text/plain" in data and not others and not (problem and PLACEHOLDER.match(text.strip())):
        return f"<pre>{escape(plain(text))}</pre>"
    if not data:
        return ""  # a cleared output
    raise ValueError(problem or f"an output of the kind {', '.join(sorted(others - set(KINDS)))}")


def clean_html(source: str) -> str:
    """Return HTML with harmless tags, attributes and styles alone; ValueError where what runs or is fetched would be lost."""
    seen = _Seen()
    seen.feed(source)
    seen.close()
    if seen.problem:
        raise ValueError(f"HTML with {seen.problem}")
    kept = bleach.clean(
        SHEET.sub("", source), tags=TAGS, attributes=_allowed, css_sanitizer=STYLE, strip=True, strip_comments=True,
        protocols=["http", "https", "mailto", "data"],
    )  # fmt: skip
    return f'<div class=scroll tabindex=0 role=region aria-label="output / 输出">{kept}</div>'


def _allowed(tag: str, name: str, value: str) -> bool:
    """Tell whether an attribute stays; no id and no class, which would let a table pass for a verdict or an anchor of the page."""
    if tag == "img" and name == "src":
        return bool(PICTURE.match(value))
    if tag == "a" and name == "href":
        return bool(re.match(r"(https?:|mailto:)", value, re.I))
    return name in ("colspan", "rowspan", "scope", "span", "style", "title", "alt", "start", "open", "width", "height")


class _Seen(HTMLParser):
    """Notes the first thing that would show or do something and cannot be kept."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problem = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = dict(attrs).get("src") or ""
        if tag not in TAGS | BESIDE or (tag == "img" and not PICTURE.match(source)):
            self.problem = self.problem or (f"<img> from {source[:60] or 'nowhere'}" if tag == "img" else f"<{tag}>")


def _image(kind: str) -> Callable[[str], str]:
    return lambda data: f'<figure><img alt="" src="data:{kind};base64,{escape(data.strip())}"></figure>'


def _svg(source: str) -> str:
    return _image("image/svg+xml")(base64.b64encode(clean_svg(source).encode("utf8")).decode("ascii"))


def _json(value: Any) -> str:
    return f"<pre>{escape(plain(json.dumps(value, ensure_ascii=False, indent=1)))}</pre>"


KINDS: dict[str, Callable[[Any], str]] = {
    "text/html": clean_html, "image/svg+xml": _svg, **{kind: _image(kind) for kind in ("image/png", "image/jpeg", "image/gif", "image/webp")},
    "text/markdown": lambda text: f"<div class=prose>{html(text)}</div>", "text/latex": lambda text: f"<div class=prose>{html(text)}</div>",
    "application/json": _json,
}  # fmt: skip
