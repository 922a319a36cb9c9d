"""Figures as part of a page: an SVG that follows the page's colours and shares it with others.

Knows SVG as matplotlib writes it, nothing of what is drawn.
"""

from __future__ import annotations

import html
import re

from bench.present.style import INK, PAPER, RULE

_FOLLOWS = {INK: "currentColor", PAPER: "var(--paper)", RULE: "var(--rule)"}


def inline(svg: str, name: str, alt: str) -> str:
    """The <svg> element alone, named for screen readers.

    Ink, paper and rules take the page's colours, so a figure is dark on a dark page; ids get
    `name` in front, as the ids of all figures share one page.
    """
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'href="#', f'href="#{name}-', element)
    element = re.sub(r"url\(#", f"url(#{name}-", element)
    for fixed, followed in _FOLLOWS.items():
        element = element.replace(fixed, followed)
    label = html.escape(alt, quote=True)
    return element.replace("<svg", f'<svg role="img" aria-label="{label}" {_size(element)}', 1)


def _size(element: str) -> str:
    """Between text that is just readable and text as large as the page's, for any figure."""
    width_pt = float(re.search(r'viewBox="\S+ \S+ (\S+)', element)[1])  # type: ignore[index]
    return f'style="min-width: {0.9 * width_pt:.0f}px; max-width: {1.4 * width_pt:.0f}px"'
