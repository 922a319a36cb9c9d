"""Exchanges are made once, and what is kept of them is bounded."""

from servers.core import replies
from servers.core.replies import CLOSE, KEEP, Catalogue, Exchange


def ask(catalogue: Catalogue, target: str, connection: bytes = KEEP) -> Exchange:
    return catalogue.exchange(b"GET", target.encode(), connection)


def test_same_request_gets_the_same_exchange() -> None:
    catalogue = Catalogue(1.0)
    assert ask(catalogue, "/delay=1ms") is ask(catalogue, "/delay=1ms")
    assert ask(catalogue, "/delay=1ms") is not ask(catalogue, "/delay=1ms", CLOSE)


def test_catalogue_starts_afresh_when_it_has_too_many_entries() -> None:
    catalogue = Catalogue(1.0)
    first = ask(catalogue, "/body=0")
    for n in range(1, replies._MOST_ENTRIES):
        ask(catalogue, f"/body={n}")
    assert ask(catalogue, "/body=0") is first
    ask(catalogue, "/body=2000")
    assert ask(catalogue, "/body=0") is not first


def test_catalogue_keeps_at_most_64_mib() -> None:
    """Four bodies of 16 MiB, with their heads, are more than 64 MiB."""
    catalogue = Catalogue(1.0)
    first = ask(catalogue, "/body=16MiB")
    for delay_ms in (1, 2):
        ask(catalogue, f"/delay={delay_ms}ms/body=16MiB")
    assert ask(catalogue, "/body=16MiB") is first
    ask(catalogue, "/delay=3ms/body=16MiB")
    assert ask(catalogue, "/body=16MiB") is not first


def test_only_a_closing_exchange_closes() -> None:
    assert not ask(Catalogue(1.0), "/").close
    assert ask(Catalogue(1.0), "/", CLOSE).close
