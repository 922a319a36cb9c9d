"""Exchanges are made once, and what is kept of them is bounded."""

from collections.abc import Iterator

from servers.core import replies
from servers.core.compute import Rates
from servers.core.replies import CLOSE, KEEP, Catalogue, Exchanges
from servers.core.work import DELAY, Step

RATES = Rates(1.0, 1.0)


def ask(catalogue: Catalogue, target: str, connection: bytes = KEEP) -> Exchanges:
    return catalogue.exchanges(b"GET", target.encode(), connection)


def test_same_request_gets_the_same_exchange() -> None:
    catalogue = Catalogue(RATES)
    assert ask(catalogue, "/delay=1ms") is ask(catalogue, "/delay=1ms")
    assert ask(catalogue, "/delay=1ms") is not ask(catalogue, "/delay=1ms", CLOSE)


def test_catalogue_starts_afresh_when_it_has_too_many_entries() -> None:
    catalogue = Catalogue(RATES)
    first = ask(catalogue, "/body=0")
    for n in range(1, replies._MOST_ENTRIES):
        ask(catalogue, f"/body={n}")
    assert ask(catalogue, "/body=0") is first
    ask(catalogue, "/body=2000")
    assert ask(catalogue, "/body=0") is not first


def test_catalogue_keeps_at_most_64_mib() -> None:
    """Four bodies of 16 MiB, with their heads, are more than 64 MiB."""
    catalogue = Catalogue(RATES)
    first = ask(catalogue, "/body=16MiB")
    for delay_ms in (1, 2):
        ask(catalogue, f"/delay={delay_ms}ms/body=16MiB")
    assert ask(catalogue, "/body=16MiB") is first
    ask(catalogue, "/delay=3ms/body=16MiB")
    assert ask(catalogue, "/body=16MiB") is not first


def test_only_a_closing_exchange_closes() -> None:
    (kept,), (closed,) = (ask(Catalogue(RATES), "/", how) for how in (KEEP, CLOSE))
    assert (kept.close, closed.close) == (False, True)


def test_a_drip_is_an_exchange_for_each_piece_and_waits_between_them() -> None:
    whole = ask(Catalogue(RATES), "/delay=1ms/body=10", CLOSE)[0]
    first, second, last = ask(Catalogue(RATES), "/delay=1ms/body=10/drip=4x2ms", CLOSE)
    assert first.reply + second.reply + last.reply == whole.reply
    assert (len(second.reply), len(last.reply)) == (4, 2)
    assert [[step.seconds for step in each.steps] for each in (first, second, last)] == [
        [0.001],
        [0.002],
        [0.002],
    ]
    assert [each.close for each in (first, second, last)] == [False, False, True]


def test_a_drip_of_one_piece_or_of_no_body_is_a_plain_reply() -> None:
    for target in ("/body=4/drip=4x2ms", "/body=0/drip=4x2ms"):
        assert len(ask(Catalogue(RATES), target)) == 1
    assert len(Catalogue(RATES).exchanges(b"HEAD", b"/body=9/drip=4x2ms", KEEP)) == 1


def test_nothing_stands_between_a_driver_and_steps_that_nobody_watches() -> None:
    (exchange,) = ask(Catalogue(RATES), "/delay=1ms")
    assert type(exchange.steps) is tuple
    assert {type(step) for step in exchange.steps} == {Step}


def test_steps_can_be_watched_while_they_are_carried_out() -> None:
    seen: list[Step] = []

    def watch(target: bytes, steps: tuple[Step, ...]) -> Iterator[Step]:
        assert target == b"/delay=1ms"
        for step in steps:
            seen.append(step)
            yield step

    (exchange,) = Catalogue(RATES, watch_steps=watch).exchanges(b"GET", b"/delay=1ms", KEEP)
    assert [step.kind for step in exchange.steps] == [DELAY] == [step.kind for step in seen]
