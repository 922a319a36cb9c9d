"""What is recorded of the machine: right where it can be read, None where it cannot."""

import json
import math
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.errors import UserError
from bench.measure import machine


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def leaves(described: dict[str, Any]) -> dict[str, object]:
    """The innermost values by name."""
    flat: dict[str, object] = {}
    for name, value in described.items():
        flat |= leaves(value) if isinstance(value, dict) else {name: value}
    return flat


def test_this_machine_is_described_in_plain_values() -> None:
    described = machine.describe_machine()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert described["kernel"] == platform.release()
    assert described["cpu"]["cores_available"] == len(os.sched_getaffinity(0))
    assert described["memory_mib"] == pytest.approx(psutil.virtual_memory().total / 2**20, abs=1)
    assert described["limits"]["descriptors_soft"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert described["limits"]["port_range"][0] < described["limits"]["port_range"][1]
    assert len(described["load_average"]) == 3


def test_nothing_fails_where_nothing_is_readable(tmp_path: Path) -> None:
    asked_elsewhere = {"model", "cores_online", "cores_available", "kernel", "architecture"}
    asked_elsewhere |= {"descriptors_soft", "descriptors_hard"}
    described = leaves(machine.describe_machine(tmp_path))
    known = {name for name, value in described.items() if value is not None}
    assert known <= asked_elsewhere
    assert len(described) > len(asked_elsewhere) + 8


def test_a_machine_is_read_from_its_files(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/cpuinfo": "model name\t: Zen 9\ncpu MHz\t\t: 3000.5\nflags\t\t: fpu hypervisor\n",
            "proc/meminfo": "MemTotal:       16384000 kB\nMemFree: 1 kB\n",
            "proc/loadavg": "0.50 1.00 2.25 1/100 4242\n",
            "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
            "sys/devices/system/cpu/smt/active": "1\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
            "sys/class/dmi/id/product_name": "Some Cloud\n",
            ".dockerenv": "",
        },
    )
    described = machine.describe_machine(root)
    cpu = described["cpu"]
    assert (cpu["model"], cpu["governor"], cpu["frequency_mhz"]) == ("Zen 9", "powersave", 3000.5)
    assert (cpu["hyperthreads"], cpu["turbo"]) == (True, False)
    assert described["memory_mib"] == 16000
    assert described["load_average"] == [0.5, 1, 2.25]
    assert described["limits"]["port_range"] == [32768, 60999]
    expected = {"hypervisor": True, "product": "Some Cloud", "container": "docker"}
    assert described["virtualisation"] == expected


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        # Version 2: half a core in the parent, the group itself unlimited.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            },
            0.5,
        ),
        # A container sees its own group as the root.
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        # Version 1; -1 is unlimited.
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/x\n1:name=systemd:/\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({}, None),
    ],
)
def test_the_cpu_quota_is_the_least_of_all_levels(
    tmp_path: Path, files: dict[str, str], cores: float | None
) -> None:
    assert machine.cpu_quota_cores(write(tmp_path, files)) == cores


def test_paths_in_the_checkout_do_not_tell_where_it_is() -> None:
    folder = Path("/home/someone/crossover")
    assert machine.within(folder, folder / ".venv/bin/python") == ".venv/bin/python"
    assert machine.within(folder, Path("/usr/bin/python3")) == "/usr/bin/python3"


def test_python_and_packages_are_those_running() -> None:
    described = machine.describe_python()
    assert described["version"] == platform.python_version()
    assert (machine.CHECKOUT / described["executable"]).samefile(sys.executable)
    assert described["gil"] is (not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled())
    packages = machine.describe_packages()
    assert packages["psutil"] == psutil.__version__
    assert "granian-of-nowhere" not in packages


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_and_dirtiness_of_a_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert machine.describe_git(tmp_path) == {"commit": None, "dirty": False}
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "c")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert machine.describe_git(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "file").write_text("2")
    assert machine.describe_git(tmp_path) == {"commit": commit, "dirty": True}


def test_outside_a_checkout_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"commit": None, "dirty": None}
    assert machine.describe_git(tmp_path) == nothing
    # Installed below somebody else's checkout: that commit is not ours.
    git(tmp_path, "init", "-q")
    (tmp_path / "venv").mkdir()
    assert machine.describe_git(tmp_path / "venv") == nothing
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.describe_git(tmp_path) == nothing


def test_steal_is_summed_over_the_cores_asked_for(tmp_path: Path) -> None:
    """Steal is the eighth figure: 300 + 25 ticks of 1/100 s are 3.25 s."""
    assert os.sysconf("SC_CLK_TCK") == 100
    stat = "cpu  9 9 9 9 9 9 9 999 0 0\ncpu0 1 2 3 4 5 6 7 300 9 9\ncpu1 1 2 3 4 5 6 7 25 9 9\n"
    root = write(tmp_path, {"proc/stat": stat + "intr 1\n"})
    assert machine.steal_s([0, 1], root) == 3.25
    assert machine.steal_s([1], root) == 0.25
    assert machine.steal_s([2], root) is None
    assert machine.steal_s([0], tmp_path / "nowhere") is None


def test_steal_of_this_machine_is_a_time() -> None:
    stolen_s = machine.steal_s(os.sched_getaffinity(0))
    assert stolen_s is None or (stolen_s >= 0 and math.isfinite(stolen_s))


def in_a_process_with_limits(soft: int, hard: int, script: str) -> str:
    """Limits can be lowered for good only, so each test has a process of its own."""
    prepare = f"import resource as r\nr.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard}))\n"
    imports = "from bench.measure.machine import require_descriptors as require\n"
    command = [sys.executable, "-c", imports + prepare + script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=machine.CHECKOUT)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("soft", "hard", "needed", "allowed"),
    [
        (100, 200, 100, 100),  # enough: left alone
        (100, 200, 101, 200),  # raised to the hard limit
        (100, 200, 200, 200),
    ],
)
def test_descriptors_are_raised_only_as_needed(
    soft: int, hard: int, needed: int, allowed: int
) -> None:
    script = f"require({needed}); print(r.getrlimit(r.RLIMIT_NOFILE))"
    assert in_a_process_with_limits(soft, hard, script) == f"({allowed}, {hard})\n"


def test_too_few_descriptors_is_a_clear_error() -> None:
    said = in_a_process_with_limits(100, 200, "require(201)")
    assert UserError.__name__ in said
    assert said.splitlines()[-1].endswith(
        "too few file descriptors: 201 needed, the hard limit is 200; raise it "
        "(as root: prlimit --pid $$ --nofile=201) or use fewer connections"
    )
