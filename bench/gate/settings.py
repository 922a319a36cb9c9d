"""What a gate is asked: `[gate]` of crossover.toml, and the options that go before it.

Reads and checks. Must not know how anything is measured.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.gate.arms import Recipe
from bench.gate.pairs import LEAST_PAIRS
from bench.gate.rule import DEFAULT_MARGIN, Rule
from bench.gate.slices import METRICS
from bench.gate.workload import (
    DEFAULT_CONNECTIONS,
    DEFAULT_PATH,
    REQUEST_TIMEOUT_S,
    USERS_PATH,
    Workload,
    checked_metrics,
    checked_path,
)
from bench.measure.foreign import command_words
from bench.measure.quantities import MOST_CONNECTIONS, parse_budget_s, whole
from bench.measure.stanza import OWN_FILE
from bench.measure.tables import known_keys, read_toml, text

DEFAULT_BUDGET_S = 180.0
MOST_RPS = 1_000_000
_KEYS = {
    "command",
    "setup",
    "extras",
    "env",
    "ready_timeout",
    "request_timeout",
    "path",
    "connections",
    "workloads",
    "metrics",
    "margin",
    "margins",
    "promises",
    "budget",
    "in_turns",
}
_OF_WORKLOAD = {"path", "connections", "metrics", "rate", "arrivals"}


@dataclass(frozen=True)
class Settings:
    """All that can be set of a gate but its two sides."""

    recipe: Recipe = field(default_factory=Recipe)
    workloads: tuple[Workload, ...] = ()
    path: str | None = None
    connections: int | None = None
    metrics: tuple[str, ...] | None = None
    margin: float = DEFAULT_MARGIN
    margins: Mapping[str, float] = field(default_factory=dict)
    promises: Mapping[str, float] = field(default_factory=dict)
    budget_s: float = DEFAULT_BUDGET_S
    in_turns: bool = False
    request_timeout_s: float = REQUEST_TIMEOUT_S
    least_pairs: int = LEAST_PAIRS
    most_pairs: int = 1000
    seed: int = 1

    @property
    def rule(self) -> Rule:
        """What is promised. Raises UserError for what makes no rule."""
        return Rule(margin=self.margin, margins=self.margins, promises=self.promises)

    @property
    def asked(self) -> tuple[Workload, ...]:
        """The workloads, of which there is one where no list is given."""
        default = DEFAULT_PATH if self.recipe.needs else USERS_PATH
        one = Workload(self.path or default, self.connections or DEFAULT_CONNECTIONS)
        listed = self.workloads or (one,)
        return tuple(
            replace(
                each,
                metrics=self.metrics if each.metrics is None else each.metrics,
                request_timeout_s=self.request_timeout_s,
            )
            for each in listed
        )

    def overridden(self, **options: Any) -> "Settings":
        """The same with every option that is given.

        A path or connections replace all workloads; metrics are those of every workload.
        """
        given = {key: value for key, value in options.items() if value is not None}
        if "path" in given or "connections" in given:
            given["workloads"] = ()
        elif "metrics" in given:
            given["workloads"] = tuple(replace(each, metrics=None) for each in self.workloads)
        return replace(self, **given)


def read_settings(file: Path = OWN_FILE) -> Settings:
    """`[gate]` of a file, or nothing but defaults where there is none. Raises UserError."""
    try:
        table = read_toml(file).get("gate", {})
    except FileNotFoundError:
        return Settings()
    where = f"{file}: [gate]"
    if not isinstance(table, dict):
        raise UserError(f"{where}: must be a table")
    known_keys(table, _KEYS, where)
    settings = Settings(
        recipe=_recipe(table, where),
        workloads=tuple(
            _workload(each, f"{where} workloads {number}")
            for number, each in enumerate(_list(table.get("workloads", []), where, "workloads"), 1)
        ),
        margins=_shares(table.get("margins", {}), f"{where} margins"),
        promises=_shares(table.get("promises", {}), f"{where} promises"),
    )
    if "workloads" in table and not settings.workloads:
        raise UserError(f"{where} workloads: is empty: list one or leave it out")
    if settings.workloads and (beside := sorted({"path", "connections"} & table.keys())):
        raise UserError(
            f"{where} {beside[0]}: belongs into each of the workloads where they are listed"
        )
    names = [each.name for each in settings.workloads]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{where} workloads: {twice[0]} is there more than once")
    budget, timeout = table.get("budget"), table.get("request_timeout")
    given: dict[str, Any] = {
        "path": _path_in(table, where),
        "connections": _connections_in(table, where),
        "metrics": _metrics_in(table, where),
        "margin": _share(table["margin"], f"{where} margin") if "margin" in table else None,
        "budget_s": None
        if budget is None
        else parse_budget_s(text(budget, where), f"{where} budget"),
        "request_timeout_s": None
        if timeout is None
        else parse_budget_s(text(timeout, where), f"{where} request_timeout"),
        "in_turns": _truth(table.get("in_turns"), f"{where} in_turns"),
    }
    return replace(settings, **{key: value for key, value in given.items() if value is not None})


def _recipe(table: Mapping[str, Any], where: str) -> Recipe:
    command, setup = table.get("command"), table.get("setup")
    if command is not None:
        command_words(text(command, f"{where} command"), f"{where} command")
    variables = table.get("env", {})
    if not isinstance(variables, dict) or not all(isinstance(v, str) for v in variables.values()):
        raise UserError(f'{where} env: must be a table of texts, such as {{KEY = "value"}}')
    ready = table.get("ready_timeout", "10s")
    return Recipe(
        command,
        None if setup is None else text(setup, f"{where} setup"),
        tuple(text(e, f"{where} extras") for e in _list(table.get("extras", []), where, "extras")),
        tuple(sorted(variables.items())),
        parse_budget_s(text(ready, f"{where} ready_timeout"), f"{where} ready_timeout"),
    )


def _workload(table: Any, where: str) -> Workload:
    if not isinstance(table, dict):
        raise UserError(f'{where}: must be a table, such as {{path = "/", connections = 64}}')
    known_keys(table, _OF_WORKLOAD, where)
    rate, arrivals = table.get("rate"), table.get("arrivals", "constant")
    if rate is not None and (
        isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= MOST_RPS
    ):
        raise UserError(
            f"{where} rate: must be a number of requests per second, at most {MOST_RPS:,}, "
            f"not {rate!r}"
        )
    if arrivals not in ("poisson", "constant"):
        raise UserError(f"{where} arrivals: must be poisson or constant, not {arrivals!r}")
    path = _path_in(table, where)
    if path is None:
        raise UserError(f'{where}: has no path: give one, such as path = "/"')
    return Workload(
        path,
        _connections_in(table, where) or DEFAULT_CONNECTIONS,
        _metrics_in(table, where),
        None if rate is None else float(rate),
        arrivals,
    )


def _path_in(table: Mapping[str, Any], where: str) -> str | None:
    if "path" not in table:
        return None
    return checked_path(text(table["path"], f"{where} path"), f"{where} path")


def _connections_in(table: Mapping[str, Any], where: str) -> int | None:
    if "connections" not in table:
        return None
    return whole(table["connections"], f"{where} connections", 1, MOST_CONNECTIONS)


def _metrics_in(table: Mapping[str, Any], where: str) -> tuple[str, ...] | None:
    if "metrics" not in table:
        return None
    names = _list(table["metrics"], where, "metrics")
    return checked_metrics(tuple(text(name, f"{where} metrics") for name in names), where)


def _list(value: Any, where: str, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"{where} {key}: must be a list, not {value!r}")
    return value


def _truth(value: Any, where: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise UserError(f"{where}: must be true or false, not {value!r}")
    return value


def _shares(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: must be a table, such as {{p99 = 0.1}}")
    known_keys(value, METRICS, where)
    return {key: _share(share, f"{where} {key}") for key, share in value.items()}


def _share(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where}: must be a share such as 0.02, not {value!r}")
    if not math.isfinite(value):
        raise UserError(f"{where}: must be a share such as 0.02, not {value}")
    return float(value)
