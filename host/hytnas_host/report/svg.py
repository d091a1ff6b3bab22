"""From a matplotlib figure to SVG that belongs to the page: themed, prefixed, with its data points marked."""

import io
import re
import xml.etree.ElementTree as ET
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from hytnas_host.report.theme import FONT_STACK, LIGHT, RC

SVG: Final = "http://www.w3.org/2000/svg"
XLINK_HREF: Final = "{http://www.w3.org/1999/xlink}href"
SERIES_PREFIX: Final = "series:"

_LONG_DECIMAL: Final = re.compile(r"(-?\d+\.\d\d)\d+")
_HEX_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}\b")
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")
_FONT_FAMILY: Final = " font-family: 'DejaVu Sans';"
_GEOMETRY: Final = ("d", "x", "y", "width", "height")


def render(figure: Figure, key: str) -> ET.Element:
    """The figure as an SVG tree whose ids all start with ``key``.

    The same figure and key give the same tree: the hash salt is the key and no date is written. A collection
    with a gid of the form ``series:NAME`` becomes a group with ``data-s="NAME"``, its n-th mark tagged
    ``data-p="n"``.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({**RC, "svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314  # the text was written by matplotlib just above
    for child in list(root):
        if child.tag == f"{{{SVG}}}metadata" or child.find(f"{{{SVG}}}style") is not None:
            root.remove(child)
    _tag_points(root)
    _prefix_ids(root, key)
    _tidy(root)
    return root


def _tag_points(root: ET.Element) -> None:
    for group in root.iter(f"{{{SVG}}}g"):
        gid = group.get("id", "")
        if not gid.startswith(SERIES_PREFIX):
            continue
        marks = list(group.iter(f"{{{SVG}}}use")) or _shown_paths(group)
        group.set("data-s", gid.removeprefix(SERIES_PREFIX))
        for position, mark in enumerate(marks):
            mark.set("data-p", str(position))
        styles = {mark.get("style", "") for mark in marks}
        if len(styles) == 1:
            group.set("style", styles.pop())
            for mark in marks:
                mark.attrib.pop("style", None)


def _shown_paths(group: ET.Element) -> list[ET.Element]:
    hidden = {path for defs in group.iter(f"{{{SVG}}}defs") for path in defs.iter(f"{{{SVG}}}path")}
    return [path for path in group.iter(f"{{{SVG}}}path") if path not in hidden]


def _prefix_ids(root: ET.Element, key: str) -> None:
    used: set[str] = set()
    for element in root.iter():
        if (href := element.attrib.pop(XLINK_HREF, None)) is not None:
            used.add(href.removeprefix("#"))
            element.set("href", f"#{key}-{href.removeprefix('#')}")
        for name, value in element.items():
            if match := _REFERENCE.search(value):
                used.add(match[1])
                element.set(name, _REFERENCE.sub(rf"url(#{key}-\1)", value))
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{key}-{own}")


def _tidy(root: ET.Element) -> None:
    for element in root.iter():
        for name in _GEOMETRY:
            if (value := element.get(name)) is not None:
                element.set(name, " ".join(_LONG_DECIMAL.sub(r"\1", value).split()))
        if element.get("transform", "").startswith("rotate(-0 "):
            element.attrib.pop("transform")
        element.tail = None
        if element.text is not None and element.text.isspace():
            element.text = None
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)


def standalone(root: ET.Element, alt: str) -> str:
    """The tree as a file of its own, on a white ground, for a paper or a README."""
    copy = ET.fromstring(ET.tostring(root))  # noqa: S314  # a copy of our own tree
    _, _, width, height = (float(part) for part in copy.get("viewBox", "0 0 1 1").split())
    for element in copy.iter(f"{{{SVG}}}text"):
        element.set("style", element.get("style", "").replace("'DejaVu Sans'", FONT_STACK))
    copy.set("width", f"{width:g}")
    copy.set("height", f"{height:g}")
    ground = ET.Element(f"{{{SVG}}}rect", {"width": "100%", "height": "100%", "fill": LIGHT["surface"]})
    style = ET.Element(f"{{{SVG}}}style")
    style.text = "* { stroke-linejoin: round; stroke-linecap: butt }"
    title = ET.Element(f"{{{SVG}}}title")
    title.text = alt
    for element in (ground, style, title):
        copy.insert(0, element)
    ET.register_namespace("", SVG)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(copy, encoding="unicode") + "\n"


def inline(root: ET.Element, key: str, alt: str, labels: dict[str, list[str]], *, kind: str = "") -> str:
    """The tree as an element of the page, colours as CSS variables, labelled marks reachable by keyboard.

    ``labels`` gives, by series name, the spoken label of each mark that shall take the keyboard's focus;
    ``kind`` is one more CSS class.
    """
    copy = ET.fromstring(ET.tostring(root))  # noqa: S314  # a copy of our own tree
    variables = {value: f"var(--{name})" for name, value in LIGHT.items()}
    for element in copy.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
        for name in ("style", "fill", "stroke"):
            if (value := element.get(name)) is not None:
                element.set(name, _HEX_COLOUR.sub(lambda m: variables.get(m[0].lower(), m[0]), value))
        if element.tag == "text":
            element.set("style", element.get("style", "").replace(_FONT_FAMILY, ""))
    for group in copy.iter("g"):
        spoken = labels.get(group.get("data-s", ""), [])
        marks = [mark for mark in group.iter() if mark.get("data-p") is not None]
        for mark, label in zip(marks, spoken, strict=bool(spoken)):
            mark.set("tabindex", "0")
            mark.set("role", "img")
            mark.set("aria-label", label)
    copy.set("class", f"plot {kind}".strip())
    copy.set("data-figure", key)
    copy.set("role", "group" if labels else "img")
    copy.set("aria-label", alt)
    return ET.tostring(copy, encoding="unicode")
