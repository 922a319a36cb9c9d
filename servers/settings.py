"""What the applications are told in environment variables: the flags of other people's servers have
no room for it.

CROSSOVER_UNITS (1 if not given), CROSSOVER_WORKERS (1: processes of the server), CROSSOVER_UPSTREAM
(HOST:PORT, which calls need), CROSSOVER_SPIN_ROUNDS_PER_US and CROSSOVER_HASH_ROUNDS_PER_US
(measured if not given). Empty, or 0, is as good as not given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from servers.core.calls import Upstream
from servers.core.compute import Rates, calibrate
from servers.core.units import Units

POOL: Final = 1024
"""Most connections to the upstream, shared out among the processes of a server."""

Number = TypeVar("Number", int, float)


class SettingsError(Exception):
    """A variable of the environment cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all requests of a process share."""

    rates: Rates
    units: Units
    upstream: Upstream | None = None
    processes: int = 1


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the variables. Raises SettingsError."""
    processes = _number(environment, "CROSSOVER_WORKERS", int) or 1
    units = _number(environment, "CROSSOVER_UNITS", int) or 1
    spin = _number(environment, "CROSSOVER_SPIN_ROUNDS_PER_US", float)
    hashing = _number(environment, "CROSSOVER_HASH_ROUNDS_PER_US", float)
    rates = Rates(spin, hashing)
    if not (spin and hashing):
        measured = calibrate()
        rates = Rates(spin or measured.spin_per_us, hashing or measured.hash_per_us)
    upstream = _upstream(environment.get("CROSSOVER_UPSTREAM", ""), max(1, POOL // processes))
    return Settings(rates, Units(units), upstream, processes)


def _number(environment: Mapping[str, str], name: str, kind: Callable[[str], Number]) -> Number:
    text = environment.get(name) or "0"
    try:
        number = kind(text)
    except ValueError:
        number = kind("-1")
    if not 0 <= number < 1e9:
        raise SettingsError(f"{name}={text}: must be a number above 0")
    return number


def _upstream(address: str, most_connections: int) -> Upstream | None:
    host, _, port = address.rpartition(":")
    if address and not (host and port.isascii() and port.isdecimal()):
        raise SettingsError(f"CROSSOVER_UPSTREAM={address}: must be HOST:PORT")
    return Upstream(host, int(port), most_connections) if address else None
