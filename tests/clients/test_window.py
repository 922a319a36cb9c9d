"""When a window may close: on a fake clock, with completions put into the record by hand."""

from clients.connection import Connection
from clients.load import Load
from clients.record import Record
from clients.request import build_request
from clients.response import ResponseFramer
from clients.window import Standing, Window

MS = 1_000_000


def connections(began_ms: int = 0) -> list[Connection]:
    """Four, with a request outstanding on each since then."""
    made = [Connection(index, ResponseFramer(), b"") for index in range(4)]
    for conn in made:
        conn.outstanding, conn.began_ns = True, began_ms * MS
    return made


def window(**fields: object) -> tuple[Window, Record]:
    """A window opened at 0 on 4 connections: 100 ms long, 40 completions unless said otherwise."""
    return window_on(connections(), **fields)


def window_on(conns: list[Connection], **fields: object) -> tuple[Window, Record]:
    """The same on these connections."""
    plain = {"connections": 4, "window_s": 0.1, "completions_wanted": 40, "window_limit_s": 2.0}
    record = Record()
    load = Load(build_request("http://h/"), **{**plain, **fields})  # type: ignore[arg-type]
    return Window(load, record, 0, Standing(conns, 0)), record


def complete(record: Record, count: int, at_ms: int) -> int:
    """So many completions, the last at `at_ms`; the time, for `may_close`."""
    record.steady_ns.extend([MS] * count)
    record.last_done_ns = at_ms * MS
    return at_ms * MS


def test_it_closes_when_both_time_and_completions_are_reached() -> None:
    now, record = window()
    assert not now.may_close(complete(record, 40, at_ms=99)), "too early"
    assert now.may_close(complete(record, 4, at_ms=100))


def test_it_waits_for_the_completions() -> None:
    now, record = window()
    assert not now.may_close(complete(record, 39, at_ms=150))
    assert now.may_close(complete(record, 1, at_ms=151))


def test_it_closes_on_a_whole_number_of_replies_per_connection() -> None:
    """41 replies are 10 for each of 4 connections and one more: 3 are awaited, to 44."""
    now, record = window()
    assert not now.may_close(complete(record, 41, at_ms=120))
    assert not now.may_close(complete(record, 2, at_ms=121))
    assert now.may_close(complete(record, 1, at_ms=122))
    assert now.closed_ns(130 * MS) == 122 * MS


def test_one_at_a_time_knows_no_step() -> None:
    now, record = window(serves_one_at_a_time=True)
    assert now.may_close(complete(record, 41, at_ms=120))


def test_a_saturated_target_needs_fewer_completions() -> None:
    """12 delays of 20 ms are 240 ms: after that, 16 do; before, 40 are wanted."""
    now, record = window(saturated_s=0.24, completions_saturated=16)
    assert not now.may_close(complete(record, 16, at_ms=239))
    assert now.may_close(complete(record, 4, at_ms=240))


def test_failures_fill_a_window_too_and_the_clock_closes_it() -> None:
    now, record = window()
    for _ in range(40):
        record.error("status")
    assert not now.may_close(99 * MS)
    assert now.may_close(100 * MS)
    assert now.closed_ns(100 * MS) == 100 * MS, "no completion came"


def test_it_closes_on_the_clock_when_its_time_is_up() -> None:
    now, record = window()
    assert not now.may_close(complete(record, 5, at_ms=50))
    assert now.may_close(2000 * MS)
    assert now.closed_ns(2000 * MS) == 2000 * MS


def test_each_of_several_bursts_takes_its_share() -> None:
    """5 bursts of a window of 100 ms and 40 completions: 20 ms and 8 completions each."""
    now, record = window(bursts=5)
    assert not now.may_close(complete(record, 8, at_ms=19))
    assert now.may_close(complete(record, 4, at_ms=20))


def test_what_was_recorded_before_it_opened_does_not_count() -> None:
    record = Record()
    complete(record, 100, at_ms=0)
    load = Load(build_request("http://h/"), connections=4, window_s=0.1, completions_wanted=40)
    now = Window(load, record, 0, Standing(connections(), 0))
    assert not now.may_close(complete(record, 39, at_ms=150))
    assert now.may_close(complete(record, 1, at_ms=151))


def served(conns: list[Connection], replies: int, at_ms: int) -> list[Connection]:
    """Each has had so many more replies, the last at `at_ms`, when its next request began."""
    for conn in conns:
        conn.replies += replies
        conn.began_ns = at_ms * MS
    return conns


STRETCH = {"share_of_each": 0.5, "stretched_s": 0.4}


def test_it_stays_open_for_a_connection_that_had_less_than_its_share() -> None:
    """Looked at once in as many replies as there are connections; in the end it closes anyway."""
    conns = connections()
    now, record = window_on(conns, **STRETCH)
    served(conns, 5, at_ms=150)
    assert now.may_close(complete(record, 40, at_ms=150)), "each has had half of 10"
    conns = connections()
    now, record = window_on(conns, **STRETCH)
    served(conns, 4, at_ms=150)
    assert not now.may_close(complete(record, 40, at_ms=150))
    served(conns, 0, at_ms=395)
    assert not now.may_close(complete(record, 3, at_ms=399))
    assert not now.may_close(complete(record, 0, at_ms=400)), "in the middle of a step"
    assert now.may_close(complete(record, 1, at_ms=401))


def test_a_share_that_comes_late_closes_it() -> None:
    conns = connections()
    now, record = window_on(conns, **STRETCH)
    served(conns, 4, at_ms=150)
    assert not now.may_close(complete(record, 40, at_ms=150))
    served(conns, 2, at_ms=151)
    assert now.may_close(complete(record, 4, at_ms=151))


def test_it_stays_open_until_requests_are_as_old_as_at_its_start() -> None:
    """Begun 50 ms before it opened and all just answered: 40 ms of 150 that nobody waits now."""
    conns = connections(began_ms=-50)
    now, record = window_on(conns, **STRETCH)
    served(conns, 10, at_ms=140)
    assert not now.may_close(complete(record, 40, at_ms=150))
    assert now.may_close(complete(record, 4, at_ms=186)), "46 ms old: 4 of 186 is within 3 %"
    conns = connections(began_ms=-50)
    now, record = window_on(conns)
    served(conns, 10, at_ms=140)
    assert now.may_close(complete(record, 40, at_ms=150)), "where it may not be stretched"
