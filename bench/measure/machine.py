"""What a run was measured on: machine, Python, packages and the state of the checkout.

Everything here ends up in run.json as plain values; what cannot be read is None and never an error.
Also the two things that a run asks of the machine: file descriptors, and how much time the
hypervisor stole. Must not know what is measured.
"""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.errors import UserError

ROOT = Path("/")
CHECKOUT = Path(__file__).resolve().parents[2]
# More than any run needs; some programs count through all descriptors that they may have.
DESCRIPTORS_MAX = 1 << 20
GIT_TIMEOUT_S = 10.0
# The distributions whose versions can move a measurement or its analysis.
PACKAGES = (
    "crossover",
    "httptools",
    "uvloop",
    "trio",
    "twisted",
    "gevent",
    "greenlet",
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "granian",
    "waitress",
    "cheroot",
    "hdrhistogram",
    "psutil",
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
)


def describe_machine(root: Path = ROOT) -> dict[str, Any]:
    """Describe processor, memory, kernel and limits, from /proc and /sys below `root`."""
    return {
        "cpu": _describe_cpu(root),
        "virtualisation": _describe_virtualisation(root),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "memory_mib": meminfo_mib("MemTotal", root),
        "cgroup_cpu_quota_cores": cpu_quota_cores(root),
        "load_average": _numbers(read(root / "proc/loadavg"), 3),
        "timer_slack_ns": _number(read(root / "proc/self/timerslack_ns")),
        "limits": _describe_limits(root),
    }


def describe_python() -> dict[str, Any]:
    """Describe the running interpreter, its interpreter lock as it says itself."""
    gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "executable": within(CHECKOUT, Path(sys.executable)),
        "gil": bool(gil_enabled()),
    }


def within(folder: Path, path: Path) -> str:
    """Name a path from the folder on where it lies inside: a run is made to be shared."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def describe_packages() -> dict[str, str]:
    """Return the versions of the packages that matter, those that are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def describe_git(checkout: Path = CHECKOUT) -> dict[str, Any]:
    """Return commit and dirtiness of our own checkout; both None where this is none."""
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if top is None or Path(top) != checkout.resolve():
        return {"commit": None, "dirty": None}
    status = _git(checkout, "status", "--porcelain")
    return {
        "commit": _git(checkout, "rev-parse", "--verify", "HEAD"),
        "dirty": None if status is None else bool(status),
    }


def require_descriptors(needed: int) -> None:
    """Allow this process and its children `needed` file descriptors; UserError if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    if hard != unlimited and hard < needed:
        raise UserError(
            f"too few file descriptors: {needed} needed, the hard limit is {hard}; raise it "
            f"(as root: prlimit --pid $$ --nofile={needed}) or use fewer connections"
        )
    most = max(needed, DESCRIPTORS_MAX)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (most if hard == unlimited else min(hard, most), hard)
    )


def steal_s(cores: Collection[int], root: Path = ROOT) -> float | None:
    """Return the seconds since boot that the hypervisor gave these cores' time to others.

    The eighth figure of /proc/stat (proc_stat(5)), in ticks; None where it is not told.
    """
    lines = (read(root / "proc/stat") or "").splitlines()
    figures = {words[0]: words[1:] for words in map(str.split, lines) if words}
    try:
        ticks = sum(int(figures[f"cpu{core}"][7]) for core in cores)
    except (KeyError, IndexError, ValueError):
        return None
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def cpu_quota_cores(root: Path = ROOT) -> float | None:
    """Return the cores' worth of CPU that our control groups allow, the least of all levels.

    Reads cpu.max (version 2) or cpu.cfs_quota_us (version 1); None where nothing limits us.
    """
    quotas = []
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / (f"{controllers}" if controllers else "")
            quotas += [_quota_of(folder) for folder in _with_parents(mount, path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _with_parents(mount: Path, path: str) -> list[Path]:
    folder = mount / path.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(mount))]


def _quota_of(folder: Path) -> float | None:
    old = f"{read(folder / 'cpu.cfs_quota_us')} {read(folder / 'cpu.cfs_period_us')}"
    limits = _numbers(read(folder / "cpu.max") or old, 2)
    return limits[0] / limits[1] if limits and limits[0] > 0 and limits[1] > 0 else None


def _describe_cpu(root: Path) -> dict[str, Any]:
    info = read(root / "proc/cpuinfo") or ""
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "model": _field(info, "model name") or platform.processor() or None,
        "cores_online": os.cpu_count(),
        "cores_available": len(os.sched_getaffinity(0)),
        "hyperthreads": _flag(read(root / "sys/devices/system/cpu/smt/active")),
        "governor": read(frequency / "scaling_governor"),
        "frequency_mhz": _number(_field(info, "cpu MHz")),
        "turbo": _turbo(root / "sys/devices/system/cpu"),
    }


def _turbo(folder: Path) -> bool | None:
    boost = _flag(read(folder / "cpufreq/boost"))
    no_turbo = _flag(read(folder / "intel_pstate/no_turbo"))
    return boost if no_turbo is None else not no_turbo


def _describe_virtualisation(root: Path) -> dict[str, Any]:
    info = read(root / "proc/cpuinfo")
    containers = {".dockerenv": "docker", "run/.containerenv": "podman"}
    found = (name for mark, name in containers.items() if (root / mark).exists())
    flags = None if info is None else (_field(info, "flags") or "").split()
    return {
        "hypervisor": None if not flags else "hypervisor" in flags,
        "product": read(root / "sys/class/dmi/id/product_name"),
        "container": next(found, None),
    }


def _describe_limits(root: Path) -> dict[str, Any]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    network = root / "proc/sys/net"
    return {
        "descriptors_soft": soft,
        "descriptors_hard": hard,
        "somaxconn": _number(read(network / "core/somaxconn")),
        "port_range": _numbers(read(network / "ipv4/ip_local_port_range"), 2),
        "tcp_tw_reuse": _number(read(network / "ipv4/tcp_tw_reuse")),
        "threads_max": _number(read(root / "proc/sys/kernel/threads-max")),
    }


def meminfo_mib(name: str, root: Path = ROOT) -> int | None:
    """A figure of /proc/meminfo in MiB; None where it is not told."""
    total_kib = _number((_field(read(root / "proc/meminfo") or "", name) or "").split(" ")[0])
    return None if total_kib is None else int(total_kib) // 1024


def _git(folder: Path, *words: str) -> str | None:
    """Run git in a folder, whatever repository the environment names; None if it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def read(path: Path) -> str | None:
    """The text of a file, stripped; None where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def _field(text: str, name: str) -> str | None:
    """Return the first value of `name : value` in the manner of /proc/cpuinfo."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return None


def _number(text: str | None) -> int | float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if value.is_integer() else value


def _numbers(text: str | None, count: int) -> list[int | float] | None:
    values = [_number(word) for word in (text or "").split()[:count]]
    numbers = [value for value in values if value is not None]
    return numbers if len(numbers) == count else None


def _flag(text: str | None) -> bool | None:
    return {"0": False, "1": True}.get(text or "")
