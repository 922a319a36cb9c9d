"""How far a run reaches, besides its counts: what a reader has to know before using a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.analyse.limits import count_of
from bench.present.units import count_text, list_text, number_text, work_text
from bench.store import CELL_KEYS, Run


def caveats(run: Run) -> list[str]:
    """One sentence each, the plainest last."""
    found = [str(note) for note in run.info.get("notes") or ()]
    found += _shared_core(run) + _ceiling(run) + _unsettled(run)
    if run.torn:
        found.append("The last slice was cut off while it was written and is left out.")
    found.append("It holds for this machine, these versions and the connections measured.")
    return found


def _ceiling(run: Run) -> list[str]:
    """What the generator itself could do there, as far as the run tells."""
    ceiling = run.info.get("generator_ceiling") or {}
    rate, floor = ceiling.get("ceiling_rps"), (ceiling.get("floor_ms") or {}).get("p50")
    if not rate or not floor:
        return []
    return [
        f"The generator could ask for at most {count_text(round(rate))} requests a second there,"
        f" and saw a reply in {number_text(floor, 2)} ms at the earliest: what comes near these is"
        " its own limit."
    ]


def _unsettled(run: Run) -> list[str]:
    """The cells whose target had mostly not settled when a window opened."""
    slices: dict[tuple[Any, ...], list[bool]] = {}
    for trial in run.trials:
        if trial.get("settled") is not None:
            slices.setdefault(tuple(trial[key] for key in CELL_KEYS), []).append(trial["settled"])
    unsettled = [key for key, settled in slices.items() if 2 * sum(settled) < len(settled)]
    names = [_cell_text(dict(zip(CELL_KEYS, key, strict=True))) for key in unsettled]
    return [
        f"Still speeding up or slowing down when most of their windows opened: {list_text(names)}."
    ][: len(names)]


def _cell_text(cell: Mapping[str, Any]) -> str:
    place = f"{cell['target']} at {work_text(cell['work'], cell['delay_s'])}"
    return f"{place} x {cell['connections']} ({cell['connection']})"


def _shared_core(run: Run) -> list[str]:
    """Whether server and generator shared a core: always, or with so many cores for the server."""
    shared = sorted({trial["server_cores"] for trial in run.trials if trial.get("shared_core")})
    if run.info.get("shared_core"):
        return ["Server and generator shared a core, so each slowed the other."]
    cores = [count_of(count, "server core") for count in shared]
    return [
        f"With {list_text(cores)} server and generator shared a core, so each slowed the other."
    ][: len(cores)]
