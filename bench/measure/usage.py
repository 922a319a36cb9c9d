"""What a process tree uses: CPU, memory, threads and context switches, straight from /proc.

Must not know what the processes are for. Cheap enough for the edges of a slice: one pass over
/proc, then a few reads for each process of the tree and one for each of its threads.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure.supervisor import Stat, descendants, read_stat

TICKS_PER_S: int = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE")

# Voluntary and involuntary switches of one thread.
Switches = tuple[int, int]


@dataclass(frozen=True)
class Usage:
    """One sample of a process tree; subtract an earlier one with `since`.

    `rss_bytes` is the resident set of a single process; where several share pages it is the sum of
    their proportional sets (PSS). Context switches are those of the threads now alive: Linux shows
    no others without privileges, so where threads come and go they are a lower bound.
    """

    cpu_s: float
    rss_bytes: int
    processes: int
    threads: int
    thread_switches: dict[int, Switches] = field(default_factory=dict, repr=False)

    @property
    def voluntary_switches(self) -> int:
        """Times that a thread gave up its core to wait."""
        return sum(voluntary for voluntary, _ in self.thread_switches.values())

    @property
    def involuntary_switches(self) -> int:
        """Times that the scheduler took a thread's core away."""
        return sum(involuntary for _, involuntary in self.thread_switches.values())

    def since(self, earlier: Usage) -> Usage:
        """Return CPU and switches used since `earlier`; memory and counts as they are now."""
        switches = {}
        for thread, (voluntary, involuntary) in self.thread_switches.items():
            before = earlier.thread_switches.get(thread, (0, 0))
            switches[thread] = (voluntary - before[0], involuntary - before[1])
        cpu_s = max(0.0, self.cpu_s - earlier.cpu_s)
        return Usage(cpu_s, self.rss_bytes, self.processes, self.threads, switches)


def tree_usage(root: int) -> Usage:
    """Sample all processes below `root`; of `root` itself only what it has reaped."""
    below = descendants(root)
    cpu_s = reaped_cpu_s(read_stat(root)) + sum(own_cpu_s(s) + reaped_cpu_s(s) for s in below)
    alive = [stat for stat in below if stat.state != "Z"]
    return Usage(
        cpu_s=cpu_s,
        rss_bytes=memory_bytes(alive),
        processes=len(alive),
        threads=sum(stat.threads for stat in alive),
        thread_switches={thread: n for stat in alive for thread, n in switches_of(stat.pid)},
    )


def own_cpu_s(stat: Stat) -> float:
    """Return the CPU time of a process and all its threads, ended ones included.

    Reads its CPU clock (clock_getcpuclockid(3): the id is ~pid << 3 | CPUCLOCK_SCHED), which
    counts nanoseconds; /proc counts ticks of 10 ms, too coarse for a slice of 250.
    """
    try:
        return time.clock_gettime((~stat.pid << 3) | 2)
    except OSError:
        return stat.own_ticks / TICKS_PER_S


def reaped_cpu_s(stat: Stat | None) -> float:
    """Return the CPU time of the children that a process has waited for, to the tick."""
    return stat.reaped_ticks / TICKS_PER_S if stat else 0.0


def memory_bytes(stats: list[Stat]) -> int:
    """Return the memory that processes hold together, shared pages counted once."""
    if len(stats) == 1:
        return stats[0].resident_pages * PAGE_BYTES
    return sum(pss_bytes(stat) for stat in stats)


def pss_bytes(stat: Stat) -> int:
    """Return a process's proportional set; its resident set where that is not readable."""
    try:
        lines = Path(f"/proc/{stat.pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return stat.resident_pages * PAGE_BYTES
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def switches_of(pid: int) -> list[tuple[int, Switches]]:
    """Return the context switches of each live thread of a process."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    read = [(int(thread.name), _thread_switches(thread)) for thread in threads]
    return [(thread, switches) for thread, switches in read if switches]


def _thread_switches(thread: Path) -> Switches | None:
    try:
        words = (thread / "status").read_bytes().split()
    except OSError:
        return None
    # The last two lines: voluntary_ctxt_switches, nonvoluntary_ctxt_switches.
    return int(words[-3]), int(words[-1])
