"""How long each delay really took, for the check that models deliver the wait that was asked.

It stands between a driver and the steps that it carries out: the time from handing a delay over to
being asked for what follows is the wait delivered, whatever the model. A server that does not
record has nothing of it in its way.
"""

import json
import time
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from servers.core.work import DELAY, Step

MOST_SAMPLES: Final = 1_000_000


class WaitRecord:
    """The oversleep of every delay: delivered less asked, in nanoseconds."""

    def __init__(self) -> None:
        self._asked_s: dict[float, None] = {}
        self._oversleep_ns = array("q")

    def watch(self, steps: tuple[Step, ...]) -> Iterable[Step]:
        """Return the same steps, recorded each time that they are carried out."""
        return _Recorded(steps, self)

    def note(self, asked_s: float, delivered_ns: int) -> None:
        """Note a delay that has ended."""
        if len(self._oversleep_ns) < MOST_SAMPLES:
            self._asked_s[asked_s] = None
            self._oversleep_ns.append(delivered_ns - round(asked_s * 1e9))

    def write(self, path: Path) -> None:
        """Write all that was noted as JSON: `asked_s`, and `oversleep_ns` in order. OSError."""
        oversleep_ns = self._oversleep_ns.tolist()
        path.write_text(json.dumps({"asked_s": [*self._asked_s], "oversleep_ns": oversleep_ns}))


class _Recorded:
    def __init__(self, steps: tuple[Step, ...], record: WaitRecord) -> None:
        self._steps = steps
        self._record = record

    def __iter__(self) -> Iterator[Step]:
        for step in self._steps:
            began_ns = time.perf_counter_ns()
            yield step
            if step.kind is DELAY:
                self._record.note(step.seconds, time.perf_counter_ns() - began_ns)
