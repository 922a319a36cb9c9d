"""Quantities as people write them: what is read, and what is refused in which words."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.measure.quantities import (
    connection_count,
    parse_budget_s,
    parse_delay_s,
    parse_duration_s,
    whole,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0ms", 0.0),
        ("250us", 0.00025),
        ("20ms", 0.02),
        ("1.5s", 1.5),
        ("4m20s", 4 * 60 + 20),
        ("1m1s1ms1us", 61.001001),
        ("1440m", 86_400.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration_s(text, "here") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "5", "ms", "-5ms", "5 ms", "5ms ", "5h", "1e3s", ".5s", "5.s", "5ms,6ms", "nan s", "٣s"],
)
def test_what_is_no_duration_is_refused_with_examples_of_one(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_duration_s(text, "p.toml: budget")
    assert str(caught.value).startswith(f"p.toml: budget: {text!r} is not a duration; write it")


@pytest.mark.parametrize("text", ["1441m", "9" * 400 + "s"])
def test_no_duration_is_longer_than_a_day_nor_infinite(text: str) -> None:
    with pytest.raises(UserError, match=f"--budget: {text} is longer than a day"):
        parse_duration_s(text, "--budget")


@given(st.text(alphabet="0123456789.umsh -e", max_size=8))
def test_any_text_is_a_duration_of_at_most_a_day_or_a_user_error(text: str) -> None:
    with suppress(UserError):
        assert 0 <= parse_duration_s(text, "here") <= 86_400


@pytest.mark.parametrize("value", [0, 11, True, 5.0, "5", None, [5]])
def test_a_whole_number_is_within_its_limits_and_nothing_like_one(value: object) -> None:
    with pytest.raises(UserError) as caught:
        whole(value, "seed", 1, 10)
    assert str(caught.value) == f"seed: must be a whole number from 1 to 10, not {value!r}"
    assert [whole(n, "seed", 1, 10) for n in (1, 10)] == [1, 10]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "50001", "²", "9" * 5000])
def test_a_number_of_connections_is_from_1_to_50000(text: str) -> None:
    with pytest.raises(UserError, match="--connections: must be a whole number from 1 to 50000"):
        connection_count(text, "--connections")
    assert [connection_count(n, "c") for n in ("1", "50000")] == [1, 50_000]


def test_a_delay_is_at_most_what_the_servers_accept() -> None:
    assert parse_delay_s("1m", "--delay") == 60.0
    with pytest.raises(UserError, match="--delay: 61s is longer than the servers allow, 60 s"):
        parse_delay_s("61s", "--delay")


@pytest.mark.parametrize("text", ["0.4us", "1.5us", "0.0001ms"])
def test_a_delay_that_the_path_could_only_round_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"--delay: {text} is not a whole number of microseconds"):
        parse_delay_s(text, "--delay")


@given(st.integers(0, 60_000_000))
def test_every_whole_number_of_microseconds_is_a_delay(microseconds: int) -> None:
    assert parse_delay_s(f"{microseconds}us", "d") == pytest.approx(microseconds / 1e6)


def test_a_budget_is_more_than_nothing() -> None:
    assert parse_budget_s("4m20s", "b") == 260.0
    with pytest.raises(UserError, match="--budget: must be more than nothing"):
        parse_budget_s("0s", "--budget")
