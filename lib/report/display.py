"""What a notebook shows: one output per item, both languages in it, and a markdown fallback for JupyterLab."""

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lib.report.text import Pair, number, term

MIME = "application/vnd.live-reports.v1"  # JSON as text
CAPTION = "live-reports-caption"  # marks the output that says under a figure in JupyterLab what a page says as its caption


def emit(kind: str, payload: Mapping[str, Any], fallback: str, **extra: Any) -> None:
    """Display one bilingual item; outside a notebook nothing is shown.

    JupyterLab shows one kind of an output, and markdown rather than an image: beside an image in `extra` the fallback is a second.
    """
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        return
    said = {"text/markdown": fallback}
    display({MIME: json.dumps({"kind": kind, **payload}, ensure_ascii=False), **(extra or said)}, raw=True)
    if extra:
        display(said, raw=True, metadata={CAPTION: True})


def table_payload(frame: pd.DataFrame, digits: int = 4) -> dict[str, Any]:
    """Return columns and cells for display: glossary terms in both languages, numbers written for people."""
    unknown = [c for c in frame.columns if term(c) is None]
    if unknown:
        raise ValueError(f"Table columns {unknown} are not in lib/report/glossary/*.yaml: add them in both languages.")
    typed = bool({"parameter", "setting"} & set(frame.columns))  # names and values as a user types them, never translated
    cells = [[_cell(v, digits, typed) for v in row] for row in frame.itertuples(index=False)]
    numeric = [bool(pd.api.types.is_numeric_dtype(frame[c])) for c in frame.columns]
    return {"columns": [term(c) for c in frame.columns], "numeric": numeric, "rows": cells}


def _cell(value: Any, digits: int, typed: bool) -> Pair | str:
    if isinstance(value, dict) and set(value) == {"zh", "en"}:
        return value
    return (None if typed else term(value)) or number(value.item() if hasattr(value, "item") else value, digits)


def table_markdown(payload: Mapping[str, Any]) -> str:
    """Write the table as markdown with both languages in each cell that differs."""
    both = lambda c: c if isinstance(c, str) else c["zh"] if c["zh"] == c["en"] else f"{c['zh']} / {c['en']}"  # noqa: E731
    lines = [[both(c).replace("|", "\\|") for c in row] for row in [payload["columns"], *payload["rows"]]]
    lines.insert(1, ["---"] * len(payload["columns"]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure_of(drawn: Any) -> Figure:
    """Return the figure of what a plot returned: Axes, array of Axes, Figure or seaborn grid."""
    while not hasattr(drawn, "savefig"):
        drawn = drawn.figure if hasattr(drawn, "figure") else drawn.flat[0]
    return getattr(drawn, "figure", drawn) if not hasattr(drawn, "axes") else drawn


def png(figure: Figure) -> bytes:
    """Return the figure as PNG, without a time stamp or a version in it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()


def encoded(image: bytes) -> str:
    """Return base64 text, as notebooks hold images."""
    return base64.b64encode(image).decode("ascii")


def describe(figure: Figure) -> Pair:
    """Return an alternative text from the axes: labels, titles and legend entries of every panel."""
    panels = [a for a in figure.axes if a.get_visible() and (a.get_xlabel() or a.get_ylabel() or a.get_title())]
    zh, en = [], []
    for a in panels:
        legend = [t.get_text() for t in a.get_legend().get_texts()] if a.get_legend() else []
        parts = [("标题", "title", a.get_title()), ("横轴", "x axis", a.get_xlabel()), ("纵轴", "y axis", a.get_ylabel()),
                 ("图例", "legend", ", ".join(legend))]  # fmt: skip
        zh.append("，".join(f"{k} {v}" for k, _, v in parts if v))
        en.append(", ".join(f"{k} {v}" for _, k, v in parts if v))
    return {"zh": f"共 {len(panels)} 个子图。" + "；".join(zh), "en": f"{len(panels)} panel(s). " + "; ".join(en)}
