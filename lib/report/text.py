"""Text in two languages: paired templates, numbers, the glossary and the figures that the documents report."""

import string
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import yaml

Pair = dict[str, str]  # {"zh": ..., "en": ...}
FOLDER = Path(__file__).parent
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def pair(zh: str, en: str, **facts: Any) -> Pair:
    """Fill both templates with the same facts; ValueError where the two do not use the same ones, or leave one out."""
    used = {name: fields(text) for name, text in (("zh", zh), ("en", en))}
    if used["zh"] != used["en"]:
        raise ValueError(f"The Chinese and the English text differ in their facts: {used['zh'] ^ used['en']} in {en!r}.")
    if used["en"] != set(facts):
        raise ValueError(f"Facts given and facts used differ by {used['en'] ^ set(facts)} in {en!r}.")
    plain = {k: v if _keeps_format(v) else number(v) for k, v in facts.items()}
    return {"zh": zh.format(**{k: _side(v, "zh") for k, v in plain.items()}),
            "en": en.format(**{k: _side(v, "en") for k, v in plain.items()})}  # fmt: skip


def fields(template: str) -> set[str]:
    """Return the names of the facts that a template uses."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def _keeps_format(value: Any) -> bool:
    return isinstance(value, Real | str | dict) and not isinstance(value, bool)


def _side(value: Any, lang: str) -> Any:
    if isinstance(value, dict):
        return value[lang]
    return _Number(value) if isinstance(value, Real) else value


class _Number(float):
    """A number that, without a format of its own, is written as `number` writes it."""

    def __new__(cls, value: Any) -> "_Number":
        self = super().__new__(cls, value)
        self.original = value
        return self

    def __format__(self, spec: str) -> str:
        if not spec:
            return number(self.original)
        return format(int(self.original) if spec.endswith("d") else self.original, spec)


def number(value: Any, digits: int = 4) -> str:
    """Write a number for people: 10,000 · 0.9954 · 1.76×10⁶; None and NaN as an em dash."""
    if value is None or value != value:
        return "—"
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    if isinstance(value, Integral):
        return f"{value:,}"
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "-∞"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{max(digits - 2, 1)}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPT)}"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.0f}"


@cache
def glossary() -> dict[str, Pair]:
    """Return the project's terms: key -> {"zh", "en"}; column names and category values of tables are keys.

    general.yaml holds what several studies show, the other files one study's terms each; no key stands twice.
    """
    terms: dict[str, Pair] = {}
    for file in sorted((FOLDER / "glossary").glob("*.yaml")):
        words = _words(file)
        twice = sorted(set(words) & set(terms))
        if twice:
            raise ValueError(f"The terms {twice} of {file.name} stand in another file too: move them to general.yaml.")
        terms |= words
    return terms


def _words(file: Path) -> dict[str, Pair]:
    entries = yaml.safe_load(file.read_text(encoding="utf8"))
    for key, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != {"zh", "en"}:
            raise ValueError(f"The term '{key}' in {file.name} needs exactly zh and en.")
    return {key: {lang: str(text) for lang, text in entry.items()} for key, entry in entries.items()}


def term(key: Any) -> Pair | None:
    """Return a term in both languages, or None where the glossary does not have it."""
    return glossary().get(key) if isinstance(key, str) else None


@cache
def _reported() -> dict:
    return yaml.safe_load((FOLDER / "reported.yaml").read_text(encoding="utf8"))


def reported(path: str) -> Any:
    """Return a figure that the documents report, such as `reported("mlp_head.test_r2")`; KeyError names a wrong path."""
    value = _reported()
    for part in path.split("."):
        key = int(part) if part.isdigit() and isinstance(value, dict) and part not in value else part
        if not isinstance(value, dict) or key not in value:
            raise KeyError(f"reported.yaml has no '{path}' ('{part}' is missing).")
        value = value[key]
    return value


def reported_source(path: str) -> str:
    """Tell whether `path` is stated by the document itself or by other public reports on the same data."""
    return "public" if "public" in path.split(".") else "document"
