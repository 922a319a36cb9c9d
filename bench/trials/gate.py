"""How often is the gate wrong? Real gates, one after the other, counted and kept.

`aa`: base and head are the same program. `cpu`: head has a loop that costs 5% of the throughput.
`tail`: head lets 2% of its requests wait 2 ms longer. `noise`: the same program on both sides,
beside something that takes the processor now and then. Every gate appends a line with the ratios
of all its process pairs to gate-KIND.jsonl, so that a count can be gone on with; the slices of `aa`
go to gate-aa-slices.jsonl.

`--resample` holds gates on what the lines of `aa` have recorded. `--parent` gates the working tree
against the parent commit, and `--prove` shows that a gate can fail: both are for CI.
"""

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.gate.rule import Rule
from bench.measure.machine import CHECKOUT
from bench.trials.false_alarms import Rate, pairs_of, resampled
from bench.trials.gate_subjects import MODEL, Subject, subject

FOLDER = CHECKOUT / "results" / "reference" / "trials"
KINDS = ("aa", "cpu", "tail", "noise")
# What each kind is for: the outcome that must not be, and of how many gates.
WRONG = {"aa": "regression", "noise": "regression", "cpu": "pass", "tail": "pass"}
MEANINGS = {
    "aa": "the same program",
    "cpu": "a loop that costs 5% of the throughput",
    "tail": "2 ms more for 2% of the requests",
    "noise": "the same, beside a CPU hog",
}
DOCUMENT = CHECKOUT / "docs" / "ci.md"
MARKS = ("<!-- counts: make trial-gate-count -->", "<!-- end of counts -->")
OUTCOMES = {0: "pass", 1: "regression", 3: "inconclusive"}
LONGEST_S = 180.0
BUDGET = "1m"
RESAMPLED_PAIRS = 16
PROOF_TRIES = 3
PARENT_MODELS = ("asyncio", "threaded")
SHORT = (
    *("--path", "/delay=5ms"),
    *("--connections", "64"),
    *("--metrics", "throughput,cpu"),
    *("--margin", "0.05"),
)
_KEPT = (
    "started",
    "elapsed_s",
    "pairs",
    "slices",
    "ended",
    "seed",
    "budget_s",
    "rule",
    "in_turns",
    "offered_rps",
    "notes",
    "pair_ratios",
)
_OF_SLICE = {
    *("pair", "couple", "regime", "workload", "side", "order", "t_s", "steal_s", "valid"),
    *("invalid_reasons", "generator_at_fault", "errors", "requests", "served", "at_least"),
    *("throughput_rps", "server_cpu_us_per_request", "response_time_ms"),
}
# Takes a core for some tenths of a second, leaves it for as long, without a rhythm.
HOG = """
import random, time
while True:
    until = time.monotonic() + random.uniform(0.05, 0.5)
    while time.monotonic() < until:
        pass
    time.sleep(random.uniform(0.05, 0.5))
"""


def hold_gates(kind: str, gates: int, budget: str, file: Path) -> list[dict[str, Any]]:
    """Hold so many gates more; a line for each is appended as it ends."""
    with tempfile.TemporaryDirectory(prefix="crossover-gates-") as folder:
        what = subject(Path(folder), kind)
        for number in range(1, gates + 1):
            seed = len(read_lines(file)) + 1
            kept = Path(folder) / f"gate-{seed}"
            with hog() if kind == "noise" else _nothing():
                line = hold_one(what, seed, budget, kept)
            append(file, line)
            if kind == "aa":
                for each in slices_in(kept):
                    append(file.with_stem(f"{file.stem}-slices"), {"seed": seed, **each})
            took = f"{line['elapsed_s']:.0f} s" if "elapsed_s" in line else "no time"
            print(f"{kind} {number} of {gates}: {line['outcome']}, {took}", flush=True)
    return read_lines(file)


def hold_one(what: Subject, seed: int, budget: str, folder: Path) -> dict[str, Any]:
    """One gate as a line: its outcome and all its ratios, or what it said where it failed."""
    kept = folder.with_suffix(".json")
    words = ["--model", MODEL, "--budget", budget, "--seed", str(seed)]
    code, said = what.gate(*words, "--json", str(kept), "--out", str(folder))
    line: dict[str, Any] = {"head": dict(what.head), "model": MODEL, "exit_code": code}
    if code not in OUTCOMES:
        return {**line, "outcome": "error", "said": said.strip().splitlines()[-5:]}
    gate = json.loads(kept.read_text())
    decision = gate["decision"]
    return {
        **line,
        "outcome": decision["outcome"],
        "reasons": decision["reasons"],
        "findings": [
            {key: value for key, value in finding.items() if key != "reason"}
            for finding in decision["findings"]
        ],
        **{key: gate.get(key) for key in _KEPT},
        "cpu": gate["machine"]["cpu"],
        "python": gate["python"]["version"],
    }


def slices_in(folder: Path) -> list[dict[str, Any]]:
    """The slices of a gate without what it does not decide on, to be held against its ratios."""
    lines = read_lines(folder / "slices.jsonl")
    return [{key: value for key, value in line.items() if key in _OF_SLICE} for line in lines]


@contextmanager
def hog() -> Iterator[None]:
    """Something that takes a core now and then, wherever the system puts it."""
    process = subprocess.Popen([sys.executable, "-I", "-c", HOG])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def append(file: Path, line: Mapping[str, Any]) -> None:
    """Write a gate down."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, allow_nan=False) + "\n")


def read_lines(file: Path) -> list[dict[str, Any]]:
    """All gates of a file; none where there is no such file."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def summary(kind: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """The counts of a kind, and the bound that they imply on the outcome that must not be."""
    held = [line for line in lines if line["outcome"] != "error"]
    counts = {name: sum(line["outcome"] == name for line in held) for name in OUTCOMES.values()}
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    longest_s = max((line["elapsed_s"] for line in held), default=0.0)
    measured = ", ".join(f"{metric} {ratio:.3f}" for metric, ratio in means(held).items())
    errors = len(lines) - len(held)
    return (
        f"{kind}: {len(held)} gates: {listed}; {WRONG[kind]}: "
        f"{Rate(counts[WRONG[kind]], len(held))}; longest {longest_s:.0f} s; head / base: "
        f"{measured or 'nothing'}" + (f"; {errors} could not be held" if errors else "")
    )


def means(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """head / base of every metric, the geometric mean over all gates that have one."""
    logs: dict[str, list[float]] = {}
    for line in lines:
        for finding in line.get("findings", ()):
            if finding["ratio"]:
                logs.setdefault(finding["metric"], []).append(math.log(finding["ratio"]))
    return {metric: math.exp(statistics.fmean(values)) for metric, values in logs.items()}


def table(folder: Path) -> str:
    """The counts of all kinds as a table of docs/ci.md."""
    rows = [
        "| head | gates | pass | regression | inconclusive | must not be | head / base | longest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        lines = [x for x in read_lines(folder / f"gate-{kind}.jsonl") if x["outcome"] != "error"]
        counts = [sum(x["outcome"] == name for x in lines) for name in OUTCOMES.values()]
        rate = Rate(sum(x["outcome"] == WRONG[kind] for x in lines), len(lines))
        longest_s = max((x["elapsed_s"] for x in lines), default=0.0)
        measured = ", ".join(f"{metric} {ratio:.3f}" for metric, ratio in means(lines).items())
        bound = f"{WRONG[kind]}: {rate}"
        cells = [MEANINGS[kind], len(lines), *counts, bound, measured or "-", f"{longest_s:.0f} s"]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def write_table(document: Path, folder: Path) -> None:
    """Put the counts into the document, between its two marks."""
    before, _, rest = document.read_text(encoding="utf-8").partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        raise UserError(f"{document}: has no {MARKS[0]} and {MARKS[1]} for the counts")
    document.write_text(f"{before}{MARKS[0]}\n{table(folder)}\n{mark}{after}", encoding="utf-8")


def resample(file: Path, times: int) -> int:
    """Print the false alarms of gates that are held on recorded pairs; 1 where they exceed 1%."""
    pairs = pairs_of(read_lines(file))
    if len(pairs) < RESAMPLED_PAIRS:
        raise UserError(f"{file} holds {len(pairs)} pairs: hold some gates of equal sides first")
    rates = resampled(pairs, times, RESAMPLED_PAIRS, Rule(), random.Random(1))
    alarms = rates["regression"]
    for outcome, rate in rates.items():
        print(f"{outcome}: {rate.events} of {rate.of}")
    print(
        f"{len(pairs)} recorded pairs, signs flipped, {times} gates: false alarms "
        f"{alarms.events / alarms.of:.2%} [{alarms.lower:.2%}, {alarms.upper:.2%}]; target 1%"
    )
    return int(alarms.lower > Rule().level)


def gate_parent(budget: str, models: Sequence[str]) -> int:
    """Gate the working tree against the parent commit; only a regression or an error fails."""
    found = subprocess.run(
        ["git", "-C", str(CHECKOUT), "rev-parse", "--verify", "--quiet", "HEAD~1"],
        capture_output=True,
        check=False,
    )
    if found.returncode:
        print("gate: there is no parent commit here (a shallow clone, or the first): skipped")
        return 0
    worst = 0
    for model in models:
        print(f"gate: {model}, the working tree against the parent commit", flush=True)
        options = ["--base", "HEAD~1", "--model", model, "--budget", budget, *SHORT]
        gate = [sys.executable, "-P", "-m", "bench", "gate", *options]
        worst = max(worst, tolerant(subprocess.run(gate, cwd=CHECKOUT, check=False).returncode))
    return worst


def tolerant(code: int) -> int:
    """The exit code of a gate whose "cannot be told" is let through, and nothing else is."""
    return 0 if code == 3 else code


def prove(budget: str) -> int:
    """Show that a gate can fail: a head of half the speed must be caught. 0 if it is.

    What a busy machine leaves inconclusive is tried again; what is passed is not.
    """
    with tempfile.TemporaryDirectory(prefix="crossover-gates-") as folder:
        what = subject(Path(folder), "gross")
        for number in range(1, PROOF_TRIES + 1):
            out = str(Path(folder) / f"gate-{number}")
            code, said = what.gate("--model", MODEL, "--budget", budget, "--out", out, *SHORT)
            print(said.strip(), flush=True)
            if code != 3:
                break
    if code != 1:
        print(f"gate: a head of half the speed was NOT caught: exit code {code}")
        return 1
    print("gate: a head of half the speed was caught")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold gates and count; 0 unless an outcome was one that must not be."""
    parser = argparse.ArgumentParser(prog="python -m bench.trials.gate", description=__doc__)
    parser.add_argument("kind", nargs="?", choices=KINDS, help="what head is")
    parser.add_argument("--gates", type=int, default=1, help="how many to hold")
    parser.add_argument("--budget", help=f"of each gate ({BUDGET}; 18s with --parent and --prove)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the lines are kept")
    parser.add_argument("--count", action="store_true", help="put the counts into docs/ci.md")
    parser.add_argument("--resample", action="store_true", help="false alarms on recorded pairs")
    parser.add_argument("--times", type=int, default=10_000, help="how many resampled gates")
    parser.add_argument("--parent", action="store_true", help="gate the working tree")
    parser.add_argument("--models", default=",".join(PARENT_MODELS), help="which, with --parent")
    parser.add_argument("--prove", action="store_true", help="show that a gate can fail")
    options = parser.parse_args(arguments)
    if options.count:
        print(table(options.folder))
        write_table(DOCUMENT, options.folder)
        return 0
    if options.resample:
        return resample(options.folder / "gate-aa.jsonl", options.times)
    if options.parent or options.prove:
        code = (
            gate_parent(options.budget or "18s", options.models.split(",")) if options.parent else 0
        )
        return code or (prove(options.budget or "18s") if options.prove else 0)
    if options.kind is None:
        parser.error("say which kind, or --count, --resample, --parent, --prove")
    file = options.folder / f"gate-{options.kind}.jsonl"
    lines = hold_gates(options.kind, options.gates, options.budget or BUDGET, file)
    print(summary(options.kind, lines))
    held = lines[-options.gates :]
    return int(any(is_wrong(options.kind, line) for line in held))


def is_wrong(kind: str, line: Mapping[str, Any]) -> bool:
    """Whether a gate was not held, took too long, or ended as it must not."""
    late = line.get("elapsed_s", 0.0) > LONGEST_S
    return late or line["outcome"] in ("error", WRONG[kind])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"gate trial: {failure}", file=sys.stderr)
        sys.exit(2)
