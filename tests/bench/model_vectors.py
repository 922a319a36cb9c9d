"""Test vectors of the model for ports of it to other languages: loads, and what is predicted.

`python tests/bench/model_vectors.py` writes model_vectors.json anew; a test demands that the file
says what the model says.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.analyse.model import Load, Parameters, cpu_rates, open_response_s, predict

FILE = Path(__file__).with_suffix(".json")

LOOP = Parameters(
    target="asyncio",
    connection="keep-alive",
    server_cores=1,
    calibrated_to=256,
    demand_s=((1.0, 82e-6), (16.0, 15e-6), (64.0, 15.2e-6), (256.0, 17e-6)),
    wait_cpu_s=((64.0, 11e-6), (256.0, 12e-6)),
    late_s=((1000.0, 0.27e-3), (16000.0, 0.8e-3), (64000.0, 1.2e-3)),
    cpu_factor=1.04,
    is_loop=True,
)
POOL = Parameters(
    target="thread-pool",
    connection="keep-alive",
    server_cores=1,
    calibrated_to=256,
    demand_s=((1.0, 98e-6), (16.0, 19e-6), (256.0, 22e-6)),
    wait_cpu_s=((256.0, 25e-6),),
    late_s=((1000.0, 0.2e-3), (16000.0, 0.0)),
    workers=64,
    places=1,
)
PREFORK = Parameters(
    target="prefork",
    connection="close",
    server_cores=2,
    calibrated_to=64,
    demand_s=((1.0, 130e-6), (64.0, 60e-6)),
    wait_cpu_s=((16.0, 40e-6),),
    late_s=((1600.0, 0.1e-3),),
    workers=8,
    places=1,
    lanes=2,
)
GUNICORN = Parameters(
    target="gunicorn-gthread",
    connection="keep-alive",
    server_cores=1,
    calibrated_to=64,
    demand_s=((64.0, 154e-6),),
    workers=1,
    places=64,
)

_MS = 1e-3
LOADS = (
    Load(1),
    Load(7),
    Load(256),
    Load(512),
    Load(1, delay_s=5 * _MS, waits=1),
    Load(16, delay_s=1 * _MS, waits=1),
    Load(64, delay_s=5 * _MS, waits=1),
    Load(200, delay_s=5 * _MS, waits=1),
    Load(512, delay_s=5 * _MS, waits=1),
    Load(512, delay_s=20 * _MS, waits=1, workers=16),
    Load(1024, delay_s=200 * _MS, waits=2),
    Load(32, cpu_s=0.5 * _MS),
    Load(32, delay_s=20 * _MS, waits=1, cpu_s=0.5 * _MS),
    Load(128, delay_s=20 * _MS, waits=1, cpu_s=0.5 * _MS),
    Load(32, block_s=5 * _MS, blocks=1),
    Load(32, delay_s=5 * _MS, waits=1, block_s=2 * _MS, blocks=1),
    Load(16, hold_s=5 * _MS, waits=1),
    Load(64, hold_s=5 * _MS, waits=1, units=8),
    Load(64, delay_s=20 * _MS, hold_s=5 * _MS, waits=2, units=4),
    Load(64, delay_s=20 * _MS, hold_s=5 * _MS, waits=2, units=64, workers=4),
)
OFFERED_RPS = (100.0, 5000.0)


def vectors() -> dict[str, Any]:
    """Parameters, and for each of them every load with its prediction."""
    return {
        "vectors": [
            {
                "parameters": each.as_json(),
                "cases": [_case(each, load) for load in LOADS],
            }
            for each in (LOOP, POOL, PREFORK, GUNICORN)
        ]
    }


def _case(parameters: Parameters, load: Load) -> dict[str, Any]:
    rates = cpu_rates(parameters, load)
    return {
        "load": asdict(load),
        "cpu_rates_first_and_last": [rates[0], rates[-1]],
        "prediction": asdict(predict(parameters, load)),
        "open": [
            {"offered_rps": rate, "response_s": open_response_s(parameters, load, rate)}
            for rate in OFFERED_RPS
        ],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1, allow_nan=False) + "\n")
