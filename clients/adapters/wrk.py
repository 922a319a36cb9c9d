"""wrk (closed loop) and wrk2 (open loop) as generators: a Load in, figures under our own keys out.

What they do not tell is None, and their word is taken for the rest: they judge nothing.
"""

import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clients.errors import LoadError
from clients.load import Load
from clients.verdict import ERROR_KINDS

_UNIT_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
_PERCENTILE = re.compile(r"^\s*(\d+(?:\.\d+)?)%\s+(\d+(?:\.\d+)?)(us|ms|s|m|h)\s*$", re.M)
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_BAD_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_TOTAL = re.compile(r"(\d+) requests in (\d+(?:\.\d+)?)(ms|s|m)")
_MAXIMUM = re.compile(r"Latency\s+(\S+?)(us|ms|s)\s+(\S+?)(us|ms|s)\s+(\d+(?:\.\d+)?)(us|ms|s)")
_NAMES = {"50": "p50", "75": None, "90": "p90", "95": "p95", "99": "p99", "99.9": "p999"}


def run_adapter(name: str, load: Load, prefix: Sequence[str] = ()) -> dict[str, Any]:
    """Load with `wrk` or `wrk2`, `prefix` before the command; the figures it gives.

    Raises LoadError where it is not installed or cannot do this load.
    """
    program = _find(name)
    with tempfile.TemporaryDirectory() as folder:
        command = [*prefix, program, "-t1", f"-c{load.connections}", f"-d{_seconds(load)}s"]
        command += ["--latency", *_rate(name, load), *_request(load, Path(folder))]
        before, started_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lasted_s = time.monotonic() - started_s
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or _TOTAL.search(done.stdout) is None:
        said = (done.stderr or done.stdout).strip() or "nothing"
        raise LoadError(f"{name} ended with code {done.returncode} and said: {said[-500:]}")
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return figures(done.stdout, cpu_s, lasted_s)


def figures(printed: str, cpu_s: float, lasted_s: float) -> dict[str, Any]:
    """The figures in what wrk or wrk2 printed, with the CPU that it took. Pure."""
    total = _TOTAL.search(printed)
    assert total is not None
    requests, duration_s = int(total[1]), float(total[2]) * _UNIT_MS[total[3]] / 1e3
    errors = dict.fromkeys(ERROR_KINDS, 0)
    if (sockets := _SOCKET_ERRORS.search(printed)) is not None:
        connect, read, write, timeout = map(int, sockets.groups())
        errors |= {"connect": connect, "reset": read + write, "timeout": timeout}
    if (bad := _BAD_STATUS.search(printed)) is not None:
        errors["status"] = int(bad[1])
    correct = requests - errors["status"]
    seen = [f"{count} {kind}" for kind, count in errors.items() if count]
    reasons = [f"errors: {', '.join(seen)}"] if seen else []
    return {
        "requests": requests,
        "completions": correct,
        "errors": errors,
        "duration_s": duration_s,
        "throughput_rps": correct / duration_s if duration_s else 0.0,
        "offered_rps": None,
        "sent_rps": None,
        "response_time_ms": _times_ms(printed),
        "service_time_ms": None,
        "lateness_ms": None,
        "at_least": [],
        "latency_at_least": False,
        "in_flight_mean": None,
        "little_ratio": None,
        "fairness_jain": None,
        "connections_unserved": None,
        "client_cpu_us_per_request": cpu_s * 1e6 / requests if requests else None,
        "client_cpu_utilisation": cpu_s / lasted_s,
        "censored": None,
        "valid": not reasons,
        "invalid_reasons": reasons,
    }


def _times_ms(printed: str) -> dict[str, float | None]:
    times: dict[str, float | None] = dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "p999"))
    for share, number, unit in _PERCENTILE.findall(printed):
        name = _NAMES.get(f"{float(share):g}")
        if name is not None:
            times[name] = float(number) * _UNIT_MS[unit]
    latency = _MAXIMUM.search(printed)
    times["max"] = None if latency is None else float(latency[5]) * _UNIT_MS[latency[6]]
    if latency is not None:
        times["mean"] = float(latency[1]) * _UNIT_MS[latency[2]]
    return times


def _find(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise LoadError(f"{name} is not installed, so this cross-check is left out")
    return program


def _seconds(load: Load) -> int:
    return max(1, round(load.window_s))


def _rate(name: str, load: Load) -> list[str]:
    if name == "wrk":
        if load.schedule is not None:
            raise LoadError("wrk has no open loop: leave --rate out, or use wrk2")
        return []
    if load.schedule is None:
        raise LoadError("wrk2 has an open loop only: give --rate")
    if load.schedule.arrivals != "constant" or len(load.schedule.steps) > 1:
        raise LoadError("wrk2 knows a constant rate only")
    return [f"-R{round(load.schedule.steps[0][0])}"]


def _request(load: Load, folder: Path) -> list[str]:
    """The URL, or a script that sends the very bytes that we would where they say more."""
    request = load.request
    host = f"[{request.host}]" if ":" in request.host else request.host
    method, target, rest = request.payload.split(b" ", 2)
    if method == b"GET" and rest.count(b"\r\n") == 3:  # the version, the host, an empty line
        return [f"http://{host}:{request.port}{target.decode()}"]
    script = folder / "request.lua"
    escaped = "".join(f"\\{byte:03d}" for byte in request.payload)
    script.write_text(f'local payload = "{escaped}"\nrequest = function() return payload end\n')
    return ["-s", str(script), f"http://{host}:{request.port}/"]
