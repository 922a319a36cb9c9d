"""The figure of a gate: head / base of every process pair, with the interval of their mean.

Draws what gate.json holds. Must not know how it was measured or decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.errors import cannot_write
from bench.present.charts import PNG_DPI, RC_SETTINGS
from bench.present.style import BLUE, GREY, INK, MUTED, RULE, VERMILION, dress, new_figure, title

COLORS = {"pass": BLUE, "regression": VERMILION, "inconclusive": GREY}
NAMES = {
    "throughput": "throughput",
    "cpu": "CPU per request",
    "p50": "p50, open loop",
    "p99": "p99, open loop",
}
PANEL_INCHES, PANELS_A_ROW = (3.1, 3.0), 4


def draw_pair_ratios(file: Path, gate: Mapping[str, Any]) -> None:
    """Save the figure, in the format that the file's suffix says. UserError if it cannot be."""
    with mpl.rc_context(RC_SETTINGS):
        figure = pair_ratios(gate)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            metadata = {"Date": None} if file.suffix == ".svg" else None
            figure.savefig(file, dpi=PNG_DPI, metadata=metadata)
        except OSError as error:
            raise cannot_write(file, error, "choose another file") from error


def pair_ratios(gate: Mapping[str, Any]) -> Figure:
    """A panel for each metric: a point for each pair in the order of measuring."""
    findings = gate["decision"]["findings"]
    columns = min(PANELS_A_ROW, max(1, len(findings)))
    rows = -(-max(1, len(findings)) // columns)
    width, height = PANEL_INCHES
    figure = new_figure(max(6.5, width * columns), height * rows + 0.8)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, finding in zip(panels.flat, findings, strict=False):
        ratios = gate["pair_ratios"].get(finding["workload"], {}).get(finding["metric"], [])
        _panel(axes, finding, ratios)
    for axes in panels.flat[len(findings) :]:
        axes.set_visible(False)
    title(
        figure,
        f"{gate['decision']['outcome']}: head against base, pair by pair",
        "points: a pair of fresh processes each; band: interval of the mean; dashed: margin",
    )
    return figure


def _panel(axes: Axes, finding: Mapping[str, Any], ratios: Sequence[float | None]) -> None:
    dress(axes)
    known = [(number, ratio) for number, ratio in enumerate(ratios, 1) if ratio is not None]
    axes.axhline(1, color=MUTED, linewidth=1)
    margin = 1 + finding["margin"]
    limit = 1 / margin if finding["metric"] == "throughput" else margin
    axes.axhline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    color = COLORS[finding["outcome"]]
    if finding["ratio"] is not None:
        axes.axhspan(finding["low"], finding["high"], color=color, alpha=0.18, linewidth=0)
        axes.axhline(finding["ratio"], color=color, linewidth=1.6)
    if known:
        axes.plot(*zip(*known, strict=True), "o", color=color, markersize=4.5)
    else:
        axes.text(0.5, 0.5, "no pair", transform=axes.transAxes, ha="center", color=MUTED)
    axes.set_title(
        f"{NAMES.get(finding['metric'], finding['metric'])}: {finding['outcome']}\n"
        f"{finding['workload']}",
        loc="left",
        fontsize=8.5,
    )
    axes.set_xlabel("process pair")
    axes.set_ylabel("head / base")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.2f}"))
    axes.grid(True, axis="y", color=RULE, linewidth=0.6)
