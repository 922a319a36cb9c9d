"""pandas frames of a run: one row per slice, and one row per cell.

Invalid slices stay in the frame of slices with their reasons and never enter a figure of a cell.
It knows the keys of a slice; it must not judge pairs, nor know how anything is shown.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from bench.analyse.limits import limit
from bench.analyse.rounds import brief
from bench.analyse.stats import mean_interval, quantile_interval
from bench.errors import UserError
from bench.store import CELL_KEYS, TRIALS_FILE, Run

LATENCIES = ("response_time", "service_time", "lateness")
# The percentiles of the response time that figures show, and that have an interval therefore.
SHOWN = ("p50", "p99")
PERCENTILES = ("mean", "p50", "p90", "p95", "p99", "p999", "max")
RESOURCES = (
    "server_cpu_us_per_request",
    "server_cpu_utilisation",
    "server_rss_mib",
    "server_threads",
    "client_cpu_us_per_request",
    "client_cpu_utilisation",
)
_MEASURED = (
    "throughput_rps",
    "completions",
    "window_s",
    "in_flight_mean",
    "little_ratio",
    "bound_ratio",
    "fairness_jain",
    "steal_ratio",
    *RESOURCES,
)


_UNREADABLE = (ValueError, RuntimeError, zlib.error, HdrCookieException, HdrLengthException)


def trials_frame(run: Run) -> pd.DataFrame:
    """One row per slice, in the order of measuring.

    Columns: the keys of a cell, `model`, `family`, `round`, `order`, `t_s`, `valid`, `reasons` (a
    tuple of words), `errors` (a total), `at_least`, what was measured under its own name, and
    latencies as `response_time_p99_ms` and the like. What a slice lacks is NaN: so are `workers`
    and `units` where each target has its own number, which for workers is in `own_workers`.
    """
    targets = {target["name"]: target for target in run.info["targets"]}
    rows = [_trial_row(trial, targets.get(trial["target"], {})) for trial in run.trials]
    frame = pd.DataFrame(rows, columns=_columns())
    numbers = [*_MEASURED, *_latency_columns(), "delay_s", "workers", "units", "own_workers"]
    flags = ("valid", "at_least", "shared_core")
    return frame.astype(dict.fromkeys(numbers, float)).astype(dict.fromkeys(flags, bool))


def cells_frame(trials: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """One row per cell: what its valid slices say together, and why others do not count.

    Throughput is the geometric mean over rounds with its Student-t interval (`throughput_low_rps`,
    `throughput_high_rps`); everything else is the median over slices, percentiles included: tails
    are never pooled. p50 and p99 of the response time have an interval by order statistics of the
    slices (`response_time_p99_low_ms` and so on), NaN for an open end. `slices`, `invalid` and
    `reasons` (a Counter) count what was left out; `at_least` says that some latency is a lower
    bound, `shared_core` that server and generator were on one core.
    """
    groups = trials.groupby(list(CELL_KEYS), dropna=False, sort=False)
    rows = [_cell_row(key, group, confidence) for key, group in groups]
    return pd.DataFrame(rows, columns=[*CELL_KEYS, *_cell_columns()]).astype(
        {"workers": float, "units": float}
    )


def with_limits(cells: pd.DataFrame, targets: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The cells and the number that limits each: `limit_connections`, `limit_rps`, `limit_what`.

    `targets` are those of run.json. Cells that no known number limits have NaN and None.
    """
    known = {target["name"]: target for target in targets}
    points = cells[list(CELL_KEYS)].astype(object).where(cells[list(CELL_KEYS)].notna(), None)
    limits = [limit(known.get(row["target"], {}), row) for row in points.to_dict("records")]
    return cells.assign(
        limit_connections=[found.connections if found else math.nan for found in limits],
        limit_rps=[found.rate_rps if found else math.nan for found in limits],
        limit_what=[found.what if found else None for found in limits],
    )


def round_means(trials: pd.DataFrame, column: str, within: Sequence[str] = ()) -> pd.Series:
    """Mean log of a column per round, over the valid slices of one cell that have it.

    For slices of several cells, `within` names the columns that tell the cells apart.
    """
    valid = trials[trials["valid"] & (trials[column] > 0)]
    logs: pd.Series = np.log(valid[column])
    keys = [valid[name] for name in (*within, "round")]
    return logs.groupby(keys if within else keys[0]).mean()


def percentile_curve(histograms: Iterable[str], percentiles: Sequence[float]) -> list[float]:
    """Latency in ms at each percentile: the median over slices, each with its own curve.

    `histograms` are HdrHistogram V2 in base64 of nanoseconds; empty ones are passed over. NaN
    where some slice has too few requests to know: p99.9 needs a thousand.
    """
    curves = [_curve(text, np.asarray(percentiles)) for text in histograms]
    known = [curve for curve in curves if curve is not None]
    if not known:
        return []
    return [float(value) for value in np.median(np.array(known), axis=0)]


def why_invalid(trials: pd.DataFrame) -> Counter[str]:
    """How often each reason was given by the invalid slices."""
    given = trials.loc[~trials["valid"], "reasons"]
    return Counter(brief(reason) for reasons in given for reason in reasons)


def _columns() -> list[str]:
    about = ["model", "family", "own_workers", "round", "order", "t_s"]
    outcome = ["valid", "reasons", "errors", "at_least", "shared_core"]
    return [*CELL_KEYS, *about, *outcome, *_MEASURED, *_latency_columns(), "response_time_hist"]


def _latency_columns() -> list[str]:
    return [f"{latency}_{name}_ms" for latency in LATENCIES for name in PERCENTILES]


def _cell_columns() -> list[str]:
    counts = ["model", "family", "slices", "invalid", "reasons", "at_least"]
    rounds = ["shared_core", "rounds"]
    throughput = ["throughput_rps", "throughput_low_rps", "throughput_high_rps"]
    ends = [f"response_time_{name}_{end}_ms" for name in SHOWN for end in ("low", "high")]
    return [*counts, *rounds, *throughput, *RESOURCES, "bound_ratio", *_latency_columns(), *ends]


def _trial_row(trial: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    row = {key: trial.get(key) for key in (*CELL_KEYS, "round", "order", "t_s", *_MEASURED)}
    for latency in LATENCIES:
        known = trial.get(f"{latency}_ms") or {}
        row |= {f"{latency}_{name}_ms": known.get(name) for name in PERCENTILES}
    return row | {
        "model": target.get("model", trial["target"]),
        "family": target.get("family", "unknown"),
        "own_workers": target.get("workers"),
        "valid": bool(trial["valid"]),
        "reasons": tuple(trial.get("invalid_reasons") or ()),
        "errors": sum((trial.get("errors") or {}).values()),
        "at_least": bool(trial.get("latency_at_least")),
        "shared_core": bool(trial.get("shared_core")),
        "response_time_hist": trial.get("response_time_hist"),
    }


def _cell_row(key: tuple[Any, ...], group: pd.DataFrame, confidence: float) -> dict[str, Any]:
    valid = group[group["valid"]]
    medians = valid[[*RESOURCES, "bound_ratio", *_latency_columns()]].median()
    logs = round_means(group, "throughput_rps")
    row = dict(zip(CELL_KEYS, key, strict=True)) | {
        "model": group["model"].iloc[0],
        "family": group["family"].iloc[0],
        "slices": len(group),
        "invalid": len(group) - len(valid),
        "reasons": why_invalid(group),
        "at_least": bool(valid["at_least"].any()),
        "shared_core": bool(group["shared_core"].any()),
        "rounds": len(logs),
    }
    ends = _percentile_ends(valid, confidence)
    return {**row, **_throughput(logs, confidence), **medians.to_dict(), **ends}


def _percentile_ends(valid: pd.DataFrame, confidence: float) -> dict[str, float]:
    """The interval of the median over slices of each shown percentile."""
    ends = {}
    for name in SHOWN:
        known = valid[valid[f"response_time_{name}_ms"].notna()]
        values, bounds = known[f"response_time_{name}_ms"], known["at_least"]
        low, high = quantile_interval(list(values), 0.5, confidence, list(bounds))
        ends[f"response_time_{name}_low_ms"] = math.nan if low is None else low
        ends[f"response_time_{name}_high_ms"] = math.nan if high is None else high
    return ends


def _throughput(logs: pd.Series, confidence: float) -> dict[str, float]:
    names = ("throughput_rps", "throughput_low_rps", "throughput_high_rps")
    if not len(logs):
        return dict.fromkeys(names, math.nan)
    interval = mean_interval(logs.to_numpy(), confidence).exp()
    return dict(zip(names, (interval.estimate, interval.low, interval.high), strict=True))


def _curve(text: str, percentiles: np.ndarray) -> np.ndarray | None:
    """One histogram's values in ms, without a walk over all its buckets for each percentile."""
    try:
        histogram = HdrHistogram.decode(text)
    except _UNREADABLE as error:
        raise UserError(
            f"a histogram in {TRIALS_FILE} is corrupted: {error}; restore it or measure again"
        ) from error
    counts = np.array(histogram.counts, dtype=np.int64)
    filled = np.flatnonzero(counts)
    if not filled.size:
        return None
    total = counts[filled].cumsum()
    wanted = np.maximum(np.ceil(percentiles / 100 * total[-1] - 1e-9), 1)
    values = map(histogram.get_value_from_index, filled[np.searchsorted(total, wanted)].tolist())
    values_ms = np.array(list(map(histogram.get_highest_equivalent_value, values))) / 1e6
    known = (100 - percentiles) * total[-1] >= 100 - 1e-6
    return np.where(known, values_ms, np.nan)
