"""Is this machine fit to measure on? What stands in the way, how badly, and what to do.

`look` reads the machine over a moment; `judge` is pure. What cannot be read is not judged.
"""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.measure import machine
from bench.measure.cores import CoreChoice

Grade = Literal["ok", "warn", "bad"]
LOOK_S = 0.5
MIB = 1 << 20


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `advice` is empty where it is ok."""

    name: str
    grade: Grade
    found: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.grade:4}  {self.name:16} {self.found}" + (
            f"; {self.advice}" if self.advice else ""
        )


@dataclass(frozen=True)
class Look:
    """What a machine showed: its description, and what happened on it while it was looked at.

    Shares of the time of all cores, but `steal` of the busiest; None where it is not told.
    """

    described: Mapping[str, Any]
    cores: CoreChoice
    busy: float | None
    steal: float | None
    swapped_pages: int | None
    throttled: int | None
    memory_available_mib: int | None
    disk_free_mib: int | None


def look(
    cores: CoreChoice, results: Path, root: Path = machine.ROOT, for_s: float = LOOK_S
) -> Look:
    """Look at the machine for a moment, during which nothing of ours may run."""
    before, began_s = _counters(root), time.monotonic()
    time.sleep(for_s)
    after, took_s = _counters(root), time.monotonic() - began_s

    def delta(name: str) -> float | None:
        a, b = before.get(name), after.get(name)
        return None if a is None or b is None else b - a

    count = os.cpu_count() or 1
    busy, steal = delta("busy_s"), delta("steal_s")
    swapped, throttled = delta("swapped"), delta("throttled")
    return Look(
        described=machine.describe_machine(root),
        cores=cores,
        busy=None if busy is None else busy / took_s / count,
        steal=None if steal is None else steal / took_s / count,
        swapped_pages=None if swapped is None else int(swapped),
        throttled=None if throttled is None else int(throttled),
        memory_available_mib=machine.meminfo_mib("MemAvailable", root),
        disk_free_mib=_disk_free_mib(results),
    )


def judge(seen: Look) -> list[Check]:
    """Every check that can be made of what was seen."""
    return [check for each in _CHECKS for check in each(seen)]


def as_lines(checks: Collection[Check]) -> list[dict[str, str]]:
    """What run.json keeps of them: those that are not ok."""
    return [asdict(check) for check in checks if check.grade != "ok"]


Found = Iterator[Check]


def _check(name: str, found: str, advice: str, *, warn: bool = False, bad: bool = False) -> Check:
    grade: Grade = "bad" if bad else "warn" if warn else "ok"
    return Check(name, grade, found, advice if warn or bad else "")


def _cores(seen: Look) -> Found:
    cores, quota = seen.cores, seen.described["cgroup_cpu_quota_cores"]
    if cores.shared:
        found, advice = "server and generator share one", "give the machine a second core"
    elif cores.siblings:
        found = "server and generator are hyperthreads of one"
        advice = "each slows the other; switch hyperthreading off"
    else:
        found, advice = (
            f"server on {cores.server[0]}, generator on {cores.generator[0]}, pinned",
            "",
        )
    yield _check("cores", found, advice, warn=bool(advice))
    if quota is not None:
        available = seen.described["cpu"]["cores_available"]
        yield _check(
            "cpu quota",
            f"{quota:g} cores by control group",
            "servers are stopped in mid-request; raise the quota",
            warn=quota < available,
            bad=quota < 1,
        )


def _others(seen: Look) -> Found:
    if seen.busy is not None:
        advice = "stop what runs beside it: whatever measures shares its cores"
        yield _check("other load", f"{seen.busy:.0%} of all cores", advice, warn=seen.busy > 0.1)
    if seen.steal is not None:
        advice = "the hypervisor gives our time to others; measure elsewhere or at another hour"
        yield _check("steal", f"{seen.steal:.1%}", advice, warn=seen.steal > 0.01)
    hypervisor = seen.described["virtualisation"]["hypervisor"]
    if hypervisor is not None:
        found = "a virtual machine" if hypervisor else "none"
        advice = "its neighbours are not seen; trust intervals, not single runs"
        yield _check("virtualisation", found, advice, warn=hypervisor)


def _frequency(seen: Look) -> Found:
    governor, turbo = seen.described["cpu"]["governor"], seen.described["cpu"]["turbo"]
    if governor:
        advice = "as root: cpupower frequency-set -g performance"
        yield _check("governor", governor, advice, warn=governor != "performance")
    if turbo is not None:
        advice = "its speed depends on heat; switch it off"
        yield _check("turbo", "on" if turbo else "off", advice, warn=turbo)
    if seen.throttled is not None:
        hot = seen.throttled > 0
        found = "throttled" if hot else "not throttled"
        yield _check("heat", found, "let it cool down", warn=hot)


def _limits(seen: Look) -> Found:
    limits = seen.described["limits"]
    hard, ports, queue = (limits[key] for key in ("descriptors_hard", "port_range", "somaxconn"))
    advice = "enough for a few hundred connections only; ulimit -Hn 65536"
    yield _check("descriptors", f"{hard}" if hard >= 0 else "any", advice, warn=0 <= hard < 4096)
    if ports:
        advice = "close mode runs out; sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
        few = ports[1] - ports[0] < 15_000
        yield _check("ports", f"{ports[0]} to {ports[1]}", advice, warn=few)
    if queue is not None:
        advice = "connections are refused in bursts; sysctl -w net.core.somaxconn=4096"
        yield _check("somaxconn", f"{queue}", advice, warn=queue < 1024)
    slack_ns = seen.described["timer_slack_ns"]
    if slack_ns is not None:
        advice = "waits end late; start from a shell with the usual 50 us"
        yield _check("timer slack", f"{slack_ns / 1e3:g} us", advice, warn=slack_ns > 100_000)


def _room(seen: Look) -> Found:
    memory, disk = seen.memory_available_mib, seen.disk_free_mib
    if memory is not None:
        found = f"{memory} MiB available"
        yield _check("memory", found, "free some", warn=memory < 800, bad=memory < 200)
    if seen.swapped_pages is not None:
        swaps = seen.swapped_pages > 0
        advice = "a page that is away costs milliseconds; free memory"
        yield _check("swap", "in use now" if swaps else "quiet", advice, warn=swaps)
    if disk is not None:
        found = f"{disk} MiB free for results"
        yield _check("disk", found, "free some", warn=disk < 200, bad=disk < 20)


_CHECKS: tuple[Callable[[Look], Found], ...] = (
    _cores,
    _others,
    _frequency,
    _limits,
    _room,
)


def _counters(root: Path) -> dict[str, float | None]:
    """What only grows: seconds busy and stolen over all cores, pages swapped, times throttled."""
    stat = machine.read(root / "proc/stat") or ""
    ticks = float(os.sysconf("SC_CLK_TCK"))
    numbers = [float(word) for word in stat.partition("\n")[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (numbers + [0.0] * 8)[:8]
    vmstat = dict(
        line.split(maxsplit=1) for line in (machine.read(root / "proc/vmstat") or "").splitlines()
    )
    swaps = [vmstat.get(name) for name in ("pswpin", "pswpout")]
    counts = [
        machine.read(path)
        for path in (root / "sys/devices/system/cpu").glob(
            "cpu*/thermal_throttle/core_throttle_count"
        )
    ]
    return {
        "busy_s": (user + nice + system + irq + softirq) / ticks if numbers else None,
        "steal_s": steal / ticks if numbers else None,
        "swapped": sum(float(each) for each in swaps if each) if any(swaps) else None,
        "throttled": sum(float(each) for each in counts if each) if counts else None,
    }


def _disk_free_mib(results: Path) -> int | None:
    folder = next((each for each in (results, *results.absolute().parents) if each.is_dir()), None)
    try:
        return None if folder is None else shutil.disk_usage(folder).free // MIB
    except OSError:
        return None
