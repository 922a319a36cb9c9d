"""Reads a profile's TOML file and checks every key. Must not know what a profile is used for."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.measure.profile import Grid, Ladder, Pair, Profile, work_of
from bench.measure.quantities import (
    MOST_CONNECTIONS,
    MOST_CORES,
    MOST_UNITS,
    MOST_WORKERS,
    parse_budget_s,
    parse_delay_s,
    parse_duration_s,
    whole,
)
from bench.measure.tables import known_keys, read_toml, text, values
from bench.measure.work_path import read_work

PROFILES = Path(__file__).parent.parent / "profiles"
CONNECTION_MODES = ("keep-alive", "close")

_TOP_KEYS = {
    *(
        "title",
        "rounds_min",
        "rounds_max",
        "budget",
        "precision",
        "refine",
        "seed",
        "slice",
        "grid",
        "ladder",
    ),
    "delivered_delay",
}
_NEEDED_GRID_KEYS = ("connection", "models", "connections")
_AXES = {"workers": MOST_WORKERS, "units": MOST_UNITS, "server_cores": MOST_CORES}
_GRID_KEYS = {*_NEEDED_GRID_KEYS, "delays", "works", "pairs", *_AXES}
_LADDER_KEYS = {"rungs", "steps"}
_SLICE_KEYS = {"window", "completions_per_connection", "completions_one_at_a_time"}


def load_profile(name: str) -> Profile:
    """A profile of the package by its name, or a TOML file by its path.

    Raises UserError with the file, the key and what is wrong with it.
    """
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    try:
        table = read_toml(path)
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.toml")))
        raise UserError(
            f"no profile {name!r}: the profiles are {known}, or give the path of a .toml file"
        ) from None
    return parse_profile(table, path.stem, str(path))


def parse_profile(table: Mapping[str, Any], name: str, where: str) -> Profile:
    """Check the values of a profile's TOML and resolve them. Raises UserError."""
    known_keys(table, _TOP_KEYS, where)
    options: dict[str, Any] = {}
    for key in ("rounds_min", "rounds_max"):
        if key in table:
            options[key] = whole(table[key], f"{where}: {key}", 1, 10_000)
    if "precision" in table:
        options["precision"] = _share(table["precision"], f"{where}: precision")
    if "refine" in table:
        if not isinstance(table["refine"], bool):
            raise UserError(f"{where}: refine: must be true or false, not {table['refine']!r}")
        options["refine"] = table["refine"]
    if "seed" in table:
        options["seed"] = whole(table["seed"], f"{where}: seed", 0, 2**32)
    if "budget" in table:
        options["budget_s"] = parse_budget_s(
            text(table["budget"], f"{where}: budget"), f"{where}: budget"
        )
    if "delivered_delay" in table:
        options["delivered_delay_s"] = _some_delay_s(table, "delivered_delay", where)
    options |= _slice_options(table.get("slice", {}), f"{where}: [slice]")
    parsed = tuple(_grid(grid, at) for grid, at in _tables(table, "grid", where))
    if not parsed:
        raise UserError(f"{where}: needs at least one [[grid]]")
    ladders = tuple(_ladder(each, parsed, at) for each, at in _tables(table, "ladder", where))
    title = text(table.get("title", name), f"{where}: title")
    return _checked_rounds(Profile(name, title, parsed, ladders, **options), where)


def _share(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"{where}: must be a number between 0 and 1, not {value!r}")
    return float(value)


def _some_delay_s(table: Mapping[str, Any], key: str, where: str) -> float:
    delay_s = parse_delay_s(text(table[key], f"{where}: {key}"), f"{where}: {key}")
    if not delay_s:
        raise UserError(f"{where}: {key}: must be more than nothing")
    return delay_s


def _tables(table: Mapping[str, Any], key: str, where: str) -> list[tuple[dict[str, Any], str]]:
    """The tables of `[[key]]`, each with where it stands."""
    found = table.get(key, [])
    if not isinstance(found, list):
        raise UserError(f"{where}: {key} must be a list of tables: write [[{key}]]")
    for number, each in enumerate(found, 1):
        if not isinstance(each, dict):
            raise UserError(f"{where}: {key} {number}: must be a [[{key}]] table")
    return [(each, f"{where}: {key} {number}") for number, each in enumerate(found, 1)]


def _grid(table: Mapping[str, Any], where: str) -> Grid:
    known_keys(table, _GRID_KEYS, where)
    for key in _NEEDED_GRID_KEYS:
        if key not in table:
            raise UserError(f"{where}: {key!r} is missing")
    if table["connection"] not in CONNECTION_MODES:
        raise UserError(
            f"{where}: connection must be one of {', '.join(CONNECTION_MODES)}, "
            f"not {table['connection']!r}"
        )
    targets = values(table, "models", where, text)
    declares_pairs = table.get("pairs", []) != []
    axes: dict[str, Any] = {
        key: values(table, key, where, partial(_axis_value, most))
        for key, most in _AXES.items()
        if key in table
    }
    return Grid(
        table["connection"],
        targets,
        _works(table, where),
        values(table, "connections", where, lambda n, at: whole(n, at, 1, MOST_CONNECTIONS)),
        values(table, "pairs", where, partial(_pair, targets)) if declares_pairs else (),
        **axes,
    )


def _works(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The paths: given as `works`, or by the one wait of each as `delays`."""
    if ("delays" in table) == ("works" in table):
        raise UserError(f"{where}: give either 'delays' or 'works'")
    if "works" in table:
        return values(table, "works", where, _work)
    delays_s = values(table, "delays", where, lambda d, at: parse_delay_s(text(d, at), at))
    return tuple(work_of(delay_s) for delay_s in delays_s)


def _work(value: Any, where: str) -> str:
    path = text(value, where)
    read_work(path, where)
    return path


def _axis_value(most: int, value: Any, where: str) -> int:
    return whole(value, where, 1, most)


def _ladder(table: Mapping[str, Any], grids: Sequence[Grid], where: str) -> Ladder:
    known_keys(table, _LADDER_KEYS, where)
    for key in sorted(_LADDER_KEYS):
        if key not in table:
            raise UserError(f"{where}: {key!r} is missing")
    rungs = values(table, "rungs", where, text)
    steps = table["steps"]
    if not isinstance(steps, list) or len(steps) != len(rungs) - 1 or not steps:
        raise UserError(
            f"{where}: steps must be a list of what changes from rung to rung, "
            f"one less than the {len(rungs)} rungs, not {steps!r}"
        )
    if not any(set(rungs) <= set(grid.targets) for grid in grids):
        raise UserError(f"{where}: rungs: no grid measures all of {', '.join(rungs)}")
    return Ladder(rungs, tuple(text(step, f"{where}: steps") for step in steps))


def _pair(targets: Sequence[str], value: Any, where: str) -> Pair:
    if not isinstance(value, list) or len(value) != 2 or value[0] == value[1]:
        raise UserError(f"{where}: a pair is two different models, not {value!r}")
    for name in value:
        if name not in targets:
            raise UserError(f"{where}: {name!r} is not among the models of this grid")
    return value[0], value[1]


def _slice_options(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UserError(f"{where}: must be a table")
    known_keys(table, _SLICE_KEYS, where)
    options: dict[str, Any] = {}
    if "window" in table:
        window = text(table["window"], f"{where} window")
        options["window_s"] = parse_duration_s(window, f"{where} window")
    for key in ("completions_per_connection", "completions_one_at_a_time"):
        if key in table:
            options[key] = whole(table[key], f"{where} {key}", 1, 100_000)
    return options


def _checked_rounds(profile: Profile, where: str) -> Profile:
    if profile.rounds_max < profile.rounds_min:
        raise UserError(
            f"{where}: rounds_max ({profile.rounds_max}) is less than "
            f"rounds_min ({profile.rounds_min})"
        )
    return profile
