"""The report of one run: verdicts.json, charts/ and report.html, and the verdict in words.

It puts together what analysis and figures say; it must not compute a conclusion of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analyse.frames import cells_frame, trials_frame
from bench.analyse.verdicts import Comparison, judge, read_comparisons
from bench.errors import UserError
from bench.present.charts import draw_curves, draw_maps
from bench.present.environment import environment
from bench.present.page import pictures, write_page
from bench.present.style import styles
from bench.present.units import count_text, factor_text, interval_text
from bench.present.words import Section, setting_text, verdict_words
from bench.store import Run, read_run, write_verdicts

REPORT_FILE = "report.html"
CHARTS = "charts"


@dataclass(frozen=True)
class Report:
    """What was written, and the verdict in words."""

    run: Run
    sections: list[Section]
    page: Path
    charts: Path
    verdicts: Path


def write_report(folder: Path | str) -> Report:
    """Analyse a run and write all its conclusions into its folder.

    UserError for a run that cannot be read, that has no slice, or a folder that cannot be written.
    """
    run = read_run(folder)
    if not run.trials:
        raise UserError(f"{run.folder} has no finished slice, so there is nothing to report")
    verdicts = judge(run)
    compared = read_comparisons(verdicts)
    sections = verdict_words(run, compared, verdicts["summary"])
    path = write_verdicts(run.folder, verdicts)
    page = _write_page(run, compared, sections)
    return Report(run, sections, page, run.folder / CHARTS, path)


def _write_page(run: Run, compared: Sequence[Comparison], sections: list[Section]) -> Path:
    charts = run.folder / CHARTS
    trials = trials_frame(run)
    confidence = float(run.config.get("confidence", 0.95))
    margin = float(run.config.get("margin", 0.05))
    cells = cells_frame(trials, confidence)
    targets = styles([target["name"] for target in run.info["targets"]])
    return write_page(
        run.folder / REPORT_FILE,
        "report.html.j2",
        title=run.info.get("title") or run.name,
        subtitle=_subtitle(run),
        warning=_warning(run),
        sections=sections,
        maps=pictures(draw_maps(charts, compared)),
        figures=pictures(draw_curves(charts, trials, cells, targets)),
        comparisons=[_comparison_row(comparison) for comparison in compared],
        invalid=[_invalid_row(row) for row in _invalid(cells)],
        invalid_count=int((~trials["valid"]).sum()),
        slices=len(trials),
        confidence=round(100 * confidence),
        equal_low=factor_text(1 / (1 + margin)),
        equal_high=factor_text(1 + margin),
        environment=environment(run),
        run=run.name,
    )


def _subtitle(run: Run) -> str:
    rounds = run.info.get("rounds_done", 0)
    started = str(run.info.get("started") or "").replace("T", " ")[:16]
    return f"Run {run.name}, started {started} UTC, {rounds} rounds, {len(run.trials)} slices."


def _warning(run: Run) -> str | None:
    if run.info["state"] == "complete":
        return None
    return f"This run is not complete ({run.info['state']}): it shows what was measured so far."


def _comparison_row(c: Comparison) -> dict[str, Any]:
    return {
        "pair": f"{c.a} / {c.b}",
        "connection": c.connection,
        "work": setting_text(c),
        "connections": count_text(c.connections),
        "metric": c.metric,
        "ratio": factor_text(c.ratio),
        "interval": interval_text(c.low, c.high),
        "rounds": c.rounds,
        "label": c.label,
        "reason": c.reason or "",
    }


def _invalid(cells: pd.DataFrame) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = cells[cells["invalid"] > 0].to_dict("records")
    return rows


def _invalid_row(cell: Mapping[str, Any]) -> dict[str, Any]:
    reasons = (f"{reason} ({count}x)" for reason, count in cell["reasons"].most_common())
    return {**cell, "connections": count_text(cell["connections"]), "reasons": "; ".join(reasons)}
