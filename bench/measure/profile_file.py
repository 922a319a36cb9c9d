"""Reads a profile's TOML file and checks every key. Must not know what a profile is used for."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import UserError
from bench.measure.profile import Grid, Pair, Profile
from bench.measure.quantities import (
    MOST_CONNECTIONS,
    parse_budget_s,
    parse_delay_s,
    parse_duration_s,
    whole,
)

PROFILES = Path(__file__).parent.parent / "profiles"
CONNECTION_MODES = ("keep-alive", "close")

Value = TypeVar("Value")

_TOP_KEYS = {"title", "rounds_min", "rounds_max", "budget", "seed", "slice", "grid"}
_GRID_KEYS = {"connection", "models", "delays", "connections", "pairs"}
_SLICE_KEYS = {"window", "completions_per_connection", "completions_one_at_a_time"}


def load_profile(name: str) -> Profile:
    """A profile of the package by its name, or a TOML file by its path.

    Raises UserError with the file, the key and what is wrong with it.
    """
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.toml")))
        raise UserError(
            f"no profile {name!r}: the profiles are {known}, or give the path of a .toml file"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: cannot be read as TOML: {error}") from None
    return parse_profile(table, path.stem, str(path))


def parse_profile(table: Mapping[str, Any], name: str, where: str) -> Profile:
    """Check the values of a profile's TOML and resolve them. Raises UserError."""
    _known_keys(table, _TOP_KEYS, where)
    options: dict[str, Any] = {}
    for key in ("rounds_min", "rounds_max"):
        if key in table:
            options[key] = whole(table[key], f"{where}: {key}", 1, 10_000)
    if "seed" in table:
        options["seed"] = whole(table["seed"], f"{where}: seed", 0, 2**32)
    if "budget" in table:
        options["budget_s"] = parse_budget_s(
            _text(table["budget"], f"{where}: budget"), f"{where}: budget"
        )
    options |= _slice_options(table.get("slice", {}), f"{where}: [slice]")
    grids = table.get("grid")
    if not isinstance(grids, list) or not grids:
        raise UserError(f"{where}: needs at least one [[grid]]")
    parsed = tuple(_grid(grid, f"{where}: grid {i}") for i, grid in enumerate(grids, 1))
    profile = Profile(name, _text(table.get("title", name), f"{where}: title"), parsed, **options)
    return _checked_rounds(profile, where)


def _grid(table: Any, where: str) -> Grid:
    if not isinstance(table, dict):
        raise UserError(f"{where}: must be a [[grid]] table")
    _known_keys(table, _GRID_KEYS, where)
    for key in ("connection", "models", "delays", "connections"):
        if key not in table:
            raise UserError(f"{where}: {key!r} is missing")
    if table["connection"] not in CONNECTION_MODES:
        raise UserError(
            f"{where}: connection must be one of {', '.join(CONNECTION_MODES)}, "
            f"not {table['connection']!r}"
        )
    targets = _values(table, "models", where, _text)
    declares_pairs = table.get("pairs", []) != []
    return Grid(
        table["connection"],
        targets,
        _values(table, "delays", where, lambda d, at: parse_delay_s(_text(d, at), at)),
        _values(table, "connections", where, lambda n, at: whole(n, at, 1, MOST_CONNECTIONS)),
        _values(table, "pairs", where, partial(_pair, targets)) if declares_pairs else (),
    )


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
    _known_keys(table, _SLICE_KEYS, where)
    options: dict[str, Any] = {}
    if "window" in table:
        window = _text(table["window"], f"{where} window")
        options["window_s"] = parse_duration_s(window, f"{where} window")
    for key in ("completions_per_connection", "completions_one_at_a_time"):
        if key in table:
            options[key] = whole(table[key], f"{where} {key}", 1, 100_000)
    return options


def _known_keys(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(known))}")


def _values(
    table: Mapping[str, Any], key: str, where: str, read: Callable[[Any, str], Value]
) -> tuple[Value, ...]:
    """The values of a list, each read by `read` from what stands there and where it stands."""
    items = table[key]
    if not isinstance(items, list) or not items:
        raise UserError(f"{where}: {key} must be a list with something in it, not {items!r}")
    values: dict[Value, Any] = {}
    for item in items:
        value = read(item, f"{where}: {key}")
        if value in values:
            raise UserError(f"{where}: {key} names {item!r} twice")
        values[value] = item
    return tuple(values)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: must be text, not {value!r}")
    return value


def _checked_rounds(profile: Profile, where: str) -> Profile:
    if profile.rounds_max < profile.rounds_min:
        raise UserError(
            f"{where}: rounds_max ({profile.rounds_max}) is less than "
            f"rounds_min ({profile.rounds_min})"
        )
    return profile
