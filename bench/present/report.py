"""The report of one run: verdicts.json, charts/ and report.html, and the verdict in words.

It puts together what analysis and figures say; it must not compute a conclusion of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analyse.claimed import Claim, claims_of
from bench.analyse.claimed import as_verdict as as_claim
from bench.analyse.crossings import Crossing, crossings_of
from bench.analyse.crossings import as_verdict as as_crossover
from bench.analyse.frames import cells_frame, trials_frame, with_limits
from bench.analyse.ladder import Decomposition, as_verdict, ladders_of
from bench.analyse.mistake import Loss, losses_of
from bench.analyse.prediction import Modelled, model_of_run
from bench.analyse.prediction import as_verdict as as_model
from bench.analyse.verdicts import Comparison, confidence, judge, margin, read_comparisons
from bench.errors import UserError
from bench.present import claims as claim_words
from bench.present import crossings as crossing_lines
from bench.present import ladders, mistakes, predictions, scripts, waits
from bench.present.charts import draw_curves, draw_figures, draw_maps
from bench.present.crossings import crossings_section
from bench.present.environment import environment
from bench.present.explorer import as_json, explorer_data
from bench.present.page import Detail, Table, pictures, write_page
from bench.present.style import Style, styles
from bench.present.targets import TARGETS_TABLE, limits_section, target_rows
from bench.present.units import count_text, factor_text, interval_text
from bench.present.words import Section, setting_text, varying_settings, verdict_words
from bench.store import Run, read_run, read_waits, write_verdicts

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
    found = _Findings(
        read_comparisons(verdicts),
        crossings_of(run),
        ladders_of(run),
        losses_of(run),
        read_waits(run),
        model_of_run(run, trials_frame(run)),
        claims_of(run),
    )
    verdicts["claims"] = [as_claim(each) for each in found.claims]
    verdicts["crossovers"] = [as_crossover(each) for each in found.crossings]
    verdicts["ladders"] = [as_verdict(ladder) for ladder in found.ladders]
    verdicts["model"] = as_model(found.modelled)
    sections = verdict_words(run, found.compared, verdicts["summary"], _sections(run, found))
    path = write_verdicts(run.folder, verdicts)
    page = _write_page(run, found, sections)
    return Report(run, sections, page, run.folder / CHARTS, path)


@dataclass(frozen=True)
class _Findings:
    """What was concluded before anything is shown."""

    compared: Sequence[Comparison]
    crossings: Sequence[Crossing]
    ladders: Sequence[Decomposition]
    losses: Sequence[Loss]
    waits: Sequence[Mapping[str, Any]]
    modelled: Modelled
    claims: Sequence[Claim]


def _sections(run: Run, found: _Findings) -> list[Section]:
    """What the words say besides the pairs."""
    return [
        crossings_section(found.crossings),
        *claim_words.sections(found.claims),
        ladders.words(found.ladders),
        mistakes.words(found.losses),
        waits.words(found.waits),
        predictions.words(found.modelled),
        limits_section(run),
    ]


def _write_page(run: Run, found: _Findings, sections: list[Section]) -> Path:
    charts = run.folder / CHARTS
    trials = trials_frame(run)
    cells = with_limits(cells_frame(trials, confidence(run)), run.info["targets"])
    looks = styles([target["name"] for target in run.info["targets"]])
    return write_page(
        run.folder / REPORT_FILE,
        "report.html.j2",
        title=run.info.get("title") or run.name,
        subtitle=_subtitle(run),
        warning=_warning(run),
        sections=sections,
        maps=pictures(draw_maps(charts, found.compared)),
        figures=pictures(draw_curves(charts, trials, cells, looks)),
        details=list(_details(charts, found, looks)),
        targets=Table(TARGETS_TABLE, target_rows(run)),
        comparisons=_comparison_rows(found.compared),
        invalid=[_invalid_row(row) for row in _invalid(cells)],
        invalid_count=int((~trials["valid"]).sum()),
        slices=len(trials),
        confidence=round(100 * confidence(run)),
        equal_low=factor_text(1 / (1 + margin(run))),
        equal_high=factor_text(1 + margin(run)),
        environment=environment(run),
        run=run.name,
        explorer=as_json(
            explorer_data(
                trials,
                cells,
                found.compared,
                run.info["targets"],
                looks,
                confidence(run),
                found.modelled.parameters,
            )
        ),
        plotly=scripts.plotly(),
        scripts=scripts.own(scripts.EXPLORER),
    )


def _details(charts: Path, found: _Findings, looks: Mapping[str, Style]) -> Iterator[Detail]:
    """The parts of the page that only some runs have."""
    parts = (
        (
            "claims",
            claim_words.HEADING,
            claim_words.TEXT,
            claim_words.drawings(found.claims),
            Table(claim_words.TABLE, claim_words.rows(found.claims)),
        ),
        (
            "crossovers",
            "Where one overtakes the other",
            "The connections at which the ratio of throughputs crosses 1 and the two margins"
            " within which it is called equal, with an interval that covers the truth in"
            " 95% of cases; ? is an end beyond what was measured.",
            crossing_lines.drawings(found.crossings),
            Table(crossing_lines.TABLE, crossing_lines.rows(found.crossings)),
        ),
        (
            "ladders",
            "Where the difference comes from",
            "Each step changes one thing. Only rounds in which every rung is valid count, so the"
            " steps multiply to the total. Share is a step's part of the log of the total.",
            ladders.drawings(found.ladders),
            Table(ladders.TABLE, ladders.rows(found.ladders)),
        ),
        (
            "mistake",
            "The mistake: calls that block",
            "The same time, once as a wait and once as a library call that blocks the thread it"
            " runs in. In an event loop that thread serves everybody.",
            mistakes.drawings(found.losses, looks),
            Table(mistakes.TABLE, mistakes.rows(found.losses)),
        ),
        (
            "waits",
            "Delivered delay",
            "How much longer than asked a wait took, as the server itself recorded it.",
            waits.drawings(found.waits, looks),
            Table(waits.TABLE, waits.rows(found.waits)),
        ),
        (
            "model",
            "Can a model predict it?",
            predictions.TEXT,
            predictions.drawings(found.modelled, looks),
            Table(predictions.ERRORS_TABLE, predictions.error_rows(found.modelled)),
        ),
        (
            "causes",
            "Why each cell gives no more",
            predictions.CELLS_TEXT,
            (),
            Table(predictions.CELLS_TABLE, predictions.cell_rows(found.modelled)),
        ),
    )
    for name, heading, text, drawings, table in parts:
        if table.rows:
            yield Detail(name, heading, text, pictures(draw_figures(charts, drawings)), table)


def _subtitle(run: Run) -> str:
    rounds = run.info.get("rounds_done", 0)
    started = str(run.info.get("started") or "").replace("T", " ")[:16]
    return f"Run {run.name}, started {started} UTC, {rounds} rounds, {len(run.trials)} slices."


def _warning(run: Run) -> str | None:
    if run.info["state"] == "complete":
        return None
    return f"This run is not complete ({run.info['state']}): it shows what was measured so far."


def _comparison_rows(compared: Sequence[Comparison]) -> list[dict[str, Any]]:
    varying = varying_settings(compared)
    return [_comparison_row(comparison, varying) for comparison in compared]


def _comparison_row(c: Comparison, varying: set[str]) -> dict[str, Any]:
    return {
        "pair": f"{c.a} / {c.b}",
        "connection": c.connection,
        "work": setting_text(c, varying),
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
