"""The grammar of steps."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.core import work
from servers.core.work import BLOCK, DELAY, HOLD, SPIN, BadWorkError, Kind, parse, parse_seconds


def test_steps_keep_their_order() -> None:
    steps = parse("/delay=20ms/spin=500us/hold=1s/block=1.5ms/delay=5ms", 1.0).steps
    assert [step.kind for step in steps] == [DELAY, SPIN, HOLD, BLOCK, DELAY]
    assert [step.seconds for step in steps] == pytest.approx([0.020, 0.0005, 1.0, 0.0015, 0.005])


def test_root_asks_for_nothing() -> None:
    assert parse("/", 1.0) == work.Work((), b"done\n")


def test_zero_time_is_no_step_but_a_hold_still_waits_for_its_turn() -> None:
    assert [step.kind for step in parse("/delay=0ms/spin=0s/block=0us/hold=0ms", 1.0).steps] == [
        HOLD
    ]


@pytest.mark.parametrize(
    ("path", "length"), [("/body=7", 7), ("/body=2KiB", 2048), ("/body=0.5KiB", 512)]
)
def test_body_sizes(path: str, length: int) -> None:
    assert len(parse(path, 1.0).body) == length


def test_sixty_seconds_and_16_mib_are_allowed() -> None:
    asked = parse("/delay=60s/body=16MiB", 1.0)
    assert asked.steps[0].seconds == 60
    assert len(asked.body) == 16 << 20


@given(st.sampled_from(["us", "ms", "s"]), st.integers(0, 60))
def test_every_time_within_the_limit_is_read(unit: str, number: int) -> None:
    factor = {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert parse_seconds(f"{number}{unit}") == pytest.approx(number * factor)


@given(st.text(max_size=40))
def test_no_path_is_worse_than_bad_work(path: str) -> None:
    with contextlib.suppress(BadWorkError):
        parse(path, 1.0)


def test_endless_numbers_are_bad_work() -> None:
    for path in ("/delay=" + "9" * 8000 + "s", "/body=" + "9" * 8000):
        with pytest.raises(BadWorkError):
            parse(path, 1.0)


def test_spin_is_a_number_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 us at 12.5 rounds per microsecond are 6,250 rounds."""
    rounds: list[int] = []
    monkeypatch.setattr(work, "spin", rounds.append)
    parse("/spin=500us", 12.5).steps[0].run()
    assert rounds == [6250]


def test_spin_in_line_uses_cpu_and_waits_in_line_do_not() -> None:
    rounds_per_us = work.calibrate_spin()
    spin, *waits = parse("/spin=50ms/delay=50ms/block=50ms/hold=50ms", rounds_per_us).steps
    before_s = time.thread_time()
    spin.run()
    assert time.thread_time() - before_s > 0.01, (
        "a core may run at twice the speed that it was calibrated at"
    )
    for wait in waits:
        before_s, start_s = time.thread_time(), time.monotonic()
        wait.run()
        assert time.monotonic() - start_s >= 0.05
        assert time.thread_time() - before_s < 0.01


def test_every_kind_is_named_as_in_the_path() -> None:
    for kind in Kind:
        assert parse(f"/{kind.value}=1ms", 1.0).steps[0].kind is kind
