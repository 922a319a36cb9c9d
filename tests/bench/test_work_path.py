"""Paths as measuring reads them: the time that their steps wait in all, and early refusals."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.measure.work_path import Asked, read_work


@pytest.mark.parametrize(
    ("path", "wait_s", "calls"),
    [
        ("/", 0.0, 0),
        ("/delay=5ms", 0.005, 0),
        ("/delay=250us", 0.00025, 0),
        ("/delay=1.5s", 1.5, 0),
        ("/delay=20ms/spin=500us/delay=5ms", 0.025, 0),
        ("/call=20ms", 0.02, 1),
        ("/call=20ms/hold=5ms/call=1ms/block=2ms", 0.028, 2),
        ("/spin=3ms/hash=4ms/body=4KiB", 0.0, 0),
        # The usual body has 5 bytes: pieces of 2, 2 and 1, and a wait between two pieces.
        ("/drip=2x10ms", 0.02, 0),
        ("/drip=8x10ms", 0.0, 0),
        ("/drip=1KiBx10ms/body=4KiB/delay=1ms", 0.031, 0),
        ("/body=0/drip=1x10ms", 0.0, 0),
    ],
)
def test_the_waits_of_a_path_are_added_up(path: str, wait_s: float, calls: int) -> None:
    assert read_work(path, "x") == Asked(pytest.approx(wait_s, abs=1e-12), calls)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("delay=5ms", "--work: a path begins with a slash, not 'delay=5ms'"),
        ("", "--work: a path begins with a slash, not ''"),
        ("/sleep=5ms", "--work: unknown step 'sleep' in /sleep=5ms; a path is made of delay, call"),
        ("/delay=5ms/", "--work: unknown step '' in /delay=5ms/; a path is made of"),
        ("/delay", "--work: '' in /delay is not a time; write it like 250us, 20ms, 5s"),
        ("/delay=5", "--work: '5' in /delay=5 is not a time"),
        ("/spin=-1ms", "--work: '-1ms' in /spin=-1ms is not a time"),
        ("/delay=61s", "--work: 61s in /delay=61s is longer than the servers allow, 60s"),
        ("/body=1GiB", "--work: '1GiB' in /body=1GiB is not a size; write it like 100, 4KiB"),
        ("/drip=10ms", "--work: drip=10ms in /drip=10ms must be a size and a time: 1KiBx20ms"),
        ("/drip=0x10ms", "--work: drip=0x10ms in /drip=0x10ms must be a size and a time"),
    ],
)
def test_what_no_server_takes_is_refused_with_its_place(path: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_work(path, "--work")
    assert str(caught.value).startswith(message)


@given(st.text(max_size=20) | st.from_regex(r"(/[a-z]{4,5}=\d*\.?\d*(us|ms|x)?){1,3}"))
def test_any_text_is_a_path_or_a_user_error(text: str) -> None:
    with suppress(UserError):
        assert read_work(text, "x").wait_s >= 0
