"""Where generators that measure at the same time wait for each other, by way of whoever asked them.

Each says how far it is and goes on loading its target until it is told that all are as far. So no
target is measured while another is not loaded.
"""

import json
import select
from typing import TextIO

LOOK_NS = 500_000


class Meeting:
    """Says how far we are in a line of JSON; any line that comes back says that all are."""

    def __init__(self, hear: TextIO, say: TextIO) -> None:
        self._hear, self._say = hear, say
        self._poll = select.poll()
        self._poll.register(hear, select.POLLIN)
        self._next_ns = 0

    def reach(self, what: str) -> None:
        """Say how far we are."""
        print(json.dumps({"reached": what}), file=self._say, flush=True)

    def is_over(self, now_ns: int) -> bool:
        """Whether all are as far; looks every half a millisecond, since a look costs a call."""
        if now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + LOOK_NS
        if not self._poll.poll(0):
            return False
        self._hear.readline()  # at the end of the input, too: nobody is left to wait for
        return True
