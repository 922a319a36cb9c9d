"""What somebody expects of a measurement, and whether it holds. Pure.

`p99<50ms`, `service_p99<=20ms`, `throughput>900`, `errors==0`, `errors<0.1%`.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_TEXT = re.compile(r"\s*([a-z_0-9]+)\s*(<=|>=|==|<|>)\s*(\d+(?:\.\d+)?)\s*(us|ms|s|%)?\s*")
_TIMES = ("mean", "p50", "p90", "p95", "p99", "p999", "max")
_KINDS = {"": "response_time_ms", "service_": "service_time_ms", "lateness_": "lateness_ms"}
_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
KNOWN = (
    "a time (p50, p90, p95, p99, p999, mean, max of the response time; service_p99 and so on of "
    "the service time; lateness_p99), throughput in requests per second, or errors"
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """`name` is to be in this relation to `limit`: ms, requests per second, a count, or a share."""

    text: str
    name: str
    relation: str
    limit: float
    is_share: bool

    def failure(self, result: Mapping[str, Any]) -> str | None:
        """Why the measurement does not show that it holds, in words; None where it does."""
        value, at_least = self._value(result)
        if value is None:
            return f"{self.text}: nothing was measured"
        holds = _OPERATORS[self.relation](value, self.limit)
        figure = f"{'at least ' if at_least else ''}{self._words(value)}"
        if not holds:
            return f"{self.text}: it is {figure}"
        if at_least and self.relation in ("<", "<=", "=="):
            return f"{self.text}: it is {figure}, and how much more is not known"
        return None

    def _value(self, result: Mapping[str, Any]) -> tuple[float | None, bool]:
        if self.name == "throughput":
            return result["throughput_rps"], False
        if self.name == "errors":
            errors = sum(result["errors"].values())
            asked = errors + result.get("served", result["completions"])
            if not self.is_share:
                return float(errors), False
            return (errors / asked if asked else None), False
        prefix, name = _split(self.name)
        times = result.get(_KINDS[prefix])
        at_least = not prefix and name in result["at_least"]
        return (None if times is None else times[name]), at_least

    def _words(self, value: float) -> str:
        if self.name == "throughput":
            return f"{value:.1f} req/s"
        if self.name == "errors":
            return f"{value:.3%}" if self.is_share else f"{value:.0f}"
        return f"{value:.3f} ms"


def parse_expectation(text: str) -> Expectation:
    """The expectation behind a text. Raises ValueError with what is wrong with it."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an expectation: write for example 'p99<50ms'")
    name, relation, number, unit = match.groups()
    limit = float(number)
    if name == "throughput" and unit is None:
        return Expectation(text, name, relation, limit, False)
    if name == "errors" and unit in (None, "%"):
        return Expectation(text, name, relation, limit / 100 if unit else limit, unit == "%")
    if _split(name)[1] in _TIMES:
        if unit not in _MS:
            raise ValueError(f"{text!r} needs a unit of time: 50ms")
        return Expectation(text, name, relation, limit * _MS[unit], False)
    raise ValueError(f"{text!r}: cannot expect anything of {name!r}; known are {KNOWN}")


def _split(name: str) -> tuple[str, str]:
    prefix = next((p for p in _KINDS if p and name.startswith(p)), "")
    return prefix, name.removeprefix(prefix)
