"""LaTeX -> MathML at render time, with a guard: what the converter would get silently wrong fails the build."""

import re
from functools import cache
from html import unescape

import latex2mathml.converter
import latex2mathml.exceptions

# latex2mathml prints these verbatim or drops what they mean
BANNED = ("aligned", "align", "\\bm", "\\operatorname*", "arg\\,", "\\substack", "\\tag", "\\label", "\\ref", "\\eqref")
FAILURES = (
    *(e for e in vars(latex2mathml.exceptions).values() if isinstance(e, type) and issubclass(e, Exception)),
    IndexError, KeyError, ValueError, StopIteration,
)  # fmt: skip
FUNCTION = re.compile(r"(\\(?:log|ln|exp|max|min))\s+(?=[A-Za-z\\])")  # the converter leaves no space after a function
PLAIN = re.compile(r"<m(?:i|o|n|text)[^>]*>([^<]*)</m(?:i|o|n|text)>")


@cache
def mathml(latex: str, block: bool) -> str:
    """Return MathML markup; ValueError names a formula that cannot be converted faithfully."""
    for word in BANNED:
        if word in latex:
            raise ValueError(f"Formula ${latex}$ uses {word}, which cannot be converted: write it another way.")
    latex = FUNCTION.sub(r"\1\\, ", latex)
    try:
        markup = latex2mathml.converter.convert(latex, display="block" if block else "inline")
    except FAILURES as error:
        raise ValueError(f"Formula ${latex}$ cannot be converted: {type(error).__name__} {error}.") from None
    for text in PLAIN.findall(markup):
        plain = unescape(text)
        if re.search(r"\\[A-Za-z]+|&", plain):
            raise ValueError(f"Formula ${latex}$ leaves '{plain}' unconverted: use a command that MathML has.")
    variant = re.search(r'mathvariant="(?!normal")([^"]*)"', markup)
    if variant:
        raise ValueError(f"Formula ${latex}$ needs the variant '{variant[1]}', which browsers drop: use \\mathbf or \\mathbb.")
    return markup
