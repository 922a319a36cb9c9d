"""The README's picture and its sentences on "when?", written from a committed run.

`python -m bench.present.readme [RUN]` puts them between two markers in README.md. Each figure
comes from the run's slices, with its interval; a sentence that the run has no data for is left out.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.analyse.crossings import Crossing, crossings_of
from bench.analyse.verdicts import Comparison, comparisons
from bench.analyse.works import is_plain
from bench.errors import UserError, cannot_write
from bench.present.crossings import level_text
from bench.present.units import count_text, delay_text, factor_text, interval_text, list_text
from bench.store import Run, read_run

RUN = Path("results/reference/quick")
README = Path("README.md")
FIRST, SECOND, ONE_AT_A_TIME = "uvloop", "threaded", "blocking"
BEGIN, END = "<!-- begin: make readme -->", "<!-- end: make readme -->"


def block(run: Run, folder: Path) -> str:
    """The picture, its caption and at most three sentences; `folder` is the run's, for links."""
    compared = [
        c
        for c in comparisons(run)
        if c.metric == "throughput" and is_plain(c.work) and c.workers in (None, 1)
    ]
    pair = [c for c in compared if c.pair == (FIRST, SECOND, "keep-alive")]
    told = [
        *_nothing_to_wait_for(pair, crossings_of(run)),
        *_waiting([c for c in pair if c.delay_s > 0]),
        *_one_at_a_time([c for c in compared if (c.a, c.b) == (FIRST, ONE_AT_A_TIME) and c.ratio]),
    ]
    lines = [
        f"![Where {FIRST} beats threads]({folder}/charts/map-{FIRST}-{SECOND}-keep-alive.png)",
        "",
        _filled(f"*{_caption(run, folder)}*"),
        "",
        *(_filled(f"- {sentence}", "  ") for sentence in told),
    ]
    return "\n".join(lines)


def replaced(text: str, inner: str) -> str:
    """The text with what stands between the markers replaced. UserError if they are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{README} lacks the lines {BEGIN} and {END}: put them back")
    return f"{before}{BEGIN}\n{inner}\n{END}{after}"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, 106, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _caption(run: Run, folder: Path) -> str:
    machine: dict[str, Any] = run.info.get("machine") or {}
    python: dict[str, Any] = run.info.get("python") or {}
    cores = (machine.get("cpu") or {}).get("cores_available")
    is_virtual = (machine.get("virtualisation") or {}).get("hypervisor")
    kind = "virtual machine" if is_virtual else "machine"
    where = f"a {cores}-core {kind}" if cores else f"a {kind}"
    version = ".".join(str(python.get("version", "")).split(".")[:2])
    profile = run.info.get("profile")
    how = "make bench" if profile == "quick" else f"make bench PROFILE={profile}"
    return (
        f"{FIRST} against a thread per connection, keep-alive, on {where} with"
        f" {python.get('implementation', 'Python')} {version} ([the run]({folder}/run.json),"
        f" `{how}`; `crossover report {folder}` prints all of it). Figures are throughput of"
        f" {FIRST} over the other's, with 95% intervals:"
    )


def _nothing_to_wait_for(
    pair: Sequence[Comparison], crossings: Sequence[Crossing]
) -> Iterator[str]:
    """At a delay of 0: who is ahead where, and where one overtakes the other."""
    mine = [c for c in pair if c.delay_s == 0]
    if not mine:
        return
    crossed = [
        level_text(each.found, each.connections[-1])
        for each in crossings
        if (each.a, each.b, each.point["connection"]) == (FIRST, SECOND, "keep-alive")
        and each.point["work"] == "/"
        and each.found.at is not None
        and each.found.certain
    ]
    overtakes = f"; one overtakes the other at about {crossed[0]} connections" if crossed else ""
    yield f"**With nothing to wait for** {_who(mine)}{overtakes}."


def _waiting(pair: Sequence[Comparison]) -> Iterator[str]:
    """With each wait: who is ahead where."""
    delays_s = sorted({c.delay_s for c in pair})
    parts = [f"of {delay_text(d)} {_who([c for c in pair if c.delay_s == d])}" for d in delays_s]
    if parts:
        yield f"**With a wait** {'; '.join(parts)}."


def _who(row: Sequence[Comparison]) -> str:
    """Who is ahead at how many connections, and most at which; equal and not judged as well."""
    parts = []
    for verdict, winner in (("A", f"{FIRST} is ahead"), ("B", "threads are ahead")):
        won = [c for c in row if c.verdict == verdict]
        if won:
            best = max(won, key=lambda c: abs(math.log(c.ratio or 1)))
            where = _counts(won)
            most = "" if len(won) == 1 else f", most at {count_text(best.connections)}"
            parts.append(f"{winner} at {where}{most}: {_ratio(best)}")
    equal = [c for c in row if c.verdict == "equal"]
    if equal:
        within = interval_text(min(c.low or 0 for c in equal), max(c.high or 0 for c in equal))
        parts.append(f"the two are equal at {_counts(equal)} (within {within})")
    for verdict, name in (("undecided", "undecided"), ("invalid", "not judged")):
        some = [c for c in row if c.verdict == verdict]
        parts += [f"{name} at {_counts(some)}"] if some else []
    return ", ".join(parts)


def _counts(some: Sequence[Comparison]) -> str:
    names = [count_text(c.connections) for c in some]
    return f"{list_text(names)} connection{'' if names == ['1'] else 's'}"


def _one_at_a_time(compared: Sequence[Comparison]) -> Iterator[str]:
    """Against one connection at a time, with each wait, at the most connections."""
    parts = []
    for delay_s in sorted({c.delay_s for c in compared if c.delay_s > 0}):
        mine = [c for c in compared if c.delay_s == delay_s]
        ends = [mine[0], mine[-1]] if len(mine) > 1 else mine
        told = list_text([f"{_ratio(c)} at {count_text(c.connections)}" for c in ends])
        parts.append(f"{told} connections with a wait of {delay_text(delay_s)}")
    if parts:
        yield (
            f"**Against one connection at a time** (`{ONE_AT_A_TIME}`, close mode) {FIRST} serves"
            f" so many times as much: {'; '.join(parts)}."
        )


def _ratio(c: Comparison) -> str:
    return f"{factor_text(c.ratio)} {interval_text(c.low, c.high)}"


def main(arguments: Sequence[str]) -> int:
    """Write README.md anew from a run's folder."""
    folder = Path(arguments[0]) if arguments else RUN
    text = replaced(README.read_text(encoding="utf-8"), block(read_run(folder), folder))
    try:
        README.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(str(README), error, "make it writable") from error
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as failure:
        print(f"readme: {failure}", file=sys.stderr)
        sys.exit(2)
