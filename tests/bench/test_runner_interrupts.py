"""A run that is asked to end, or that the disk stops: what is saved, and that nothing is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness import (
    CROSSOVER,
    ROOT,
    crossover,
    is_alive,
    lines_of,
    processes_below,
    tiny_toml,
    wait_for,
)

from bench.measure.interrupts import (
    SIGNALS,
    InterruptedRunError,
    held_back,
    ignore_signals,
    interruptible,
)
from bench.store import read_run

ENDLESS = tiny_toml(10000).replace('"60s"', '"60m"')
# The command becomes the foreground of a terminal of its own, as a shell would start it.
IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Started:
    """A run that would go on for an hour, in a process of its own."""

    def __init__(self, folder: Path, **options: Any) -> None:
        profile = folder / "endless.toml"
        profile.write_text(ENDLESS)
        self.out = folder / "run"
        words = ["run", "--profile", str(profile), "--out", str(self.out)]
        prefix = [sys.executable, "-c", IN_TERMINAL] if "stdin" in options else [sys.executable]
        self.process = subprocess.Popen(
            [*prefix, *CROSSOVER[1:], *words],
            cwd=ROOT,
            text=True,
            start_new_session=True,
            **options,
        )
        self.below: list[psutil.Process] = []

    def wait_for_slices(self, count: int) -> None:
        trials = self.out / "trials.jsonl"
        wait_for(lambda: self.over() or len(lines_of(trials)) >= count, "no slice was saved")
        self.below = processes_below(self.process.pid)
        assert len(self.below) >= 2 * 3  # two servers and a generator, each with its supervisor

    def over(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> None:
        """Leave nothing behind, whatever the test did: the supervisors see to the rest."""
        self.process.kill()
        self.process.communicate()

    def check_interrupted(self) -> None:
        assert self.process.wait(20) == 130
        run = read_run(self.out)
        assert run.info["state"] == "interrupted"
        assert run.info["ended"]
        assert len(run.trials) >= 2
        assert not run.torn
        wait_for(lambda: not any(map(is_alive, self.below)), "processes are left", within_s=2)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    run = Started(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield run
    run.end()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_run_that_stays_readable(started: Started, number: signal.Signals) -> None:
    started.wait_for_slices(2)
    started.process.send_signal(number)
    started.check_interrupted()
    out, err = started.process.communicate()
    assert f"interrupted: {started.out}" in out
    assert "note: interrupted: ending the servers, keeping what is measured" in err
    assert "Traceback" not in err


def test_ctrl_c_in_a_terminal_ends_the_run_and_its_moving_line(tmp_path: Path) -> None:
    """The terminal sends SIGINT to the whole foreground group, supervisors included."""
    ours, theirs = os.openpty()
    run = Started(tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        run.wait_for_slices(2)
        shown = read_until(ours, " left   ")
        os.write(ours, b"\x03")
        shown += read_to_end(ours)
        run.check_interrupted()
    finally:
        run.end()
        os.close(ours)
    assert "Tiny: 4 cells a round, about 60:00" in shown
    assert "round 1" in shown
    assert "req/s" in shown or "not valid" in shown
    assert "note: interrupted: ending the servers" in shown
    assert "Traceback" not in shown


def read_until(terminal: int, words: str) -> str:
    """What is written to a terminal until it holds these words."""
    shown = b""
    while words.encode() not in shown:
        shown += os.read(terminal, 65536)
    return shown.decode(errors="replace")


def read_to_end(terminal: int) -> str:
    """What was written to a terminal until all had closed it (then reading fails)."""
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            return shown.decode(errors="replace")


@pytest.mark.parametrize(
    ("limit_kib", "state"),
    [(1, None), (9, "interrupted")],  # not even run.json fits; a few slices do
)
def test_a_disk_that_refuses_is_told_in_one_line(
    tmp_path: Path, limit_kib: int, state: str | None
) -> None:
    """A limit on the size of files stands for a full disk: writing beyond it fails."""
    profile = tmp_path / "endless.toml"
    profile.write_text(ENDLESS)
    limited = ["bash", "-c", f'ulimit -f {limit_kib} && exec "$@"', "bash"]
    out = tmp_path / "run"
    done = crossover("run", "--profile", profile, "--out", out, prefix=limited)
    assert done.returncode == 2
    *_, last = done.stderr.splitlines()
    assert last.startswith(f"crossover run: cannot write {out}/")
    assert last.endswith(": File too large; free the disk or choose another --out")
    assert "Traceback" not in done.stderr
    if state:
        run = read_run(out)
        assert (run.info["state"], run.torn) == (state, False)
        assert run.trials
    else:
        assert not (out / "run.json").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_an_exception_and_the_old_handlers_come_back(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(InterruptedRunError), interruptible():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_further_signals_are_ignored() -> None:
    with interruptible():
        with pytest.raises(InterruptedRunError):
            signal.raise_signal(signal.SIGINT)
        for number in SIGNALS:
            signal.raise_signal(number)


def test_a_run_that_is_ending_is_not_interrupted() -> None:
    with interruptible():
        ignore_signals()
        for number in SIGNALS:
            signal.raise_signal(number)


def test_what_holds_a_signal_back_is_done_before_it_interrupts() -> None:
    done = []

    def held() -> None:
        with held_back():
            with held_back():
                signal.raise_signal(signal.SIGTERM)
                done.append("the inner block")
            done.append("the outer block")

    with interruptible():
        with pytest.raises(InterruptedRunError):
            held()
        with held_back():
            done.append("a later block, which is not interrupted again")
    assert len(done) == 3
