"""A supervised process that is spoken to in lines of JSON: a generator.

One object a line, on its stdin and from its stdout; its stderr is drained and kept for messages.
Must not know what the objects mean.
"""

import json
import select
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from bench.measure.process import STOP_GRACE_S, Process

RECEIVE_BYTES = 1 << 20
LINE_LIMIT_BYTES = 64 << 20


class JsonProcess(Process):
    """A process to ask: `send` an object, `receive` one, or `ask` for both."""

    talks = True

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        cores: Collection[int] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        super().__init__(name, command, cores=cores, env=env, cwd=cwd)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._to, self._from = self._popen.stdin, self._popen.stdout
        self._pending = b""

    def ask(self, message: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one object and wait for the answer, at most `timeout_s` (else TargetError)."""
        self.send(message)
        return self.receive(timeout_s)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one object; TargetError if nobody is left to read it."""
        line = memoryview(json.dumps(message, allow_nan=False).encode() + b"\n")
        try:
            while line:
                line = line[self._to.write(line) :]
        except BrokenPipeError:
            self._fail_gone("stopped reading")

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Wait for one object; TargetError when time is up, it ends, or the line is no object."""
        deadline_s = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            self._read_more(deadline_s, timeout_s)
        line, _, self._pending = self._pending.partition(b"\n")
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self.fail(f"wrote something else than a JSON object: {line[:200]!r}")
        return value

    def _read_more(self, deadline_s: float, timeout_s: float) -> None:
        left_s = max(0.0, deadline_s - time.monotonic())
        poller = select.poll()
        poller.register(self._from, select.POLLIN)
        if not poller.poll(left_s * 1000):
            self.fail(f"did not answer within {timeout_s:g} s")
        data = self._from.read(RECEIVE_BYTES)
        if not data:
            self._fail_gone("closed its output")
        self._pending += data
        if len(self._pending) > LINE_LIMIT_BYTES:
            self.fail(f"wrote {LINE_LIMIT_BYTES >> 20} MiB without an end of line")

    def _fail_gone(self, what: str) -> NoReturn:
        self._wait(1.0)
        self.fail(what)

    def stop(self, grace_s: float = STOP_GRACE_S) -> int:
        """End its input and ask it to end, kill what is left after `grace_s`; the exit code."""
        self._to.close()
        return super().stop(grace_s)

    def kill(self) -> int:
        """Kill it and everything below it at once; the exit code (137 if it still ran)."""
        code = super().kill()
        self._to.close()
        self._from.close()
        return code
