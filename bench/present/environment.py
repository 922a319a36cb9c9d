"""What a run was measured on, as flat rows of names and values, and how two runs differ in it.

Knows the shape of run.json; it does not say which differences matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.present.units import NOTHING
from bench.store import Run

_SHOWN = (
    "machine",
    "python",
    "packages",
    "git",
    "server_cores",
    "generator_cores",
    "shared_core",
    "spin_rounds_per_us",
    "hash_rounds_per_us",
    "upstream_connections",
    "generator_ceiling",
    "config",
)
_OF_TARGETS = ("title", "workers", "workers_are", "threads", "path", "python")
_TIMES = ("name", "profile", "state", "started", "ended", "rounds_done")


def environment(run: Run) -> dict[str, str]:
    """Everything about the machine, the versions and the settings, as dotted names."""
    rows: dict[str, str] = {}
    for key in (*_TIMES, *_SHOWN):
        rows |= dict(_flat(key, run.info.get(key)))
    for target in run.info["targets"]:
        name = f"target.{target['name']}"
        rows[name] = " ".join(target.get("command") or [])
        for key in _OF_TARGETS:
            if target.get(key) is not None:
                rows |= dict(_flat(f"{name}.{key}", target[key]))
    return rows


def differences(runs: Mapping[str, Run]) -> list[tuple[str, list[str]]]:
    """What is not the same in all runs: (name, its value in each run).

    Names, times and what was measured are left out, and so are targets that a run has not.
    """
    tables = [environment(run) for run in runs.values()]
    lacking = _not_everywhere(list(runs.values()))
    names = dict.fromkeys(
        name
        for table in tables
        for name in table
        if not (_differs_anyway(name) or f"{name}.".startswith(lacking))
    )
    rows = ((name, [table.get(name, NOTHING) for table in tables]) for name in names)
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _differs_anyway(name: str) -> bool:
    return name in _TIMES or name.startswith("generator_ceiling")


def _not_everywhere(runs: Sequence[Run]) -> tuple[str, ...]:
    """How the names of targets begin that some run has not."""
    named = [{target["name"] for target in run.info["targets"]} for run in runs]
    return tuple(f"target.{name}." for name in set.union(*named) - set.intersection(*named))


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value, 1):
            yield from _flat(f"{name}.{number}", inner)
    elif isinstance(value, list):
        yield name, ", ".join(_plain(inner) for inner in value)
    else:
        yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not known" if value is None else str(value)
