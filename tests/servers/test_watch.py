"""Who has used up his time, on a clock that the test winds."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from servers.core.compute import Rates
from servers.core.http1 import Connection
from servers.core.limits import Limits
from servers.core.replies import Catalogue
from servers.core.watch import Watch
from tests.servers.wire import get

LIMITS = Limits(idle_s=10.0, request_s=5.0, write_s=3.0)


class Scene:
    """One watched connection and its unsent bytes."""

    def __init__(self) -> None:
        self.watch: Watch[str] = Watch(LIMITS)
        self.connection = Connection(Catalogue(Rates(1.0, 1.0)), LIMITS)
        self.unsent_bytes = 0

    def looks(self, first_s: float, last_s: float) -> list[float]:
        """Look twice a second; return the times at which the client was overdue."""
        times_s = [n / 2 for n in range(int(first_s * 2), int(last_s * 2) + 1)]
        return [now_s for now_s in times_s if self.watch.overdue(now_s)]

    def send(self, data: bytes) -> None:
        for _ in self.connection.receive(data):
            pass


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    with scene.watch.over("client", scene.connection, lambda: scene.unsent_bytes):
        yield scene


def test_idle_client_is_overdue_ten_seconds_after_the_first_look(scene: Scene) -> None:
    assert scene.looks(100, 110) == [110]


def test_request_in_between_starts_the_idle_time_anew(scene: Scene) -> None:
    assert scene.looks(0, 9) == []
    scene.send(get())
    assert scene.looks(9.5, 19.5) == [19.5]


def test_partial_request_has_five_seconds_however_it_trickles(scene: Scene) -> None:
    scene.send(get()[:1])
    overdue_s = []
    for byte in range(1, 8):
        overdue_s += scene.looks(byte, byte)
        scene.send(get()[byte : byte + 1])
    assert overdue_s == [6, 7]


def test_each_of_many_requests_has_its_own_time(scene: Scene) -> None:
    for now_s in range(60):
        scene.send(get()[:5])
        assert scene.looks(now_s, now_s) == []
        scene.send(get()[5:])


def test_work_takes_as_long_as_it_takes(scene: Scene) -> None:
    for _ in scene.connection.receive(get()):
        assert scene.looks(0, 1000) == []


def test_client_that_does_not_read_has_three_seconds(scene: Scene) -> None:
    for _ in scene.connection.receive(get()):
        scene.unsent_bytes = 1000
        assert scene.looks(0, 3) == [3]


def test_client_that_reads_a_little_is_not_overdue(scene: Scene) -> None:
    for now_s in range(100):
        scene.unsent_bytes = 1000 - now_s
        assert scene.looks(now_s, now_s + 0.5) == []


def test_replies_sent_are_progress_even_if_as_much_is_unsent(scene: Scene) -> None:
    scene.unsent_bytes = 1000
    for now_s in range(100):
        scene.send(get())
        assert scene.looks(now_s, now_s) == []


def test_each_client_is_judged_by_itself_and_forgotten_at_its_end() -> None:
    watch: Watch[str] = Watch(LIMITS)
    with ExitStack() as stack:
        for name, sent in (("silent", b""), ("slow", b"GET"), ("both", b"")):
            connection = Connection(Catalogue(Rates(1.0, 1.0)), LIMITS)
            list(connection.receive(sent)) if sent else None
            stack.enter_context(watch.over(name, connection, lambda: 0))
        assert list(watch) == ["silent", "slow", "both"]
        assert watch.overdue(0.0) == []
        assert watch.overdue(5.0) == ["slow"]
        assert watch.overdue(10.0) == ["silent", "slow", "both"]
    assert list(watch) == []
