"""Settings of the applications come from the environment."""

import pytest

from servers.core.compute import Rates
from servers.settings import POOL, SettingsError, read_settings

RATES = {"CROSSOVER_SPIN_ROUNDS_PER_US": "10.5", "CROSSOVER_HASH_ROUNDS_PER_US": "1"}


def test_what_is_given_is_taken() -> None:
    settings = read_settings(
        {**RATES, "CROSSOVER_WORKERS": "4", "CROSSOVER_UPSTREAM": "localhost:81"}
    )
    assert settings.rates == Rates(10.5, 1.0)
    assert settings.processes == 4
    assert settings.upstream is not None
    assert (settings.upstream.host, settings.upstream.port) == ("localhost", 81)
    assert settings.upstream.most_connections == POOL // 4


@pytest.mark.parametrize("nothing", ["", "0"])
def test_nothing_given_has_a_default(nothing: str) -> None:
    names = ("UNITS", "WORKERS", "SPIN_ROUNDS_PER_US", "HASH_ROUNDS_PER_US")
    settings = read_settings({f"CROSSOVER_{name}": nothing for name in names})
    assert settings.processes == 1
    assert settings.upstream is None
    assert settings.rates.spin_per_us > 0
    assert settings.rates.hash_per_us > 0


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("3", 3)])
def test_units_are_as_many_as_given(text: str, expected: int) -> None:
    """Of five that claim a unit, as many are granted one at once."""
    units = read_settings({**RATES, "CROSSOVER_UNITS": text}).units
    granted: list[int] = []
    for number in range(5):
        units.claim(lambda number=number: granted.append(number))  # type: ignore[misc]
    assert granted == list(range(expected))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UNITS", "x"),
        ("UNITS", "-1"),
        ("UNITS", "1.5"),
        ("WORKERS", "-2"),
        ("SPIN_ROUNDS_PER_US", "nan"),
        ("HASH_ROUNDS_PER_US", "fast"),
        ("UPSTREAM", "localhost"),
        ("UPSTREAM", ":80"),
        ("UPSTREAM", "localhost:http"),
    ],
)
def test_nonsense_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"CROSSOVER_{name}={text}: must be"):
        read_settings({**RATES, f"CROSSOVER_{name}": text})
