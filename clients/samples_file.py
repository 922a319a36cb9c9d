"""The raw clocks of every request, where somebody asks for them: a NumPy .npz file."""

from array import array
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import LoadError
from clients.verdict import ERROR_KINDS


class Samples:
    """One entry for each request that is over. Grows without bound.

    Times are ns of one monotonic clock. `outcome` is 0 for a correct reply, else 1 + the place of
    its class among the classes of errors. A `sent_ns` or `first_byte_ns` of 0 did not happen, or
    came with the rest of the reply.
    """

    def __init__(self) -> None:
        self.connection = array("q")
        self.intended_ns = array("q")
        self.sent_ns = array("q")
        self.first_byte_ns = array("q")
        self.done_ns = array("q")
        self.outcome = array("q")

    def add(
        self,
        connection: int,
        intended_ns: int,
        sent_ns: int,
        first_byte_ns: int,
        done_ns: int,
        wrong: str,
    ) -> None:
        """Keep one request; `wrong` is its class of error, or empty."""
        self.connection.append(connection)
        self.intended_ns.append(intended_ns)
        self.sent_ns.append(sent_ns)
        self.first_byte_ns.append(first_byte_ns or (0 if wrong else done_ns))
        self.done_ns.append(done_ns)
        self.outcome.append(1 + ERROR_KINDS.index(wrong) if wrong else 0)


NAMES = ("connection", "intended_ns", "sent_ns", "first_byte_ns", "done_ns", "outcome")


def write_samples(path: Path, shards: list[Samples]) -> None:
    """Write the requests of all shards, in order of their intended times.

    Raises LoadError where that cannot be done.
    """
    columns = {
        name: np.concatenate([np.array(getattr(shard, name), np.int64) for shard in shards])
        for name in NAMES
    }
    order = np.argsort(columns["intended_ns"], kind="stable")
    arrays: dict[str, Any] = {name: column[order] for name, column in columns.items()}
    arrays["outcomes"] = np.array(["correct", *ERROR_KINDS])
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise LoadError(f"cannot write {path}: {error.strerror}") from None
