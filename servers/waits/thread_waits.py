"""How a thread waits: it blocks, whatever it waits for, and its turn for a unit comes first."""

from collections.abc import Iterable

from servers.core.units import Turns
from servers.core.work import HOLD, Step


def carry_out(steps: Iterable[Step], units: Turns) -> None:
    """Carry out the steps of an exchange in the calling thread. Raises OSError from a call."""
    for step in steps:
        if step.kind is HOLD:
            with units:
                step.run()
        else:
            step.run()
