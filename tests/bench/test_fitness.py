"""What a look at a machine shows: each check on either side of its limit."""

import copy
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import crossover

from bench.measure.cores import CoreChoice, cores_here
from bench.measure.fitness import Check, Look, as_lines, judge, look
from bench.measure.noise import Noise

FINE: dict[str, Any] = {
    "cpu": {"cores_available": 4, "governor": "performance", "turbo": False},
    "virtualisation": {"hypervisor": False},
    "cgroup_cpu_quota_cores": None,
    "timer_slack_ns": 50_000,
    "limits": {"descriptors_hard": 65_536, "port_range": [1_024, 65_535], "somaxconn": 4_096},
}
APART = CoreChoice(server=(0,), generator=(1,), shared=False, siblings=False)
SEEN = Look(FINE, APART, 0.02, 0.0, 0, 0, 4_000, 50_000)


def described(path: str, value: Any) -> Look:
    changed = copy.deepcopy(FINE)
    *folders, name = path.split(".")
    place = changed
    for folder in folders:
        place = place[folder]
    place[name] = value
    return replace(SEEN, described=changed)


def grades(seen: Look) -> dict[str, str]:
    return {check.name: check.grade for check in judge(seen) if check.grade != "ok"}


def test_a_fine_machine_is_fine_in_everything_that_was_looked_at() -> None:
    assert grades(SEEN) == {}
    assert len(judge(SEEN)) == 14
    assert all(not check.advice for check in judge(SEEN))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (replace(SEEN, cores=replace(APART, shared=True)), {"cores": "warn"}),
        (replace(SEEN, cores=replace(APART, siblings=True)), {"cores": "warn"}),
        (described("cgroup_cpu_quota_cores", 3.0), {"cpu quota": "warn"}),
        (described("cgroup_cpu_quota_cores", 0.5), {"cpu quota": "bad"}),
        (described("cgroup_cpu_quota_cores", 4.0), {}),
        (replace(SEEN, busy=0.11), {"other load": "warn"}),
        (replace(SEEN, steal=0.02), {"steal": "warn"}),
        (described("virtualisation.hypervisor", True), {"virtualisation": "warn"}),
        (described("cpu.governor", "powersave"), {"governor": "warn"}),
        (described("cpu.turbo", True), {"turbo": "warn"}),
        (replace(SEEN, throttled=1), {"heat": "warn"}),
        (described("limits.descriptors_hard", 1_024), {"descriptors": "warn"}),
        (described("limits.descriptors_hard", -1), {}),
        (described("limits.port_range", [32_768, 40_000]), {"ports": "warn"}),
        (described("limits.somaxconn", 128), {"somaxconn": "warn"}),
        (described("timer_slack_ns", 1_000_000), {"timer slack": "warn"}),
        (replace(SEEN, memory_available_mib=500), {"memory": "warn"}),
        (replace(SEEN, memory_available_mib=100), {"memory": "bad"}),
        (replace(SEEN, swapped_pages=3), {"swap": "warn"}),
        (replace(SEEN, disk_free_mib=100), {"disk": "warn"}),
        (replace(SEEN, disk_free_mib=5), {"disk": "bad"}),
    ],
)
def test_each_check_has_its_limit_and_its_advice(seen: Look, expected: dict[str, str]) -> None:
    assert grades(seen) == expected
    assert all(check.advice for check in judge(seen) if check.grade != "ok")


def test_what_is_not_told_is_not_judged() -> None:
    silent = Look(FINE, APART, None, None, None, None, None, None)
    names = {check.name for check in judge(silent)}
    assert not names & {"other load", "steal", "heat", "swap", "memory", "disk"}
    nothing = copy.deepcopy(FINE)
    nothing["cpu"] |= {"governor": None, "turbo": None}
    nothing["virtualisation"]["hypervisor"] = nothing["timer_slack_ns"] = None
    nothing["limits"] |= {"port_range": None, "somaxconn": None}
    left = judge(replace(silent, described=nothing))
    assert {check.name for check in left} == {"cores", "descriptors"}


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    seen = look(cores_here(), tmp_path / "results" / "new", for_s=0.05)
    assert seen.disk_free_mib is not None
    assert seen.memory_available_mib is not None
    assert seen.busy is not None
    assert 0 <= seen.busy <= 1.5
    assert judge(seen)


def test_a_machine_without_any_file_is_no_error(tmp_path: Path) -> None:
    seen = look(cores_here(), tmp_path, root=tmp_path, for_s=0.0)
    assert (seen.busy, seen.swapped_pages, seen.throttled, seen.memory_available_mib) == (None,) * 4
    judge(seen)


def test_a_run_keeps_what_is_not_ok() -> None:
    assert as_lines([Check("a", "ok", "x"), Check("b", "warn", "y", "do")]) == [
        {"name": "b", "grade": "warn", "found": "y", "advice": "do"}
    ]


def test_noise_of_a_known_spread_resolves_a_known_difference() -> None:
    noise = Noise([-0.02, 0.02, -0.02, 0.02, -0.02, 0.02])
    assert noise.spread == pytest.approx(0.0221, abs=1e-3)
    assert noise.resolved == pytest.approx(2.571 * 0.0219 / 10**0.5, rel=0.02)
    assert Noise([0.1]).resolved is Noise([]).spread is None


def test_the_doctor_tells_all_of_it() -> None:
    done = crossover("doctor", "--seconds", "0.1")
    assert done.returncode in (0, 3), done.stderr
    for word in ("cores", "descriptors", "disk", "noise", "ceiling", "lateness"):
        assert word in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_machine_that_cannot_give_an_answer_is_refused_unless_forced(tmp_path: Path) -> None:
    """Where there is no room for results."""
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=False)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        from bench.cli import main

        before = Path.cwd()
        os.chdir(small)
        try:
            assert main(["run", "--profile", "smoke", "--rounds", "1"]) == 2
        finally:
            os.chdir(before)
    finally:
        subprocess.run(["umount", small], check=True)
