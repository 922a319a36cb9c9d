"""The generator as the harness uses it: a process that is asked for one slice at a time."""

import sys
from collections.abc import Collection, Mapping
from typing import Any

from bench.measure.json_process import JsonProcess
from bench.measure.process import TargetError

COMMAND = (sys.executable, "-P", "-m", "clients", "--batch")
RELEASE_LIMIT_S = 30.0
ANSWER_MARGIN_S = 15.0

# What the generator takes for a slice that does not say, for the time after which it is lost.
_DEFAULT_LIMITS_S: dict[str, float] = {
    "window_limit_s": 30.0,
    "warmup_limit_s": 10.0,
    "delay_s": 0.0,
    "drain_s": 0.5,
}


class Generator:
    """One generator process. A context manager: it is killed on leaving."""

    def __init__(self, cores: Collection[int]) -> None:
        self._process = JsonProcess("generator", COMMAND, cores=cores)

    def __enter__(self) -> "Generator":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    def measure(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Measure one slice; its connections stay open until `release`.

        Raises TargetError when the generator is lost, or says that it cannot.
        """
        answer = self._process.ask(order, answer_limit_s(order))
        if "failed" in answer:
            raise TargetError(f"generator: {answer['failed']}")
        return answer

    def release(self) -> None:
        """Close the connections of the last slice. Raises TargetError when it is lost."""
        self._process.ask({"release": True}, RELEASE_LIMIT_S)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


def answer_limit_s(order: Mapping[str, Any]) -> float:
    """After how long a generator that has not answered is taken for lost."""
    limits_s = {key: float(order.get(key, s)) for key, s in _DEFAULT_LIMITS_S.items()}
    connecting_s, spreading_s = 5.0, 2 * limits_s["delay_s"]
    warming_s = 2 * limits_s["warmup_limit_s"]  # each connection once, then all of them
    measuring_s = limits_s["window_limit_s"] + limits_s["drain_s"]
    return connecting_s + spreading_s + warming_s + measuring_s + ANSWER_MARGIN_S
