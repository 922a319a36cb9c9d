"""The queues against answers known otherwise: closed forms, tables, a chain, a simulation."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from bench.analyse.queueing import (
    closed,
    erlang_b,
    erlang_c,
    finite_source,
    limited,
    open_time_s,
    several_servers,
)


def one_server(time_s: float, customers: int) -> list[float]:
    return several_servers(1, time_s, customers)


@pytest.mark.parametrize("customers", [1, 2, 5, 20])
def test_machine_repairman(customers: int) -> None:
    """M/M/1 with a finite source: p(0) = 1 / sum of N! / (N - n)! (s / d)^n, X = (1 - p(0)) / s."""
    delay_s, time_s = 3.0, 0.7
    terms = [
        math.factorial(customers) / math.factorial(customers - n) * (time_s / delay_s) ** n
        for n in range(customers + 1)
    ]
    expected = (1 - 1 / sum(terms)) / time_s
    solved = closed(delay_s, [one_server(time_s, customers)], customers)
    assert solved.throughput == pytest.approx(expected, rel=1e-12)


def test_three_devices_as_in_a_textbook() -> None:
    """Jain, The Art of Computer Systems Performance Analysis (1991), example 34.2, table 34.1.

    A CPU with 16 visits of 0.125 s, disks with 10 of 0.3 s and 5 of 0.2 s, a think time of 4 s.
    """
    demands_s = (16 * 0.125, 10 * 0.3, 5 * 0.2)
    solved = closed(4.0, [one_server(demand_s, 20) for demand_s in demands_s], 20)
    assert [round(x, 3) for x in solved.throughputs[:5]] == [0.1, 0.175, 0.229, 0.266, 0.29]
    responses_s = [n / x - 4 for n, x in enumerate(solved.throughputs, 1)]
    assert [round(r, 3) for r in responses_s[:5]] == [6.0, 7.4, 9.088, 11.051, 13.256]
    assert round(responses_s[19], 3) == 56.016
    assert [
        round(r / visits, 3) for r, visits in zip(solved.residences_s, (16, 10, 5), strict=True)
    ] == [
        0.373,
        4.854,
        0.300,
    ]


@pytest.mark.parametrize("customers", [1, 3, 30])
def test_throughput_is_within_the_bounds_of_operational_analysis(customers: int) -> None:
    delay_s, time_s = 2.0, 0.3
    rate = closed(delay_s, [one_server(time_s, customers)], customers).throughput
    assert rate <= min(customers / (delay_s + time_s), 1 / time_s) * (1 + 1e-12)
    assert rate >= customers / (delay_s + customers * time_s) * (1 - 1e-12)


def test_one_customer_meets_no_queue() -> None:
    assert closed(2.0, [[4.0], [8.0]], 1).throughput == pytest.approx(1 / (2 + 0.25 + 0.125))


def test_as_many_servers_as_customers_are_a_delay() -> None:
    solved = closed(2.0, [several_servers(9, 0.5, 9)], 9)
    assert solved.throughput == pytest.approx(9 / 2.5)
    assert solved.residences_s == pytest.approx([0.5])


def test_without_a_delay_all_are_at_the_only_station() -> None:
    rates = [3.0, 5.0, 4.0]
    assert closed(0.0, [rates], 3).throughputs == pytest.approx(rates)
    assert finite_source(0.0, rates, 3).throughput == pytest.approx(4.0)


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.3, 40.0])
def test_closed_form_of_one_station_is_the_same(delay_s: float) -> None:
    generator = np.random.default_rng(4)
    rates = generator.uniform(5, 200, 60).tolist()
    expected = closed(delay_s, [rates], 60)
    found = finite_source(delay_s, rates, 60)
    assert found.throughput == pytest.approx(expected.throughput, rel=1e-9)
    assert found.residences_s == pytest.approx(expected.residences_s, rel=1e-9)


def test_a_thousand_customers_at_saturation_lose_no_digits() -> None:
    """Where p(0) is had as 1 minus the rest, rounding errors of 1e-16 grow to throughputs of 2x."""
    solved = closed(0.02, [one_server(25e-6, 1024), several_servers(8, 150e-6, 1024)], 1024)
    assert solved.throughput == pytest.approx(1 / 25e-6, rel=1e-3)
    assert max(solved.throughputs) <= 1 / 25e-6 * (1 + 1e-9)
    total_s = 0.02 + sum(solved.residences_s)
    assert total_s * solved.throughput == pytest.approx(1024, rel=1e-9)


@pytest.mark.parametrize("customers", [2, 4])
def test_two_stations_with_rates_of_their_own_solve_the_balance_equations(customers: int) -> None:
    delay_s, first, second = 0.5, [4.0, 3.0, 6.0, 6.5], [2.0, 3.5, 3.5, 3.6]
    solved = closed(delay_s, [first, second], customers)
    assert solved.throughput == pytest.approx(_balanced(delay_s, first, second, customers))


def _balanced(
    delay_s: float, first: Sequence[float], second: Sequence[float], customers: int
) -> float:
    """The flow into the delay, from the stationary distribution of the Markov chain.

    A state is how many are at either station; from the delay they go to the first, then the second.
    """
    counts = range(customers + 1)
    states = [(a, b) for a, b in itertools.product(counts, counts) if a + b <= customers]
    index = {state: place for place, state in enumerate(states)}
    generator = np.zeros((len(states), len(states)))
    for a, b in states:
        moves = {
            (a + 1, b): (customers - a - b) / delay_s,
            (a - 1, b + 1): first[a - 1] if a else 0.0,
            (a, b - 1): second[b - 1] if b else 0.0,
        }
        for state, rate in moves.items():
            if rate:
                generator[index[a, b], index[state]] += rate
                generator[index[a, b], index[a, b]] -= rate
    equations = np.vstack([generator.T, np.ones(len(states))])
    p = np.linalg.lstsq(equations, np.array([0.0] * len(states) + [1.0]), rcond=None)[0]
    return float(sum(p[index[a, b]] * second[b - 1] for a, b in states if b))


def test_a_limit_that_holds_nobody_up_changes_nothing() -> None:
    within = closed(2.0, [one_server(0.3, 6)], 6).throughputs
    assert closed(0.0, [limited(within, 6, 6)], 6).throughput == pytest.approx(within[-1])


def test_of_a_limit_of_one_each_is_served_alone() -> None:
    within = closed(2.0, [one_server(0.5, 6)], 6).throughputs
    outer = closed(0.0, [limited(within, 1, 6)], 6)
    assert outer.throughputs == pytest.approx([1 / 2.5] * 6)


def test_erlang_as_in_tables() -> None:
    assert erlang_b(10, 10) == pytest.approx(0.2146, abs=5e-5)
    assert erlang_c(8, 10) == pytest.approx(0.4092, abs=5e-5)
    assert erlang_c(0.4, 1) == pytest.approx(0.4)
    assert erlang_c(10, 10) == 1.0


def test_open_station_with_one_server() -> None:
    """M/M/1: 1 / (mu - lambda), whether its one rate is given once or often."""
    for rates in ([5.0], [5.0] * 40):
        assert open_time_s(4.0, rates) == pytest.approx(1 / (5 - 4))


@pytest.mark.parametrize(("servers", "load"), [(2, 1.5), (8, 7.2), (30, 12.0)])
def test_open_station_with_several_servers_is_erlangs(servers: int, load: float) -> None:
    time_s = 0.25
    found = open_time_s(load / time_s, several_servers(servers, time_s, servers))
    assert found == pytest.approx(time_s * (1 + erlang_c(load, servers) / (servers - load)))


def test_more_than_is_served_has_no_mean() -> None:
    assert open_time_s(5.0, [3.0, 5.0]) is None


@pytest.mark.parametrize(("customers", "delay_s"), [(0, 1.0), (3, 0.0)])
def test_nothing_to_go_round_is_refused(customers: int, delay_s: float) -> None:
    with pytest.raises(ValueError, match="customers"):
        closed(delay_s, [], customers)


def test_too_few_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="3 customers"):
        closed(1.0, [[2.0, 2.0]], 3)


@pytest.mark.parametrize("places", [4, 12])
def test_simulated_pool_of_workers(places: int) -> None:
    """12 clients, a delay that does not vary and a CPU that does, at most so many inside.

    Flow equivalence is exact where all of the delay is inside; 40,000 completions are within 2%.
    """
    delay_s, time_s, customers = 1.0, 0.2, 12
    within = closed(delay_s, [one_server(time_s, customers)], customers).throughputs
    expected = limited(within, places, customers)[-1]
    found = _simulated(delay_s, time_s, customers, places, 40_000, random.Random(5))
    assert found == pytest.approx(expected, rel=0.02)


def _simulated(
    delay_s: float, time_s: float, customers: int, places: int, most: int, draw: random.Random
) -> float:
    """Completions per second: each that is let in waits, then queues for the one CPU."""
    now_s, done = 0.0, 0
    waiting = [draw.uniform(0, delay_s) for _ in range(min(places, customers))]
    heapq.heapify(waiting)
    queue, free_s = 0, math.inf
    while done < most:
        if waiting and waiting[0] <= free_s:
            now_s = heapq.heappop(waiting)
            queue += 1
            if queue == 1:
                free_s = now_s + draw.expovariate(1 / time_s)
        else:
            now_s, queue, done = free_s, queue - 1, done + 1
            heapq.heappush(waiting, now_s + delay_s)  # itself, or who waited outside
            free_s = now_s + draw.expovariate(1 / time_s) if queue else math.inf
    return done / now_s
