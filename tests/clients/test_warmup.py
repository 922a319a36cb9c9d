"""When a target has settled: on a fake clock, with replies put into the record by hand."""

import pytest

from clients.record import Record
from clients.warmup import TURNS_MOST, WarmUp

MS = 1_000_000
NEVER = 10**15


class Target:
    """Replies at a pace; after each the warm-up is asked whether it is over."""

    def __init__(self, connections: int = 4, limit_ns: int = NEVER) -> None:
        self.record = Record()
        self.connections = connections
        self.warm_up = WarmUp(self.record, connections, 4, limit_ns)
        self.now_ns = 0
        self.all_served = True

    def reply(self, every_ns: int) -> bool:
        self.now_ns += every_ns
        self.record.steady_ns.append(every_ns)
        self.record.last_done_ns = self.now_ns
        return self.over()

    def over(self) -> bool:
        return self.warm_up.is_over(self.now_ns, all_served=self.all_served)

    def replies_until_over(self, every_ns: list[int]) -> int:
        """How many replies the warm-up takes where the turns have this pace, the last for ever."""
        count = 0
        while True:
            turn = min(max(count - 1, 0) // self.connections, len(every_ns) - 1)
            count += 1
            if self.reply(every_ns[turn]):
                return count


@pytest.mark.parametrize("connections", [1, 4, 512])
def test_a_steady_target_takes_two_turns_and_a_reply(connections: int) -> None:
    target = Target(connections)
    assert target.replies_until_over([MS]) == 2 * connections + 1
    assert target.warm_up.settled


def test_the_first_reply_may_take_as_long_as_it_likes() -> None:
    """All connections wait for a delay before any reply comes: that says nothing of the pace."""
    target = Target()
    target.reply(1000 * MS)
    assert target.replies_until_over([MS]) == 2 * 4


def test_a_target_that_becomes_faster_is_waited_for() -> None:
    target = Target()
    assert target.replies_until_over([8 * MS, 4 * MS, 2 * MS, 2 * MS]) == 1 + 4 * 4
    assert target.warm_up.settled


def test_a_quarter_more_or_less_is_settled() -> None:
    assert Target().replies_until_over([100, 125]) == 1 + 2 * 4
    assert Target().replies_until_over([125, 100]) == 1 + 2 * 4
    assert Target().replies_until_over([100, 126]) == 1 + 3 * 4


def test_one_that_never_settles_is_measured_in_the_end_and_marked() -> None:
    target = Target()
    assert target.replies_until_over([MS * 2**n for n in range(50)]) == 1 + TURNS_MOST * 4
    assert not target.warm_up.settled


def test_a_connection_that_was_not_served_is_waited_for() -> None:
    target = Target()
    target.all_served = False
    assert not any(target.reply(MS) for _ in range(100))
    target.all_served = True
    assert target.over()


def test_it_gives_up_at_its_limit_and_is_not_settled() -> None:
    target = Target(limit_ns=10 * MS)
    assert target.replies_until_over([2 * MS]) == 5
    assert not target.warm_up.settled


def test_it_gives_up_when_so_many_requests_failed_that_it_is_in_vain() -> None:
    target = Target()
    for failed in (1, 2, 3):
        target.record.failed = failed
        assert not target.over()
    target.record.failed = 4
    assert target.over()
    assert not target.warm_up.settled
