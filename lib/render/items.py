"""One displayed item of a notebook -> HTML."""

import base64
import io
from collections.abc import Callable
from html import escape
from typing import Any

from markupsafe import Markup
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from lib.render.text import both
from lib.report.text import number, term

Payload = dict[str, Any]


def item(payload: Payload, image: str = "") -> str:
    """Render a payload by its kind; an unknown kind is a ValueError."""
    kinds: dict[str, Callable[[Payload], str]] = {
        "text": lambda p: f"<div class=prose>{both(p, 'div')}</div>",
        "table": table,
        "figure": lambda p: figure(p, image),
        "claim": lambda p: claim(p["claim"]),
        "code": code,
        "provenance": lambda p: provenance(p["results"]),
    }
    if payload["kind"] not in kinds:
        raise ValueError(f"A page cannot show items of the kind '{payload['kind']}'.")
    return kinds[payload["kind"]](payload)


def grid(columns: list[Any], rows: list[list[Any]], numeric: list[bool], *, sortable: bool = True) -> str:
    """Return a <table> inside a box that scrolls on narrow screens; cells are texts or language pairs."""
    kind = " class=sortable" if sortable and len(rows) > 2 else ""
    align = ["class=n" if n else "" for n in numeric]
    head = "".join(f"<th scope=col {a}>{both(c, markdown=False)}</th>" for c, a in zip(columns, align, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td {a}>{both(c, markdown=False)}</td>" for c, a in zip(row, align, strict=True)) + "</tr>"
        for row in rows
    )
    box = '<div class=scroll tabindex=0 role=region aria-label="table / 表">'
    return f"{box}<table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def table(payload: Payload) -> str:
    """Render a captioned table with the file and the function that it comes from."""
    origin = f" · <code>{escape(payload['origin'])}</code>" if payload["origin"] else ""
    return (
        f'<figure class=table id="{escape(payload["id"])}"><figcaption>{both(payload["caption"])}'
        f"<small><code>{escape(payload['file'])}</code>{origin}</small></figcaption>"
        f"{grid(payload['columns'], payload['rows'], payload['numeric'])}</figure>"
    )


def figure(payload: Payload, image: str) -> str:
    """Render a figure; one image for both languages, an alternative text in each."""
    alt = payload["alt"]
    text = escape(f"{alt['zh']} / {alt['en']}", quote=True)
    return (
        f'<figure id="{escape(payload["id"])}"><img alt="{text}" src="data:image/png;base64,{escape(shrunk(image))}">'
        f"<figcaption>{both(payload['caption'])}<small><code>{escape(payload['file'])}</code></small></figcaption></figure>"
    )


def shrunk(image: str) -> str:
    """Return a PNG (base64) in 256 colours, a third of the bytes; the file under figures/ keeps all of them."""
    if not image:
        return image
    buffer = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return min(base64.b64encode(buffer.getvalue()).decode("ascii"), image.strip(), key=len)


def code(payload: Payload) -> str:
    """Render lines of lib, folded, with the name that they stand under."""
    name = f"<code>{escape(payload['origin'])}</code>"
    return f"<details class=code><summary>{both(payload['caption'])} {name}</summary><pre>{coloured(payload['code'])}</pre></details>"


def coloured(text: str) -> str:
    """Return Python code as HTML with its syntax marked."""
    return highlight(text, PythonLexer(), HtmlFormatter(nowrap=True))


def claim(c: dict[str, Any]) -> str:
    """Render a verdict with its sentence."""
    return (
        f'<div class="claim {escape(c["verdict"])}" id="claim-{escape(c["id"])}"><p class=head><b>{escape(c["id"])}</b> {badge(c)}'
        f"<span>{both(c)}</span></p><div>{both(c['text'], 'p')}</div>{made_by(c)}</div>"
    )


def made_by(item: dict[str, Any]) -> str:
    """Name the function that computed a claim or a key number, where the run recorded it."""
    return f"<small class=source><code>{escape(item['source'])}</code></small>" if item.get("source") else ""


def badge(c: dict[str, Any]) -> str:
    """Return the verdict as a coloured word."""
    return f'<span class="verdict {escape(c["verdict"])}">{both(term(c["verdict"]), markdown=False)}</span>'


def interval(c: dict[str, Any]) -> str:
    """Write a claim's value and interval."""
    if c["value"] is None:
        return "—"
    bounds = "" if c["low"] is None else f" [{number(c['low'], 3)}, {number(c['high'], 3)}]"
    return number(c["value"]) + bounds


def provenance(results: dict[str, Any]) -> str:
    """Render what made these results and how to make them again."""
    p, d = results["provenance"], results["data"]
    packages = ", ".join(f"{k} {v}" for k, v in p["packages"].items())
    device = {
        k: f"{p['device']} · {p['threads']} {t} · {p.get('precision', '')}" for k, t in (("zh", "线程"), ("en", "threads"))
    }
    dirty = {"zh": "（有未提交的改动）", "en": " (with uncommitted changes)"} if p["dirty"] else ""
    rows = [
        [{"zh": "复现命令", "en": "command"}, Markup('<code class="command">{}</code>').format(p["command"])],
        [{"zh": "代码版本", "en": "commit"}, {k: p["commit"] + (dirty[k] if dirty else "") for k in ("zh", "en")}],
        [{"zh": "数据", "en": "data"}, f"{d['source']}: {d['name']}"],
        [{"zh": "数据指纹", "en": "data fingerprint"}, d["fingerprint"]],
        [{"zh": "设备", "en": "device"}, device],
        [
            {"zh": "用时（不含取自缓存的步骤）", "en": "wall time (without steps found in the run cache)"},
            f"{p['seconds']:.0f} s",
        ],
        [{"zh": "软件版本", "en": "packages"}, packages],
        *_computed_with(p),
    ]
    head = [{"zh": "项目", "en": "item"}, {"zh": "内容", "en": "content"}]
    return f'<figure class="table provenance" id="provenance">{grid(head, rows, [False, False], sortable=False)}</figure>'


def _computed_with(p: dict[str, Any]) -> list[list[Any]]:
    """Return a row that names the steps whose cached result was computed with other versions than the run's; none where none was."""
    named = {
        step: ", ".join(
            f"{name} {version}" for name, version in versions.items() if p["packages"].get(name, version) != version
        )
        for step, versions in p.get("computed_with", {}).items()
    }
    said = "; ".join(f"{step}: {other}" for step, other in named.items() if other)
    return (
        [[{"zh": "缓存步骤计算时的其他版本", "en": "other versions that cached steps were computed with"}, said]]
        if said
        else []
    )
