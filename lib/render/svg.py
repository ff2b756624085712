"""A foreign drawing -> a drawing that neither runs, fetches nor moves anything: only what is listed here is kept."""

import re
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

NAMESPACE = "http://www.w3.org/2000/svg"
_SHAPES = (
    "svg g defs symbol use path rect circle ellipse line polyline polygon text tspan textPath title desc style image clipPath mask "
    "pattern marker linearGradient radialGradient stop filter feGaussianBlur feColorMatrix feOffset feBlend feFlood feComposite "
    "feMerge feMergeNode"
)
SHAPES = frozenset(_SHAPES.split())
UNSEEN = frozenset(("metadata", "namedview"))  # left out without a loss: nothing of it is drawn
_ATTRIBUTES = (
    "id class style transform viewBox preserveAspectRatio version width height x y x1 x2 y1 y2 cx cy r rx ry fx fy d points dx dy "
    "rotate offset href color fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray stroke-dashoffset "
    "stroke-linecap stroke-linejoin stroke-miterlimit opacity stop-color stop-opacity clip-path clip-rule mask filter display "
    "visibility overflow font-family font-size font-style font-weight font-variant font-stretch text-anchor text-decoration "
    "dominant-baseline alignment-baseline baseline-shift letter-spacing word-spacing textLength lengthAdjust startOffset method "
    "spacing gradientUnits gradientTransform spreadMethod patternUnits patternContentUnits patternTransform clipPathUnits maskUnits "
    "maskContentUnits markerUnits markerWidth markerHeight refX refY orient marker-start marker-mid marker-end filterUnits "
    "primitiveUnits in in2 result stdDeviation values type mode operator k1 k2 k3 k4 flood-color flood-opacity vector-effect "
    "shape-rendering text-rendering image-rendering paint-order xml:space"
)
ATTRIBUTES = frozenset(_ATTRIBUTES.split())
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z")
OUTSIDE = re.compile(r"url\(\s*(?![\"']?\s*#)|javascript:", re.I)  # in an attribute
SHEET = re.compile(r"@|\\|<|expression\s*\(|" + OUTSIDE.pattern, re.I)  # in a style or a style sheet


def clean_svg(source: str) -> str:
    """Return an SVG document with the listed elements and attributes alone.

    Raises ValueError where it is no SVG, or holds what would run, fetch or be lost: a script, foreign objects, an outside picture.
    """
    try:
        root = fromstring(source)
    except (ParseError, DefusedXmlException):
        raise ValueError("an SVG image that is not well-formed or defines entities") from None
    if _local(root.tag) != "svg":
        raise ValueError("an SVG image whose outermost element is no <svg>")
    kept = _kept(root)
    kept.set("xmlns", NAMESPACE)
    return tostring(kept, encoding="unicode")


def _kept(element: Element) -> Element:
    name = _local(element.tag)
    if name not in SHAPES:
        raise ValueError(f"an SVG image with <{name}>")
    found = Element(name, _attributes(name, element))
    found.text, found.tail = element.text, element.tail
    if name == "style" and SHEET.search(element.text or ""):
        raise ValueError("an SVG image whose style sheet refers to something outside it")
    found.extend([_kept(child) for child in element if _local(child.tag) not in UNSEEN])
    return found


def _attributes(element: str, source: Element) -> dict[str, str]:
    kept = {}
    for full, value in source.attrib.items():
        name = "xml:space" if full.endswith("XML/1998/namespace}space") else _local(full)
        if name not in ATTRIBUTES or (full != name and name not in ("href", "xml:space")):
            continue
        picture = element == "image" and PICTURE.match(value)
        leads = (
            not (value.startswith("#") or picture) if name == "href" else (SHEET if name == "style" else OUTSIDE).search(value)
        )
        if leads:
            raise ValueError(f"an SVG image whose <{element}> refers to something outside it")
        kept[name] = value
    return kept


def _local(tag: object) -> str:
    """Return a name without its namespace; a name of another namespace than SVG's is none of SVG's."""
    return str(tag).rpartition("}")[2]
