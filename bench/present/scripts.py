"""The scripts that a page carries: read from the package, ready to stand in a script element.

plotly.js is code by others and comes with its licence (`vendor/`); everything in `script/` is the
project's own, plain files that browsers run as they are. They stand in the page in this order.
"""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

PLOTLY = "vendor/plotly-basic-3.7.0.min.js"
PLOTLY_LICENCE = "vendor/plotly-LICENSE.txt"
EXPLORER = (
    "dom", "units", "data", "queueing", "model", "predictions", "choices", "tiles", "grid",
    "detail", "looks", "curves", "whatif", "tables", "still", "main", "sortable",
)  # fmt: skip
COMPARISON = ("dom", "tables", "sortable")


def own(names: tuple[str, ...]) -> list[Markup]:
    """The project's scripts by name."""
    return [_script(f"script/{name}.js") for name in names]


def plotly() -> Markup:
    """plotly.js with the licence that has to accompany every copy."""
    return Markup(f"/*\n{_text(PLOTLY_LICENCE)}*/\n") + _script(PLOTLY)


def _script(name: str) -> Markup:
    text = _text(name)
    if "</script" in text or "<!--" in text:
        raise ValueError(f"{name} would end the script element that it stands in")
    return Markup(text)


def _text(name: str) -> str:
    return files("bench.present").joinpath(name).read_text(encoding="utf-8")
