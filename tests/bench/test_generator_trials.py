"""The trials of the generator: what others print is read, and the closed form is right."""

import heapq
import subprocess
import sys

import pytest

from bench.errors import UserError
from bench.trials.cost import requests_of
from bench.trials.exactness import FREEZE_AT_S, LASTS_S, RATE_RPS, frozen_response_ms


@pytest.mark.parametrize(
    ("name", "printed", "requests"),
    [
        ("wrk", "  101721 requests in 2.00s, 6.60MB read\n", 101_721),
        ("hey", "Status code distribution:\n  [200]\t51234 responses\n", 51_234),
        ("hey", "Error distribution:\n  [9] refused\n", 0),
        ("autocannon", '{"2xx": 321, "non2xx": 1}', 321),
    ],
)
def test_how_many_requests_another_generator_had_answered(
    name: str, printed: str, requests: int
) -> None:
    assert requests_of(name, printed) == requests


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(UserError, match="cannot read what autocannon printed"):
        requests_of("autocannon", "oops")


def simulated_ms(freeze_s: float, service_s: float) -> list[float]:
    """The same server event by event: one request at a time, none while it is frozen."""
    free_s, responses = 0.0, []
    arrivals = [index / RATE_RPS for index in range(round(RATE_RPS * LASTS_S))]
    heapq.heapify(arrivals)
    while arrivals:
        at_s = heapq.heappop(arrivals)
        begins_s = max(at_s, free_s)
        if FREEZE_AT_S <= begins_s < FREEZE_AT_S + freeze_s:
            begins_s = FREEZE_AT_S + freeze_s
        free_s = begins_s + service_s
        responses.append((free_s - at_s) * 1e3)
    return sorted(responses)


@pytest.mark.parametrize("service_us", [10, 50, 300])
def test_the_closed_form_of_a_frozen_server_is_that_of_a_simulation(service_us: int) -> None:
    responses = simulated_ms(1.0, service_us / 1e6)
    form = frozen_response_ms(1.0, service_us / 1e6, service_us / 1e6)
    assert form["max"] == pytest.approx(responses[-1], rel=1e-6)
    assert form["p99"] == pytest.approx(responses[9_899], rel=0.005)
    assert form["p95"] == pytest.approx(responses[9_499], rel=0.005)


@pytest.mark.parametrize("module", ["cost", "punctuality", "exactness", "scale"])
def test_each_trial_has_its_options_told(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.trials.{module}", "--help"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "--informative" in done.stdout
