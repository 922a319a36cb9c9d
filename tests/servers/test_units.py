"""R units, first come, first served."""

import threading
from collections.abc import Callable

import pytest

from servers.core.units import Units


def start(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def wait_until_queued(units: Units, count: int) -> None:
    while len(units._waiting) < count:
        threading.Event().wait(0.001)


@pytest.mark.parametrize("total", [1, 2, 5])
def test_at_most_r_threads_hold_a_unit(total: int) -> None:
    units, lock = Units(total), threading.Lock()
    holding = most = 0

    def hold() -> None:
        nonlocal holding, most
        for _ in range(200):
            with units:
                with lock:
                    holding += 1
                    most = max(most, holding)
                with lock:
                    holding -= 1

    for thread in [start(hold) for _ in range(8)]:
        thread.join()
    assert 1 <= most <= total
    assert units._free == total


def test_waiters_are_served_in_the_order_of_their_arrival() -> None:
    units = Units(1)
    served: list[int] = []

    def hold(number: int) -> None:
        with units:
            served.append(number)

    threads = []
    with units:
        for number in range(20):
            threads.append(start(lambda number=number: hold(number)))  # type: ignore[misc]
            wait_until_queued(units, number + 1)
    for thread in threads:
        thread.join()
    assert served == list(range(20))


def test_unit_given_back_goes_to_the_waiter_and_not_to_a_newcomer() -> None:
    units = Units(1)
    served: list[str] = []

    def waiter() -> None:
        with units:
            served.append("waiter")

    units.__enter__()
    thread = start(waiter)
    wait_until_queued(units, 1)
    units.__exit__()
    with units:  # at once, most likely before the waiter's thread has run at all
        served.append("newcomer")
    thread.join()
    assert served == ["waiter", "newcomer"]


def test_unit_comes_back_after_an_error() -> None:
    units = Units(1)
    with pytest.raises(OSError, match="gone"), units:
        raise OSError("gone")
    with units:
        pass
