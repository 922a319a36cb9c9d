"""All figures of a run, drawn and saved as SVG and PNG.

It chooses which figures a run gets; how each is drawn is in `maps` and `curves`. matplotlib is
used through figure objects only, so nothing here needs a display or leaves state behind.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from bench.analyse.verdicts import Comparison
from bench.analyse.works import kind_of
from bench.errors import cannot_write
from bench.present import curves
from bench.present.maps import crossover_map
from bench.present.settings import SETTINGS, settings_text, varied
from bench.present.style import INK, Style
from bench.store import OTHER_FOLDER

RC_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "crossover",
    "text.color": INK,
    "text.parse_math": False,  # a name may hold dollar signs
    "axes.titlesize": 10,
    "axes.labelsize": 9,
}
PNG_DPI = 144
FACETS = ("connection", "kind", *SETTINGS)


@dataclass(frozen=True)
class Chart:
    """A saved figure: its file name without suffix, what it shows in words, and its SVG."""

    name: str
    alt: str
    svg: str


@dataclass(frozen=True)
class Drawing:
    """A figure to be: its name for a file, what it shows in words, and how to draw it."""

    name: str
    alt: str
    draw: Callable[[], Figure]


def draw_maps(folder: Path, compared: Sequence[Comparison]) -> list[Chart]:
    """Save a crossover map for each pair in `folder`. UserError if it cannot be written."""
    pairs = dict.fromkeys(c.pair for c in compared)
    charts = []
    for a, b, connection in pairs:
        mine = [c for c in compared if c.pair == (a, b, connection)]
        alt = (
            f"Crossover map of {a} against {b}, connection {connection}: the ratio of throughput"
            " and of p99 for each delay and number of connections; the table has the same numbers."
        )
        with mpl.rc_context(RC_SETTINGS):
            figure = crossover_map(mine)
            charts.append(_save(folder, _slug(f"map-{a}-{b}-{connection}"), alt, figure))
    return charts


def draw_curves(
    folder: Path, trials: pd.DataFrame, cells: pd.DataFrame, styles: Mapping[str, Style]
) -> list[Chart]:
    """Save the figures of throughput, latency and cost: by connection mode, kind and settings.

    Cells without a valid slice have nothing to draw. UserError if a file cannot be written.
    """
    charts = []
    trials, cells = (frame.assign(kind=frame["work"].map(kind_of)) for frame in (trials, cells))
    for where, name, chosen in facets(cells[cells["slices"] > cells["invalid"]]):
        slices = trials.merge(chosen[list(FACETS)].drop_duplicates(), on=list(FACETS))
        with mpl.rc_context(RC_SETTINGS):
            for kind, alt, figure in _figures(slices, chosen, styles, where):
                charts.append(_save(folder, _slug(f"{kind}-{name}"), alt, figure))
    return charts


def draw_figures(folder: Path, figures: Iterable[Drawing]) -> list[Chart]:
    """Draw and save other figures of a run. UserError if a file cannot be written."""
    with mpl.rc_context(RC_SETTINGS):
        return [_save(folder, _slug(d.name), d.alt, d.draw()) for d in figures]


def render_figures(figures: Iterable[Drawing]) -> list[Chart]:
    """Draw figures for a page alone, without files of their own."""
    with mpl.rc_context(RC_SETTINGS):
        return [Chart(_slug(d.name), d.alt, _as_svg(d.draw())) for d in figures]


def _figures(
    trials: pd.DataFrame, cells: pd.DataFrame, styles: Mapping[str, Style], where: str
) -> Iterator[tuple[str, str, Figure]]:
    targets = ", ".join(target for target in styles if target in set(cells["target"]))
    of = f"of {targets} ({where})."
    yield (
        "throughput",
        f"Throughput against connections for each work, with known limits, {of}",
        curves.throughput(cells, styles, where),
    )
    yield (
        "latency-by-connections",
        f"p50 and p99 of the response time against connections for each work, {of}",
        curves.latency_by_connections(cells, styles, where),
    )
    if cells["work"].nunique() == cells["delay_s"].nunique() > 1:
        yield (
            "latency-by-delay",
            f"p50 and p99 of the response time against the delay, {of}",
            curves.latency_by_delay(cells, styles, where),
        )
    yield (
        "percentiles",
        f"Response time by percentile, {of}",
        curves.percentiles(trials, styles, where),
    )
    yield (
        "resources",
        f"Server CPU time per request and server memory against connections, {of}",
        curves.resources(cells, styles, where),
    )


def facets(cells: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(in words, for a file name, its cells) of each connection mode, kind of work and setting."""
    varying = varied(cells[list(SETTINGS)].drop_duplicates().to_dict("records"))
    groups = cells.groupby(list(FACETS), dropna=False, sort=False)
    for key, chosen in sorted(groups, key=lambda group: _in_order(group[0])):
        facet = dict(zip(FACETS, key, strict=True))
        words = settings_text(facet, varying)
        kind = [facet["kind"]] if facet["kind"] != "delay" else []
        work = [f"work: {name}" for name in kind]
        shared = ["server and generator share a core"] if chosen["shared_core"].any() else []
        where = ", ".join([f"connection: {facet['connection']}", *work, *words, *shared])
        yield where, "-".join([facet["connection"], *kind, *words]), chosen


def _in_order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Kept connections first, delays before other works, a target's own number before others."""
    connection, kind, *settings = key
    known = [0 if pd.isna(value) else int(value) for value in settings]
    return connection == "close", kind != "delay", kind, *known


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)


def _save(folder: Path, name: str, alt: str, figure: Figure) -> Chart:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.png", format="png", dpi=PNG_DPI)
        figure.set_layout_engine("none")  # both files have the layout of the first
        svg = _as_svg(figure)
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    except OSError as error:
        raise cannot_write(f"the figures in {folder}", error, OTHER_FOLDER) from error
    return Chart(name, alt, svg)


def _as_svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
