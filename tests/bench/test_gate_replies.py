"""What two servers' replies say of whether they do the same work."""

import pytest

from bench.gate.replies import Reply, common_status, difference, is_empty_only_in_head

PAGE, MOVED, EMPTY, LONG = Reply(200, 10), Reply(302, 10), Reply(200, 0), Reply(200, 99)


@pytest.mark.parametrize(
    ("replies", "status"),
    [
        ([PAGE, PAGE, LONG], 200),
        ([MOVED] * 3, 302),
        ([PAGE, MOVED], None),
        ([Reply(500, 0)] * 3, None),
        ([], None),
    ],
)
def test_the_status_that_every_reply_must_have(replies: list[Reply], status: int | None) -> None:
    assert common_status(replies) == status


@pytest.mark.parametrize(
    ("base", "head", "differ"),
    [
        ([PAGE] * 3, [PAGE] * 3, None),
        ([PAGE] * 3, [LONG] * 3, "head's replies have 99 bytes of body, base's 10"),
        ([PAGE] * 3, [MOVED] * 3, "head answers with status 302, base with 200"),
        # Who gives replies of several lengths may give others again.
        ([PAGE, LONG, PAGE], [LONG] * 3, None),
        ([PAGE] * 3, [PAGE, LONG, PAGE], None),
        ([PAGE] * 3, [], None),
    ],
)
def test_how_they_differ(base: list[Reply], head: list[Reply], differ: str | None) -> None:
    assert difference(base, head) == differ


def test_nothing_where_base_has_something() -> None:
    assert is_empty_only_in_head([PAGE, LONG], [EMPTY] * 3)
    assert not is_empty_only_in_head([EMPTY, PAGE], [EMPTY] * 3)
    assert not is_empty_only_in_head([PAGE], [EMPTY, PAGE])
    assert not is_empty_only_in_head([PAGE], [])
