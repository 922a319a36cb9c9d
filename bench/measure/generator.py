"""The generator as the harness uses it: a process that measures slices, one burst at a time."""

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from bench.measure.cores import CoreChoice
from bench.measure.json_process import JsonProcess
from bench.measure.process import TargetError

COMMAND = (sys.executable, "-P", "-m", "clients", "--batch")
ANSWER_LIMIT_S = 30.0
SPIN_NS = 200_000

Answer = TypeVar("Answer")

# What the generator takes for a slice that does not say, for the time after which it is lost.
_DEFAULT_LIMITS_S: dict[str, float] = {
    "window_limit_s": 30.0,
    "warmup_limit_s": 10.0,
    "delay_s": 0.0,
    "drain_s": 0.5,
    "warmup_s": 0.0,
    "window_s": 0.0,
}


def spin_ns_on(cores: CoreChoice) -> int:
    """How long it may spin before an arrival: not at all where it shares its core."""
    return 0 if cores.shared else SPIN_NS


class Generator:
    """One generator process. A context manager: it is killed on leaving."""

    def __init__(self, cores: Collection[int]) -> None:
        self._process = JsonProcess("generator", COMMAND, cores=cores)
        self._burst_limits_s: dict[str, float] = {}

    def __enter__(self) -> "Generator":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    # Each raises TargetError when the generator is lost, or says that it cannot.

    def measure(self, load: Mapping[str, Any]) -> dict[str, Any]:
        """Measure one slice by itself; its connections stay open until `release`."""
        self.open("slice", load)
        for _ in range(load.get("bursts", 1)):
            self.burst("slice")
        return self.finish("slice")

    def open(self, name: str, load: Mapping[str, Any]) -> None:
        """Begin a slice, to be known as `name`: connect, and have each connection served once."""
        self._burst_limits_s[name] = burst_limit_s(load)
        self._ask({"open": name, "load": load}, self._burst_limits_s[name])

    def burst(self, name: str) -> None:
        """Measure one burst of a slice."""
        self._ask({"burst": name}, self._burst_limits_s.get(name, ANSWER_LIMIT_S))

    # A burst at the same time as other generators': every step is taken with all before the next.

    def begin_burst(self, name: str) -> None:
        """Begin one, and do not wait for its end."""
        self._process.send({"burst": name})

    def begin_meeting(self, name: str) -> None:
        """Begin one of a closed loop, which will `arrive` when it has settled, and once measured.

        It is loaded all the while, until it is let `go_on`.
        """
        self._process.send({"meet": name})

    def arrive(self, name: str) -> None:
        """Wait until it is as far."""
        self._receive(self._burst_limits_s.get(name, ANSWER_LIMIT_S))

    def go_on(self, name: str) -> None:
        """Let it go on: all others have arrived."""
        self._process.send({"go_on": name})

    def end_burst(self, name: str) -> None:
        """Wait for the end of the one that was begun."""
        self.arrive(name)

    def finish(self, name: str) -> dict[str, Any]:
        """The figures of a slice."""
        return self._ask({"finish": name}, ANSWER_LIMIT_S)

    def release(self) -> None:
        """Close the connections of all slices."""
        self._ask({"release": True}, ANSWER_LIMIT_S)

    def rss_bytes(self) -> int:
        """How much memory it has resident now."""
        return self._process.sample().rss_bytes

    def _ask(self, order: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        self._process.send(order)
        return self._receive(limit_s)

    def _receive(self, limit_s: float) -> dict[str, Any]:
        answer = self._process.receive(limit_s)
        if "failed" in answer:
            raise TargetError(f"generator: {answer['failed']}")
        return answer

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


class LastingGenerator:
    """A generator that is started when it is needed, and anew where one was lost."""

    def __init__(self, cores: Collection[int]) -> None:
        self._cores = cores
        self._generator: Generator | None = None

    def ask(self, question: Callable[[Generator], Answer]) -> Answer:
        """Ask it something. Raises TargetError where it is lost or says that it cannot."""
        if self._generator is None:
            self._generator = Generator(self._cores)
        try:
            return question(self._generator)
        except TargetError:
            self.stop()
            raise

    def release(self) -> str | None:
        """Close the connections of all slices; one that cannot is ended, which does. Why it was."""
        if self._generator is not None:
            try:
                self.ask(Generator.release)
            except TargetError as error:
                return str(error)
        return None

    def stop(self) -> None:
        """End it, if there is one."""
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.kill()


def burst_limit_s(load: Mapping[str, Any]) -> float:
    """After how long a generator that has not opened a slice, or done a burst of it, is lost."""
    limits_s = {key: float(load.get(key, s)) for key, s in _DEFAULT_LIMITS_S.items()}
    return sum(limits_s.values()) + limits_s["delay_s"] + ANSWER_LIMIT_S
