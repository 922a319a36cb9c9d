"""One run at a time: two that measure at once would measure each other.

The lock is a name in the abstract namespace of Unix sockets: see unix(7). It ends with the process
that holds it, however that ends, and leaves no file.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import UserError

# Where somebody knows that two runs do not disturb each other, each may have a name of its own.
NAME_VARIABLE = "CROSSOVER_LOCK"
_CREDENTIALS = struct.Struct("3i")


@contextmanager
def only_run() -> Iterator[None]:
    """Hold the lock while entered. Raises UserError, with the holder's pid, where it is taken."""
    name = f"\0crossover {os.environ.get(NAME_VARIABLE, 'run')}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        try:
            lock.bind(name)
        except OSError:
            raise UserError(
                f"another run is measuring here{_holder(name)}: wait for its end, since each would "
                "measure the other"
            ) from None
        lock.listen(1)
        yield


def _holder(name: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
            told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return ""
    pid, _, _ = _CREDENTIALS.unpack(told)
    return f" (process {pid})"
