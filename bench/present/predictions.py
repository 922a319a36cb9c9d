"""The model against what was measured: words, a figure, errors by target, why each cell is limited.

It shows what `bench.analyse.prediction` found. Only cells that the model has not seen count as
predicted; those that it was fitted to stand in the table and are marked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.analyse.model import CAUSES
from bench.analyse.prediction import KINDS, Errors, Modelled, Predicted, errors_by, errors_of, worst
from bench.present.charts import Drawing
from bench.present.settings import settings_text, varied
from bench.present.style import INK, MUTED, PAPER, RULE, Style, dress, new_figure, title
from bench.present.units import count_text, delay_text, list_text, number_text, tick_text, work_text
from bench.present.words import Section

Styles = Mapping[str, Style]

TEXT = (
    "A closed queueing network for each target: its CPU, what a wait costs and how late it ends,"
    " its workers and units. It is fitted to a few cells that a rule picks from the grid before"
    " anything is measured, and says what the others give. An error is predicted / measured - 1."
)
CELLS_TEXT = (
    "Limited by: the tightest of four bounds, and how much of it is predicted to be reached. Then"
    " the share of a request's time that it spends waiting, at or queueing for the CPU, without a"
    " worker, and with or without one of the units. Fitted cells are what the model rests on."
)
ERRORS_TABLE = (
    ("target", False),
    ("cells", True),
    ("throughput, median error", True),
    ("90th percentile", True),
    ("response time, median error", True),
    ("90th percentile", True),
    ("fails most at", False),
)
CELLS_TABLE = (
    ("target", False),
    ("connection", False),
    ("work", False),
    ("connections", True),
    ("measured, per second", True),
    ("predicted", True),
    ("error", True),
    ("mean response, ms", True),
    ("predicted", True),
    ("error", True),
    ("limited by", False),
    *((cause, True) for cause in CAUSES),
    ("is", False),
)
_BAND = 1.1


def words(modelled: Modelled) -> Section:
    """How well it predicts, where it fails, and what limits the cells."""
    return Section("Can a model predict it?", list(_sentences(modelled)))


def _sentences(modelled: Modelled) -> Iterator[str]:
    held_out = modelled.held_out
    errors = errors_of(held_out)
    if errors:
        seen = len(modelled.cells) - len(held_out)
        yield (
            f"Fitted to {seen} cells, a queueing model predicts the other {errors.cells}:"
            f" {_errors_text(errors)}."
        )
        kinds = errors_by(held_out, lambda cell: cell.kind)
        if len(kinds) > 1:
            parts = (_kind_text(kind, kinds[kind]) for kind in KINDS if kind in kinds)
            yield f"Of throughput, by what is new: {'; '.join(parts)}."
        first = worst(held_out, 1)[0]
        yield (
            f"It is furthest off for {_place(first)}: {number_text(first.predicted.throughput_rps)}"
            f" predicted, {number_text(first.throughput_rps)} per second measured."
        )
        yield from _causes(modelled.cells)
    if modelled.not_fitted and modelled.cells:
        names = [f"{name} ({mode})" for name, mode in modelled.not_fitted]
        yield f"Without a cell to fit a demand to: {list_text(names)}."


def _kind_text(kind: str, errors: Errors) -> str:
    median, p90 = (_percent(value) for value in (errors.throughput_median, errors.throughput_p90))
    return f"{KINDS[kind]} ({errors.cells} cells) {median}, 90th percentile {p90}"


def _errors_text(errors: Errors) -> str:
    rates = f"throughput with a median error of {_percent(errors.throughput_median)}"
    text = f"{rates} (90th percentile {_percent(errors.throughput_p90)})"
    if errors.response_median is None:
        return text
    times = f"mean response time with {_percent(errors.response_median)}"
    return f"{text}, {times} ({_percent(errors.response_p90)})"


def _causes(cells: Sequence[Predicted]) -> Iterator[str]:
    counts = Counter(cell.predicted.limited_by for cell in cells)
    named = [f"{cause} in {counts[cause]}" for cause in CAUSES if counts[cause]]
    yield f"What keeps {len(cells)} cells from giving more: {list_text(named)}."


def drawings(modelled: Modelled, styles: Styles) -> Iterator[Drawing]:
    """Predicted against measured, if there is anything that the model has not seen."""
    if modelled.held_out:
        yield Drawing(
            "model",
            "Predicted against measured throughput and mean response time of the cells that the"
            " model has not seen, by target; the table has the same numbers.",
            partial(figure, modelled.held_out, styles),
        )


def figure(held_out: Sequence[Predicted], styles: Styles) -> Figure:
    """A panel for throughput and one for the mean response time, both axes logarithmic."""
    drawn = new_figure(10.4, 5.6)
    rates, times = drawn.subplots(1, 2)
    known = [cell for cell in held_out if cell.response_s is not None]
    for cell in held_out:
        _mark(rates, cell, cell.throughput_rps, cell.predicted.throughput_rps, styles)
    for cell in known:
        _mark(times, cell, 1e3 * (cell.response_s or 0), 1e3 * cell.predicted.response_s, styles)
    _axes(rates, "throughput, per second")
    _axes(times, "mean response time, ms")
    title(
        drawn,
        f"Predicted against measured: {count_text(len(held_out))} cells not seen by the model",
        "hollow: more connections than it was fitted to; band: within 10%",
    )
    names = [name for name in styles if any(cell.cell["target"] == name for cell in held_out)]
    drawn.legend(
        handles=[_key(name, styles[name]) for name in names], loc="outside lower left", ncols=6,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return drawn


def _mark(axes: Axes, cell: Predicted, measured: float, predicted: float, styles: Styles) -> None:
    style = styles[cell.cell["target"]]
    face = PAPER if cell.predicted.extrapolated else style.color
    axes.plot(
        measured, predicted, style.marker, color=style.color, markerfacecolor=face,
        markersize=6, alpha=0.85, zorder=3,
    )  # fmt: skip


def _axes(axes: Axes, what: str) -> None:
    """The same logarithmic scale both ways, the diagonal and its band."""
    dress(axes)
    axes.set_title(what, loc="left")
    axes.set_xlabel("measured", color=INK)
    axes.set_ylabel("predicted", color=INK)
    if not axes.has_data():
        return
    data = axes.dataLim
    ends = [min(data.x0, data.y0) / 1.4, max(data.x1, data.y1) * 1.4]
    for scale, limit in ((axes.set_xscale, axes.set_xlim), (axes.set_yscale, axes.set_ylim)):
        scale("log")
        limit(*ends)
    axes.plot(ends, ends, color=MUTED, linewidth=1, zorder=1)
    axes.fill_between(
        ends, [end / _BAND for end in ends], [end * _BAND for end in ends], color=RULE, alpha=0.5,
        linewidth=0, zorder=0,
    )  # fmt: skip
    steps = (1, 2, 5) if ends[1] < 100 * ends[0] else (1,)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))


def _key(name: str, style: Style) -> Line2D:
    return Line2D([], [], marker=style.marker, color=style.color, linestyle="none", label=name)


def error_rows(modelled: Modelled) -> list[list[str]]:
    """The errors of each target over the cells that the model has not seen, then of all."""
    by_target: dict[str, list[Predicted]] = {}
    for cell in modelled.held_out:
        by_target.setdefault(str(cell.cell["target"]), []).append(cell)
    groups = {**by_target, "all": modelled.held_out}
    return [_error_row(name, cells) for name, cells in groups.items() if cells]


def _error_row(name: str, cells: Sequence[Predicted]) -> list[str]:
    errors = errors_of(cells)
    assert errors is not None
    first = worst(cells, 1)[0]
    return [
        name,
        str(errors.cells),
        _percent(errors.throughput_median),
        _percent(errors.throughput_p90),
        _percent(errors.response_median),
        _percent(errors.response_p90),
        f"{_place(first)}: {_signed(first.throughput_error)}",
    ]


def cell_rows(modelled: Modelled) -> list[list[str]]:
    """The table of all cells, as they were measured and predicted."""
    varying = varied(cell.cell for cell in modelled.cells)
    return [_cell_row(cell, varying) for cell in modelled.cells]


def _cell_row(predicted: Predicted, varying: set[str]) -> list[str]:
    cell, said = predicted.cell, predicted.predicted
    work = [work_text(cell["work"], cell["delay_s"]), *settings_text(cell, varying)]
    return [
        cell["target"],
        cell["connection"],
        ", ".join(work),
        count_text(cell["connections"]),
        number_text(predicted.throughput_rps),
        number_text(said.throughput_rps),
        _signed(predicted.throughput_error),
        number_text(predicted.response_s and 1e3 * predicted.response_s),
        number_text(1e3 * said.response_s),
        _signed(predicted.response_error),
        f"{said.limited_by} ({_percent(said.reached, 0)})",
        *(_percent(said.shares[cause], 0) for cause in CAUSES),
        "fitted" if predicted.is_calibration else "predicted",
    ]


def _place(predicted: Predicted) -> str:
    """asyncio at 5 ms x 512 (keep-alive)."""
    cell = predicted.cell
    work = delay_text(0) if cell["work"] == "/" else work_text(cell["work"], cell["delay_s"])
    return f"{cell['target']} at {work} x {count_text(cell['connections'])} ({cell['connection']})"


def _percent(share: float | None, digits: int = 1) -> str:
    return number_text(None) if share is None else f"{100 * share:.{digits}f}%"


def _signed(error: float | None) -> str:
    return number_text(None) if error is None else f"{100 * error:+.1f}%"
