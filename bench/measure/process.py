"""A supervised process as the harness sees it: start, ready, sample, stop.

Every target and generator goes through here, so none can outlive the harness: `supervisor.py`
stands between and holds a pipe whose other end is ours. Must not know HTTP, slices or models; a
process prints a ready line (a driver) or is asked by a probe (a foreign target).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

from bench.errors import UserError
from bench.measure import supervisor
from bench.measure.output import Output
from bench.measure.usage import Usage, tree_usage

READY_TIMEOUT_S = 10.0
PROBE_EVERY_S = 0.02
STOP_GRACE_S = 6.0
KILL_TIMEOUT_S = 5.0
# A supervisor with nothing below it is about to start the command or to end.
SETTLE_S = 0.5


class TargetError(UserError):
    """A process did not start, did not get ready or went away: what, and its last output."""


@dataclass(frozen=True)
class Ready:
    """Where a server listens, from its ready line, and what runs it as far as it says."""

    host: str
    port: int
    pid: int
    model: str
    python: str | None = None
    implementation: str | None = None
    gil: bool | None = None


class Process:
    """A command under a supervisor of its own; making one starts it.

    `cores` pins it before it starts (none: unpinned), `env` is its whole environment (None: ours).
    Raises TargetError where not even the supervisor can start. What it writes is drained and its
    end kept. As a context manager it is stopped on leaving, or killed when an error leaves.
    """

    talks = False

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        cores: Collection[int] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.ready: Ready | None = None
        if not self.command:
            raise TargetError(f"{name}: its command is empty")
        self._popen, self._control_fd = self._launch(cores, env, cwd)
        self._output = Output(self._drained(), name=name)

    def _launch(
        self, cores: Collection[int], env: Mapping[str, str] | None, cwd: Path | None
    ) -> tuple[subprocess.Popen[bytes], int]:
        theirs, ours = os.pipe()
        core_list = ",".join(str(core) for core in sorted(cores))
        leash = [sys.executable, "-I", "-S", supervisor.__file__, str(theirs), core_list]
        try:
            popen = subprocess.Popen(
                [*leash, *self.command],
                bufsize=0,
                stdin=subprocess.PIPE if self.talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if self.talks else subprocess.STDOUT,
                pass_fds=(theirs,),
                start_new_session=True,
                env=env,
                cwd=cwd,
            )
        except (OSError, ValueError) as error:
            os.close(ours)
            raise TargetError(f"{self.name}: cannot start {self.command[0]!r}: {error}") from error
        finally:
            os.close(theirs)
        return popen, ours

    def _drained(self) -> IO[bytes]:
        pipe = self._popen.stderr if self.talks else self._popen.stdout
        assert pipe is not None
        return pipe

    @property
    def alive(self) -> bool:
        """Whether the command still runs."""
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The command's exit code (128 + signal if one ended it); None while it runs."""
        return self._popen.poll()

    @property
    def last_output(self) -> str:
        """The last lines that it wrote, stdout and stderr together."""
        return self._output.last_lines()

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> Ready:
        """Wait for the ready line `{"ready": true, "host", "port", "pid", "model"}`.

        Kills the process and raises TargetError when it ends first, when time is up, or when the
        line is not as agreed.
        """
        deadline_s = time.monotonic() + timeout_s
        self._output.wait_settled(timeout_s)
        line = self._output.ready_line
        if line is None:
            self._wait(deadline_s - time.monotonic())
            self.fail(f"printed no ready line within {timeout_s:g} s")
        try:
            ready = Ready(
                line["host"],
                int(line["port"]),
                int(line["pid"]),
                line["model"],
                line.get("python"),
                line.get("implementation"),
                line.get("gil"),
            )
        except (KeyError, TypeError, ValueError):
            self.fail(f"its ready line needs host, port, pid and model: {json.dumps(line)}")
        self.ready = ready
        return ready

    def wait_until(self, probe: Callable[[], bool], timeout_s: float = READY_TIMEOUT_S) -> None:
        """Ask `probe` until it says yes, for commands that know no ready line.

        Kills the process and raises TargetError when it ends (even if the probe says yes: then
        something else answers at its port) or when time is up.
        """
        deadline_s = time.monotonic() + timeout_s
        while not probe():
            if not self.alive or time.monotonic() > deadline_s:
                self.fail(f"did not answer as expected within {timeout_s:g} s")
            time.sleep(PROBE_EVERY_S)
        if not self.alive:
            self.fail("is gone")

    def sample(self) -> Usage:
        """Read what the command and all below it have used; TargetError if it has ended."""
        usage = tree_usage(self._popen.pid)
        if not usage.processes and self._wait(SETTLE_S):
            self.fail("is gone")
        return usage

    def has_ended(self) -> bool:
        """Whether the command is gone, or goes within a moment."""
        return self._wait(SETTLE_S)

    def wait_ended(self, limit_s: float) -> int:
        """Wait until it has ended; its exit code. Kills it and raises TargetError when in time."""
        if not self._wait(limit_s):
            self.fail(f"did not end within {limit_s:g} s")
        self._output.join(KILL_TIMEOUT_S)
        return self._popen.wait()

    def pids(self) -> list[int]:
        """The command and all that lives below it now."""
        return [s.pid for s in supervisor.descendants(self._popen.pid) if s.state != "Z"]

    def fail(self, what: str) -> NoReturn:
        """Kill the process; raise TargetError saying `what`, or how it ended, and its output."""
        ended = self.exit_code
        self.kill()
        if ended is not None:
            what = f"ended with {describe_exit(ended)}"
        raise TargetError(self.complaint(what))

    def complaint(self, what: str) -> str:
        """Say `what` of the process, with its last output."""
        said = self.last_output.replace("\n", "\n  ")
        output = f"its last output:\n  {said}" if said else "it printed nothing"
        return f"{self.name}: {what}; {output}"

    def stop(self, grace_s: float = STOP_GRACE_S) -> int:
        """Ask it to end (SIGTERM), kill what is left after `grace_s`; the exit code."""
        if self.alive:
            self._popen.terminate()
            self._wait(grace_s)
        return self.kill()

    def kill(self) -> int:
        """Kill it and everything below it at once; the exit code (137 if it still ran)."""
        self._let_go()
        if not self._wait(KILL_TIMEOUT_S):
            self._kill_with_supervisor()
        self._output.join(KILL_TIMEOUT_S)
        return self._popen.wait()

    def _let_go(self) -> None:
        control_fd, self._control_fd = self._control_fd, -1
        if control_fd >= 0:
            os.close(control_fd)

    def _kill_with_supervisor(self) -> None:
        """End a supervisor that hangs (stopped by a signal, say), after all that it holds."""
        while below := [s for s in supervisor.descendants(self._popen.pid) if s.state != "Z"]:
            for stat in below:
                supervisor.send(stat.pid, signal.SIGKILL)
        self._popen.kill()

    def _wait(self, timeout_s: float) -> bool:
        try:
            self._popen.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()


def describe_exit(code: int) -> str:
    """Name an exit code as shells count: from 129 on it stands for a signal."""
    try:
        return f"signal {signal.Signals(code - 128).name}"
    except ValueError:
        return f"exit code {code}"
