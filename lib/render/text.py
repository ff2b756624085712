"""Markdown -> HTML: raw HTML escaped, formulas as MathML, links only to places that a reader may follow."""

import re
from functools import cache
from html import escape

import markupsafe
import mistune
from mistune.plugins.math import math
from mistune.plugins.table import table

from lib.render.maths import mathml

CJK = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
CJK_BREAK = re.compile(f"(?<={CJK})\n(?={CJK})")


class _Renderer(mistune.HTMLRenderer):
    def __init__(self) -> None:
        super().__init__(escape=True)

    def inline_math(self, text: str) -> str:
        """Render $...$."""
        return mathml(text, block=False)

    def block_math(self, text: str) -> str:
        """Render $$...$$."""
        return f'<div class="formula" tabindex="0">{mathml(text.strip(), block=True)}</div>\n'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Refuse images in prose: a page holds only figures of its run."""
        raise ValueError(f"Prose shows the image {url}: only figures of the run belong on a page.")


@cache
def _parser() -> mistune.Markdown:
    markdown = mistune.Markdown(_Renderer(), inline=mistune.InlineParser(hard_wrap=False))
    for plugin in (math, table):
        plugin(markdown)
    return markdown


def html(markdown: str) -> str:
    """Convert a block of markdown; a line break between Chinese characters is no space."""
    return CJK_BREAK.sub("", str(_parser()(_tight_math(markdown))))


def inline(markdown: str) -> str:
    """Convert one paragraph without its <p>."""
    text = html(markdown).strip()
    return text.removeprefix("<p>").removesuffix("</p>") if text.count("<p>") == 1 else text


def _tight_math(markdown: str) -> str:
    """Put $$ on lines of its own, where the parser looks for block formulas."""
    return re.sub(r"^\$\$(.+?)\$\$\s*$", r"$$\n\1\n$$", markdown, flags=re.M)


def both(pair: dict[str, str] | str, tag: str = "span", *, markdown: bool = True) -> str:
    """Write a text in both languages, each with its `lang`; a plain string is the same in both and never markdown.

    Markup stays as it is, everything else is escaped.
    """
    convert = inline if markdown else escape
    if isinstance(pair, str):
        return str(markupsafe.escape(pair))
    if pair["zh"] == pair["en"]:
        return convert(pair["en"])
    return f'<{tag} lang="zh-CN">{convert(pair["zh"])}</{tag}><{tag} lang="en">{convert(pair["en"])}</{tag}>'
