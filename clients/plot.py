"""The figure of one load: its percentiles, and what happened second by second."""

from pathlib import Path
from typing import Any

from clients.errors import LoadError
from clients.load import Load
from clients.record import Tally
from clients.sample import Durations, at_least_from

# Okabe and Ito's colours, which stay apart for colour-blind readers.
BLUE, VERMILION, GREEN = "#0072b2", "#d55e00", "#009e73"
_NINES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)


def require_drawable(path: Path) -> None:
    """Raise LoadError where matplotlib is missing or does not draw such files."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise LoadError("--plot needs matplotlib: pip install matplotlib") from None
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise LoadError(f"cannot draw {path}: use one of .{', .'.join(sorted(known))}")


def draw(
    path: Path, load: Load, result: dict[str, Any], tally: Tally, rows: list[dict[str, Any]]
) -> None:
    """Draw response and service time by percentile, and the timeline below.

    Raises LoadError where the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7.5), layout="constrained")
    percentiles, timeline = figure.subplots(2, 1, height_ratios=(3, 2))
    _draw_percentiles(percentiles, load, tally)
    _draw_timeline(timeline, rows)
    valid = "valid" if result["valid"] else "NOT VALID: " + result["invalid_reasons"][0]
    loop = "closed loop" if load.schedule is None else "open loop"
    figure.suptitle(
        f"{loop}, {_connections(load)}, {result['throughput_rps']:.0f} req/s: {valid}",
        fontsize=10,
        wrap=True,
    )
    try:
        figure.savefig(path, dpi=140)
    except (OSError, ValueError) as error:
        raise LoadError(f"cannot draw {path}: {error}") from None


def _connections(load: Load) -> str:
    return f"{'up to ' if load.schedule else ''}{load.connections} connections"


def _draw_percentiles(axes: Any, load: Load, tally: Tally) -> None:
    bounded, at_least = at_least_from(tally.response, tally.censored)
    name = "response time (its end: at least)" if at_least else "response time"
    kinds = [(name, bounded, BLUE, "-")]
    if load.schedule is not None:
        kinds += [
            ("service time", tally.service, VERMILION, "--"),
            ("lateness, a connection being free", tally.late, GREEN, ":"),
        ]
    for name, durations, colour, dash in kinds:
        if durations.recorded:
            xs, ys = _curve(durations)
            axes.plot(xs, ys, color=colour, linestyle=dash, label=name)
    ticks = [share for share in _NINES if 1 - share >= 1 / max(bounded.recorded, 2)]
    axes.set_xscale("log")
    axes.set_xticks([1 / (1 - share) for share in ticks], [f"{100 * share:g}%" for share in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share of requests that took no longer")
    axes.set_ylabel("ms")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _curve(durations: Durations) -> tuple[list[float], list[float]]:
    """Times in ms over 1 / (1 - share), as far as there are samples for."""
    xs, x = [], 1.0
    while x <= durations.recorded:
        xs.append(x)
        x *= 1.1
    shares = [100 * (1 - 1 / x) for x in xs]
    return xs, [value_ns / 1e6 for value_ns in durations.percentiles_ns(shares)]


def _draw_timeline(axes: Any, rows: list[dict[str, Any]]) -> None:
    seconds = [row["second"] + 1 for row in rows]
    for name, colour, dash in (("p50_ms", BLUE, "-"), ("p99_ms", VERMILION, "--")):
        values = [float("nan") if row[name] is None else row[name] for row in rows]
        axes.plot(
            seconds, values, color=colour, linestyle=dash, marker=".", label=name[:3] + " (ms)"
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("second")
    axes.set_ylabel("response time (ms)")
    axes.grid(alpha=0.3)
    rate = axes.twinx()
    rate.plot(
        seconds, [row["throughput_rps"] for row in rows], color=GREEN, linestyle=":", label="req/s"
    )
    rate.set_ylim(bottom=0)
    rate.set_ylabel("req/s (dotted)")
    axes.legend(frameon=False, loc="center right")
