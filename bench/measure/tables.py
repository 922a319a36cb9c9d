"""Reads TOML tables of the user's, and says what is wrong in them. Must not know what they mean.

Every function takes `where` the value stands, for its message, and raises UserError.
"""

import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import UserError

Value = TypeVar("Value")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file. FileNotFoundError where there is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: cannot be read as TOML: {error}") from None


def known_keys(table: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse a key that is not among the known ones."""
    for key in table:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(known))}")


def values(
    table: Mapping[str, Any], key: str, where: str, read: Callable[[Any, str], Value]
) -> tuple[Value, ...]:
    """The values of a list, each read by `read` from what stands there and where it stands."""
    items = table[key]
    if not isinstance(items, list) or not items:
        raise UserError(f"{where}: {key} must be a list with something in it, not {items!r}")
    found: dict[Value, None] = {}
    for item in items:
        value = read(item, f"{where}: {key}")
        if value in found:
            raise UserError(f"{where}: {key} names {item!r} twice")
        found[value] = None
    return tuple(found)


def text(value: Any, where: str) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: must be text, not {value!r}")
    return value
