"""The grammar of steps."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.core import work
from servers.core.compute import Rates, calibrate
from servers.core.work import DELAY, HOLD, BadWorkError, Kind, parse, parse_seconds

RATES = Rates(1.0, 1.0)


def test_steps_keep_their_order() -> None:
    steps = parse("/delay=20ms/spin=500us/hold=1s/block=1.5ms/delay=5ms", RATES).steps
    assert [step.kind for step in steps] == [DELAY, Kind.SPIN, HOLD, Kind.BLOCK, DELAY]
    assert [step.seconds for step in steps] == pytest.approx([0.020, 0.0005, 1.0, 0.0015, 0.005])


def test_root_asks_for_nothing() -> None:
    assert parse("/", RATES) == work.Work((), b"done\n")


def test_zero_time_is_no_step_but_a_hold_still_waits_for_its_turn() -> None:
    assert [step.kind for step in parse("/delay=0ms/spin=0s/block=0us/hold=0ms", RATES).steps] == [
        HOLD
    ]


@pytest.mark.parametrize(
    ("path", "length"), [("/body=7", 7), ("/body=2KiB", 2048), ("/body=0.5KiB", 512)]
)
def test_body_sizes(path: str, length: int) -> None:
    assert len(parse(path, RATES).body) == length


def test_sixty_seconds_and_16_mib_are_allowed() -> None:
    asked = parse("/delay=60s/body=16MiB", RATES)
    assert asked.steps[0].seconds == 60
    assert len(asked.body) == 16 << 20


@given(st.sampled_from(["us", "ms", "s"]), st.integers(0, 60))
def test_every_time_within_the_limit_is_read(unit: str, number: int) -> None:
    factor = {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert parse_seconds(f"{number}{unit}") == pytest.approx(number * factor)


@given(st.text(max_size=40))
def test_no_path_is_worse_than_bad_work(path: str) -> None:
    with contextlib.suppress(BadWorkError):
        parse(path, RATES)


def test_endless_numbers_are_bad_work() -> None:
    for path in ("/delay=" + "9" * 8000 + "s", "/body=" + "9" * 8000):
        with pytest.raises(BadWorkError):
            parse(path, RATES)


def test_spin_is_a_number_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 us at 12.5 rounds per microsecond are 6,250 rounds."""
    rounds: list[int] = []
    monkeypatch.setattr(work, "spin", rounds.append)
    parse("/spin=500us", Rates(12.5, 1.0)).steps[0].run()
    assert rounds == [6250]


def test_spin_in_line_uses_cpu_and_waits_in_line_do_not() -> None:
    rates = calibrate()
    spin, *waits = parse("/spin=50ms/delay=50ms/block=50ms/hold=50ms", rates).steps
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
        assert parse(f"/{kind.value}=1ms", RATES, lambda _: None).steps[0].kind is kind


def test_hash_is_a_number_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 us at 2.5 rounds per microsecond are 1,250 rounds."""
    rounds: list[int] = []
    monkeypatch.setattr(work, "hash_rounds", rounds.append)
    parse("/hash=500us", Rates(1.0, 2.5)).steps[0].run()
    assert rounds == [1250]


def test_hash_lets_other_threads_run_and_spin_does_not() -> None:
    """A thread counts while another computes in one go: only a released lock lets it."""
    counts = {}
    for name in ("spin", "hash"):
        step = parse(f"/{name}=4ms", calibrate()).steps[0]
        # Several times: on a busy machine the other may have no core just then.
        counts[name] = sum(_turns_of_another_thread(step.run) for _ in range(20))
    assert counts["hash"] > counts["spin"]


def _turns_of_another_thread(compute: Callable[[], None]) -> int:
    interval_s, turns, done = sys.getswitchinterval(), 0, threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    sys.setswitchinterval(10.0)  # the lock is only given up by who releases it
    try:
        thread.start()
        time.sleep(0.01)
        before = turns
        compute()
        after = turns
    finally:
        sys.setswitchinterval(interval_s)
        done.set()
        thread.join()
    return after - before


def test_a_call_says_how_long_in_microseconds() -> None:
    sent: list[bytes] = []
    step = parse("/call=1.5ms", RATES, sent.append).steps[0]
    step.run()
    assert sent == [step.request] == [b"1500\n"]


def test_a_call_of_no_time_is_still_a_call() -> None:
    assert parse("/call=0ms", RATES, lambda _: None).steps[0].request == b"0\n"


def test_a_call_without_an_upstream_is_bad_work() -> None:
    with pytest.raises(BadWorkError, match="this server has none"):
        parse("/call=1ms", RATES)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/drip=1", "drip=1 is not a size and a time, such as 1KiBx20ms"),
        ("/drip=0x1ms", "drip=0x1ms sends nothing at a time"),
        ("/body=10001/drip=1x0ms", "takes too long for 10001 bytes"),
        ("/body=7/drip=1x10s", "takes too long for 7 bytes"),
        ("/drip=1x1ms/drip=1x1ms", "drip is given twice"),
        ("/drip=1xfast", "'fast' is not a time"),
    ],
)
def test_a_drip_that_cannot_be(path: str, message: str) -> None:
    with pytest.raises(BadWorkError, match=message):
        parse(path, RATES)
