"""Figures as part of a page: an SVG that follows the page's colours and shares it with others.

Knows SVG as matplotlib writes it, nothing of what is drawn.
"""

from __future__ import annotations

import html
import re
import zlib

from bench.present.style import INK, PAPER, RULE

_FOLLOWS = {INK: "currentColor", PAPER: "var(--paper)", RULE: "var(--rule)"}

# What SVG has without being told, and the font that the page replaces.
_ANYWAY = ("stroke-linejoin: miter", "stroke-dashoffset: 0", "font-family: 'DejaVu Sans'")

_ALIKE = re.compile(
    r'<g((?: clip-path="[^"]*")?)>(<use [^>]*? style="([^"]*)"/>(?:<use [^>]*? style="\3"/>)*)</g>'
)


def inline(svg: str, name: str, alt: str) -> str:
    """The <svg> element alone, named for screen readers.

    Ink, paper and rules take the page's colours, so a figure is dark on a dark page; ids get
    something in front that stands for `name`, as the ids of all figures share one page.
    """
    element = svg[svg.index("<svg") :]
    element = _compact(re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL))
    mark = f"f{zlib.crc32(name.encode()):x}"
    element = re.sub(r'\bid="', f'id="{mark}-', element)
    element = re.sub(r'href="#', f'href="#{mark}-', element)
    element = re.sub(r"url\(#", f"url(#{mark}-", element)
    for fixed, followed in _FOLLOWS.items():
        element = element.replace(fixed, followed)
    label = html.escape(alt, quote=True)
    return element.replace("<svg", f'<svg role="img" aria-label="{label}" {_size(element)}', 1)


def _compact(element: str) -> str:
    """The same picture in about half as many bytes.

    Numbers to a hundredth of a point, short ids and only where something refers to them, no space
    between elements, and of styles nothing that holds anyway.
    """
    element = re.sub(r"-?\d+\.\d{3,}", _hundredth, element)
    element = re.sub(r"<!--.*?-->", "", element, flags=re.DOTALL)
    element = re.sub(r">\s+<", "><", re.sub(r"\s+", " ", element))
    referred = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', element))
    short = {"figure_1": "figure_1", **{name: str(n) for n, name in enumerate(referred)}}
    element = re.sub(
        r' id="([^"]+)"', lambda m: f' id="{short[m[1]]}"' if m[1] in short else "", element
    )
    element = re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + short[m[2]], element)
    element = element.replace("xlink:href", "href")
    element = re.sub(r' style="([^"]*)"', lambda m: f' style="{_style(m[1])}"', element)
    element = re.sub(r' d="([^"]*)"', lambda m: f' d="{_path(m[1])}"', element)
    element = re.sub(r' transform="rotate\(-?0 [^"]*"', "", element)
    return _ALIKE.sub(_style_once, element)


def _style_once(group: re.Match[str]) -> str:
    """A group of markers that look alike with their look at the group."""
    return f'<g{group[1]} style="{group[3]}">{group[2].replace(_styled(group[3]), "")}</g>'


def _styled(style: str) -> str:
    return f' style="{style}"'


def _hundredth(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _style(style: str) -> str:
    said = (part.strip() for part in style.split(";"))
    return ";".join(part.replace(": ", ":") for part in said if part and part not in _ANYWAY)


def _path(path: str) -> str:
    return re.sub(r" ?([MLCQz]) ?", r"\1", path).strip()


def _size(element: str) -> str:
    """Between text that is just readable and text as large as the page's, for any figure."""
    width_pt = float(re.search(r'viewBox="\S+ \S+ (\S+)', element)[1])  # type: ignore[index]
    return f'style="min-width: {0.9 * width_pt:.0f}px; max-width: {1.4 * width_pt:.0f}px"'
