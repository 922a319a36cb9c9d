"""What goes wrong in a run is marked, with the reason; the rest goes on, and nothing is left.

`measure` checks after each run that no process is left. `test_runner.py` has servers that do not
start, die, or answer wrongly, and a generator that is killed; `test_runner_interrupts.py` has
signals; `bench.trials.kill` and `bench.trials.resume` have SIGKILL.
"""

import ast
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import (
    CROSSOVER,
    ROOT,
    TINY_TOML,
    Recorder,
    grid,
    lines_of,
    measure,
    odd_target,
    tiny,
    tiny_toml,
)

from bench.store import read_run

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this to a machine")
QUICKLY = {"completions_per_connection": 5, "request_timeout_s": 0.5}


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.slice.WINDOW_LIMIT_S", 2.0)
    monkeypatch.setattr("bench.measure.slice.WARMUP_LIMIT_S", 0.3)


def reasons(trials: list[dict[str, object]], target: str) -> list[str]:
    return [
        str(reason)
        for trial in trials
        if trial["target"] == target
        for reason in trial["invalid_reasons"]  # type: ignore[attr-defined]
    ]


def test_a_server_that_hangs_in_mid_slice_is_marked_and_replaced(tmp_path: Path) -> None:
    profile = tiny(
        grid("sick", "well", delays_s=[0.001], connections=[4]),
        rounds_min=2, rounds_max=2, **QUICKLY,
    )  # fmt: skip
    targets = [odd_target("sick", "--hangs-after", "8"), odd_target("well")]
    run = measure(tmp_path / "r", profile, targets)
    assert len(run.trials) == 4
    assert any(
        "only " in each or "no request completed" in each for each in reasons(run.trials, "sick")
    )
    assert all(t["target_replaced"] for t in run.trials if t["target"] == "sick")
    assert all(t["throughput_rps"] for t in run.trials if t["target"] == "well")


def test_a_server_that_ignores_sigterm_is_ended_all_the_same(tmp_path: Path) -> None:
    run = measure(tmp_path / "r", tiny(grid("deaf")), [odd_target("deaf", "--deaf")])
    assert [bool(t["throughput_rps"]) for t in run.trials] == [True]


def test_a_server_that_leaks_descriptors_until_it_has_none_is_marked(tmp_path: Path) -> None:
    """It runs under a limit of 40, and every reply takes one of them."""
    sick = odd_target("sick", "--leaks")
    limited = ("/bin/sh", "-c", 'ulimit -n 40; exec "$0" "$@"', *sick.command)
    object.__setattr__(sick, "command", limited)
    profile = tiny(grid("sick", "well", delays_s=[0.001], connections=[4]), **QUICKLY)
    run = measure(tmp_path / "r", profile, [sick, odd_target("well")])
    assert reasons(run.trials, "sick")
    assert all(t["throughput_rps"] for t in run.trials if t["target"] == "well")


def test_a_server_that_floods_its_output_stops_nobody(tmp_path: Path) -> None:
    """100 kB with every reply, some megabytes in all: a pipe that nobody read would hold it up."""
    watcher = Recorder()
    profile = tiny(grid("loud", delays_s=[0.001], connections=[4]), completions_per_connection=10)
    run = measure(tmp_path / "r", profile, [odd_target("loud", "--floods")], watcher)
    assert run.trials[0]["completions"] >= 40
    assert watcher.notices == []


# The machine's faults


def run_words(folder: Path, out: Path) -> list[str]:
    profile = folder / "tiny.toml"
    profile.write_text(tiny_toml(50))
    return [*CROSSOVER, "run", "--profile", str(profile), "--out", str(out), "--force"]


def mount(folder: Path, option: str) -> None:
    """Put a disk of memory there."""
    words = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", folder]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount a disk here")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@AS_ROOT
def test_a_disk_that_becomes_full_ends_the_run_with_all_that_was_measured(
    tmp_path: Path, small_disk: Path
) -> None:
    out = small_disk / "run"
    words = run_words(tmp_path, out)
    filler = small_disk / "filler"
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None and len(lines_of(out / "trials.jsonl")) < 4:
                pass
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 2
    assert "No space left on device" in errors
    assert "Traceback" not in errors
    filler.unlink(missing_ok=True)
    run = read_run(out)
    assert len(run.trials) >= 4
    assert not run.torn


@AS_ROOT
def test_results_that_cannot_be_written_are_told_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "ro"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=False
    ).returncode:
        pytest.skip("cannot mount here")
    try:
        done = subprocess.run(
            run_words(tmp_path, folder / "run"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["umount", folder], check=True)
    assert done.returncode == 2
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr


@AS_ROOT
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_machine_without_free_ports_marks_its_cells(tmp_path: Path) -> None:
    """In a network of its own with 30 ports, of which every connection of close mode takes one."""
    out = tmp_path / "run"
    profile = tmp_path / "close.toml"
    profile.write_text(
        TINY_TOML.replace('"keep-alive"', '"close"').replace(
            "connections = [1, 4]", "connections = [16]"
        )
    )
    script = (
        "ip link set lo up && echo '40000 40029' > /proc/sys/net/ipv4/ip_local_port_range && "
        'echo 0 > /proc/sys/net/ipv4/tcp_tw_reuse && exec "$@"'
    )
    words = [*CROSSOVER, "run", "--profile", str(profile), "--out", str(out), "--force"]
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, "sh", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "ip:" in done.stderr:
        pytest.skip(f"cannot make a network here: {done.stderr.strip()}")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    told = [reason for trial in read_run(out).trials for reason in trial["invalid_reasons"]]
    assert told, "cells without ports cannot be valid"


def test_no_duration_is_taken_from_a_clock_that_can_be_set() -> None:
    """A step of the wall clock changes nothing: only monotonic clocks are read for durations."""
    wall = {"time", "time_ns", "now", "utcnow"}
    allowed = {
        ("bench.measure.noise", "time_ns"),
        ("bench.cli.measuring", "now"),
        ("bench.cli.trace", "now"),
    }  # a seed, and dates
    found = set()
    for package in ("bench/measure", "bench/cli", "clients", "servers"):
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value
                    name = owner.id if isinstance(owner, ast.Name) else ""
                    if node.func.attr in wall and name in ("time", "datetime"):
                        found.add((module, node.func.attr))
    assert found <= allowed | {("bench.measure.runner", "now")}
