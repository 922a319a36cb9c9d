"""The end of what a process wrote, and the ready line in it.

A thread reads the pipe to its end, so that a process that floods its output neither blocks nor
fills memory or disk; while the process is silent the thread sleeps. Must not know what writes.
"""

import json
import threading
from typing import IO, Any

KEEP_BYTES = 16 * 1024
RECEIVE_BYTES = 64 * 1024


class Output:
    """Drain a pipe from now on and remember its last bytes; owns and closes the pipe.

    `pipe` is unbuffered, so that a read returns what is there.
    """

    def __init__(self, pipe: IO[bytes], *, name: str) -> None:
        self.ready_line: dict[str, Any] | None = None
        self.total_bytes = 0
        self._pipe = pipe
        self._kept = b""
        self._unfinished: bytes | None = b""
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._drain, name=f"output of {name}", daemon=True)
        self._thread.start()

    def wait_settled(self, timeout_s: float) -> bool:
        """Wait until a ready line was read or the pipe has ended; False when time is up."""
        return self._settled.wait(timeout_s)

    def join(self, timeout_s: float) -> None:
        """Wait until the pipe has ended, that is until all who could write are gone."""
        self._thread.join(timeout_s)

    def last_lines(self, count: int = 15) -> str:
        """Return the last lines written, whole as far as they were kept."""
        lines = self._kept.decode(errors="replace").splitlines()
        return "\n".join(lines[-count:])

    def _drain(self) -> None:
        with self._pipe:
            while data := self._pipe.read(RECEIVE_BYTES):
                self.total_bytes += len(data)
                self._kept = (self._kept + data)[-KEEP_BYTES:]
                if self._unfinished is not None:
                    self._look_for_ready(self._unfinished + data)
        self._settled.set()

    def _look_for_ready(self, text: bytes) -> None:
        *lines, unfinished = text.split(b"\n")
        self._unfinished = unfinished[-KEEP_BYTES:]
        for line in lines:
            self.ready_line = parse_ready(line)
            if self.ready_line is not None:
                self._unfinished = None
                self._settled.set()
                return


def parse_ready(line: bytes) -> dict[str, Any] | None:
    """Return the line's object if it is JSON that says `"ready": true`, else None."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.get("ready") is True else None
