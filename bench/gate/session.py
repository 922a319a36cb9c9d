"""One gate from its two sides to gate.json: built, measured, decided, kept."""

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.gate import micro
from bench.gate.arms import Arm, are_same, arms_of, require_own_files
from bench.gate.decide import decide
from bench.gate.git import repository_at
from bench.gate.measure import Measured, PairsOfProcesses
from bench.gate.outputs import decision_content
from bench.gate.pairs import SIDES, Side, design_for
from bench.gate.record import Record, new_folder, write_text
from bench.gate.settings import Settings
from bench.gate.slices import pair_ratios_of, samples_of
from bench.measure import machine
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.interrupts import InterruptedRunError, held_back, interruptible
from bench.measure.machine import require_descriptors

SPARE_DESCRIPTORS = 64
# What uses less of the server than this is not limited by it.
SATURATED_FROM = 0.8
# How long each micro-benchmark runs at most, in each process.
MICRO_S = 0.1
Tell = Callable[[str], None]


def hold_gate(
    asked: Mapping[Side, str], settings: Settings, out: Path | None, tell: Tell
) -> dict[str, Any]:
    """Build and measure both sides, and decide; the content of gate.json.

    Raises UserError for wrong use, for what cannot be built or started, and where nothing was
    measured. What was measured until then is in the folder.
    """
    rule, workloads = settings.rule, settings.asked
    require_descriptors(2 * max(each.connections for each in workloads) + SPARE_DESCRIPTORS)
    with _begun(asked, settings, out, tell) as begun:
        gate = PairsOfProcesses(
            begun.arms,
            workloads,
            design_for(
                settings.budget_s,
                len(workloads),
                is_open=any(w.may_be_open for w in workloads),
                in_turns=settings.in_turns,
            ),
            begun.cores,
            settings.seed,
            begun.record.append,
            begun.look_at_files,
        )
        least, most = settings.least_pairs, settings.most_pairs
        measured = gate.run(settings.budget_s, least, most, rule, tell)
        samples = samples_of(measured.lines, measured.metrics)
        decision = decide(samples, rule, measured.failures)
        begun.record.update(
            ended=measured.ended,
            pairs=measured.pairs,
            slices=len(measured.lines),
            workloads=[
                {"path": w.path, "connections": w.connections, "arrivals": w.arrivals}
                for w in workloads
            ],
            offered_rps={name: known.rate_rps for name, known in measured.known.items()},
            notes=[*begun.notes, *_of_measured(measured, in_turns=settings.in_turns)],
            pair_ratios=pair_ratios_of(measured.lines, measured.metrics),
            decision=decision_content(decision),
        )
    return begun.record.info


def hold_micro(
    asked: Mapping[Side, str],
    settings: Settings,
    path: str,
    export: Path | None,
    out: Path | None,
    tell: Tell,
) -> dict[str, Any]:
    """The same on the micro-benchmarks below a path; `export` gets head's as pytest-benchmark's."""
    command = micro.command_for(path, MICRO_S)
    recipe = replace(settings.recipe, command=command, serves=False)
    settings = replace(settings, recipe=recipe, in_turns=True)
    rule = settings.rule
    with _begun(asked, settings, out, tell) as begun:
        for side, arm in begun.arms.items():
            if not (arm.cwd / path).exists():
                raise UserError(f"--micro-path {path}: {side} has no such file or folder")
        runs = micro.PairsOfRuns(
            begun.arms,
            begun.temporary,
            begun.cores.server,
            settings.seed,
            begun.record.append,
            begun.look_at_files,
        )
        measured = runs.run(settings.budget_s, settings.least_pairs, rule, tell)
        samples = micro.samples_of(measured.lines)
        decision = decide(samples, rule, measured.failures)
        begun.record.update(
            ended=measured.ended,
            pairs=measured.pairs,
            slices=len(measured.lines),
            notes=[*begun.notes, *micro.notes_of(measured.lines)],
            pair_ratios={
                each.workload: {each.metric: [round(math.exp(r), 6) for r in each.ratios]}
                for each in samples
            },
            decision=decision_content(decision),
        )
        if export is not None:
            write_text(export, json.dumps(micro.exported(measured.reports), indent=1) + "\n")
    return begun.record.info


@dataclass(frozen=True)
class _Begun:
    """A gate whose sides are built and whose folder is made."""

    arms: Mapping[Side, Arm]
    cores: CoreChoice
    record: Record
    notes: list[str]
    temporary: Path

    def look_at_files(self) -> None:
        """Refuse a side that runs files which are not its own."""
        require_own_files(self.arms, self.temporary, _root_of(self.arms))


@contextmanager
def _begun(
    asked: Mapping[Side, str], settings: Settings, out: Path | None, tell: Tell
) -> Iterator[_Begun]:
    """Build both sides and begin the record; it tells how the gate ended, whatever happens."""
    began_s = time.monotonic()
    with _interrupts(), _temporary_folder() as temporary:
        arms = arms_of(asked, settings.recipe, temporary)
        cores = cores_here()
        notes = _notes(arms, cores)
        record = Record(out or new_folder(), _about(arms, settings, cores))
        try:
            for note in notes:
                tell(f"note: {note}")
            yield _Begun(arms, cores, record, notes, temporary)
        except UserError as error:
            record.update(state="failed", error=str(error))
            raise
        except InterruptedRunError:
            record.update(state="interrupted")
            tell(f"interrupted; what was measured is in {record.folder}")
            raise
        finally:
            record.close()
    record.update(
        state="complete",
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        elapsed_s=round(time.monotonic() - began_s, 1),
    )
    tell(f"all that was measured is in {record.folder}")


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = tempfile.TemporaryDirectory(prefix="crossover-gate-")
    try:
        yield Path(folder.name)
    finally:
        with held_back():
            folder.cleanup()


@contextmanager
def _interrupts() -> Iterator[None]:
    """Whatever signal asks the gate to end, it ends as with Ctrl-C, and cleans up."""
    try:
        with interruptible():
            yield
    except InterruptedRunError:
        raise KeyboardInterrupt from None


def _about(arms: Mapping[Side, Arm], settings: Settings, cores: CoreChoice) -> dict[str, Any]:
    """What can be told before anything is measured."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **{
            side: {
                "source": arm.source,
                "command": list(arm.words),
                "commit": arm.commit,
                "tree": arm.tree,
                "own_environment": arm.environment is not None,
            }
            for side, arm in arms.items()
        },
        "rule": {
            "margin": settings.margin,
            "margins": dict(settings.margins),
            "promises": dict(settings.promises),
            "level": settings.rule.level,
            "power": settings.rule.power,
            "valid_share": settings.rule.valid_share,
        },
        "budget_s": settings.budget_s,
        "least_pairs": settings.least_pairs,
        "in_turns": settings.in_turns,
        "seed": settings.seed,
        "server_cores": list(cores.server),
        "generator_cores": list(cores.generator),
        "machine": machine.describe_machine(),
        "python": machine.describe_python(),
    }


def _notes(arms: Mapping[Side, Arm], cores: CoreChoice) -> list[str]:
    notes = []
    if are_same(arms):
        notes.append("base and head are the same files: this measures nothing but noise")
    if cores.shared:
        notes.append("server and generator share a core: a busy generator slows the server")
    return notes


def _of_measured(measured: Measured, *, in_turns: bool) -> list[str]:
    """What a reader should know of the measurement."""
    notes = [note for known in measured.known.values() for note in known.notes]
    sides = 1 if in_turns else len(SIDES)  # that use the same cores at once
    for name in measured.known:
        busy = [
            line["server_cpu_utilisation"]
            for line in measured.lines
            if (line["workload"], line["regime"]) == (name, "closed")
            and line["server_cpu_utilisation"] is not None
        ]
        if busy and (share := sides * sum(busy) / len(busy)) < SATURATED_FROM:
            notes.append(
                f"{name} keeps the server busy for {share:.0%} of the time only: "
                "its throughput hardly sees what a request costs, its CPU per request does"
            )
    return notes


def _root_of(arms: Mapping[Side, Arm]) -> Path | None:
    """The folder of the repository from which the gate was called, where a side is of one."""
    if not any(arm.checkout for arm in arms.values()):
        return None
    return repository_at(Path.cwd(), "gate").root
