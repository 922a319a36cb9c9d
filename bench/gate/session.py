"""One gate from its two sides to gate.json: built, measured, decided, kept."""

import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.gate.arms import Arm, are_same, arms_of, require_own_files
from bench.gate.decide import Decision, decide
from bench.gate.git import repository_at
from bench.gate.measure import Measured, PairsOfProcesses
from bench.gate.outputs import decision_content
from bench.gate.pairs import Side, design_for
from bench.gate.record import Record, new_folder
from bench.gate.settings import Settings
from bench.gate.slices import failures_of, pair_ratios_of, samples_of
from bench.measure import machine
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.machine import require_descriptors

SPARE_DESCRIPTORS = 64
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
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crossover-gate-") as temporary:
        compiled = Path(temporary)
        arms = arms_of(asked, settings.recipe, compiled)
        cores = cores_here()
        record = Record(out or new_folder(), _about(arms, settings, cores))
        notes = _notes(arms, cores)
        for note in notes:
            tell(f"note: {note}")
        try:
            gate = PairsOfProcesses(
                arms,
                workloads,
                design_for(
                    settings.budget_s, len(workloads), is_open=any(w.may_be_open for w in workloads)
                ),
                cores,
                settings.seed,
                record.append,
                lambda: require_own_files(arms, compiled, _root_of(arms)),
            )
            measured = gate.run(
                settings.budget_s, settings.least_pairs, settings.most_pairs, rule, tell
            )
            decision = _decided(measured, settings)
        except UserError as error:
            record.update(state="failed", error=str(error))
            raise
        except KeyboardInterrupt:
            record.update(state="interrupted")
            raise
        finally:
            record.close()
    record.update(
        state="complete",
        ended=measured.ended,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        elapsed_s=round(time.monotonic() - began_s, 1),
        pairs=measured.pairs,
        slices=len(measured.lines),
        offered_rps={name: known.rate_rps for name, known in measured.known.items()},
        notes=[*notes, *_of_measured(measured)],
        pair_ratios=pair_ratios_of(measured.lines, measured.metrics),
        decision=decision_content(decision),
    )
    tell(f"all slices are in {record.folder}")
    return record.info


def _decided(measured: Measured, settings: Settings) -> Decision:
    failures = failures_of(measured.lines)
    return decide(samples_of(measured.lines, measured.metrics), settings.rule, failures)


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
        "workloads": [
            {"path": w.path, "connections": w.connections, "arrivals": w.arrivals}
            for w in settings.asked
        ],
        "rule": {
            "margin": settings.margin,
            "margins": dict(settings.margins),
            "promises": dict(settings.promises),
            "level": settings.rule.level,
            "power": settings.rule.power,
        },
        "budget_s": settings.budget_s,
        "least_pairs": settings.least_pairs,
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


def _of_measured(measured: Measured) -> list[str]:
    """What a reader should know of the measurement."""
    notes = []
    for name in measured.known:
        busy = [
            line["server_cpu_utilisation"]
            for line in measured.lines
            if (line["workload"], line["regime"]) == (name, "closed")
            and line["server_cpu_utilisation"] is not None
        ]
        if busy and sum(busy) / len(busy) < SATURATED_FROM:
            notes.append(
                f"{name} keeps the server busy for {sum(busy) / len(busy):.0%} of the time only: "
                "its throughput hardly sees what a request costs, its CPU per request does"
            )
    return notes


SATURATED_FROM = 0.8


def _root_of(arms: Mapping[Side, Arm]) -> Path | None:
    """The folder of the repository from which the gate was called, where a side is of one."""
    if not any(arm.checkout for arm in arms.values()):
        return None
    return repository_at(Path.cwd(), "gate").root
