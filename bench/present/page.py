"""Fills a template and writes one self-contained page: no network, system fonts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.errors import cannot_write
from bench.present.charts import Chart
from bench.present.svg import inline
from bench.store import OTHER_FOLDER


@dataclass(frozen=True)
class Table:
    """A table of a page: (name, whether it holds numbers) of each column, and rows of text."""

    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Detail:
    """A section of a page: its id, heading and explanation, figures and a table."""

    name: str
    heading: str
    text: str
    pictures: list[dict[str, Any]]
    table: Table


def write_page(path: Path, template: str, otherwise: str = OTHER_FOLDER, **content: Any) -> Path:
    """Write a page. UserError, with `otherwise` as the advice, if the file cannot be written."""
    environment = Environment(
        loader=PackageLoader("bench.present"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(**content)
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise cannot_write(path, error, otherwise) from error
    return path


def pictures(charts: Iterable[Chart]) -> list[dict[str, Any]]:
    """Charts as a template takes them: the SVG element and its caption."""
    return [
        {"element": Markup(inline(chart.svg, chart.name, chart.alt)), "alt": chart.alt}
        for chart in charts
    ]
