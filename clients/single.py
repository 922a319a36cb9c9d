"""`crossover load URL`: one load from beginning to end, and all that is left of it."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from clients import shards
from clients.arguments import load_of
from clients.engine import require_descriptors, require_server
from clients.errors import LoadError
from clients.expectation import Expectation
from clients.load import Load, Shard
from clients.measurement import measurement, merged_tally
from clients.samples_file import write_samples
from clients.timeline import Timeline, write_csv
from clients.words import in_words, write_hgrm

INTERRUPTED = 130
READER_GONE = 141
DESCRIPTORS_A_PROCESS = 4


def run(options: argparse.Namespace) -> int:
    """Measure, print, write the files that are asked for; the exit code.

    Raises LoadError for what cannot be done. What was measured is printed first.
    """
    load = load_of(options)
    _require_writable(options)
    if options.adapter is not None:
        from clients.adapters import run_adapter

        return _told(load, options, run_adapter(options.adapter, load), [])
    own = Shard(0, options.processes).share(load.connections)
    require_descriptors(own + DESCRIPTORS_A_PROCESS * options.processes)
    require_server(load)
    timeline = Timeline(load.window_s)
    raws, samples = shards.run(
        load, options.processes, timeline, keep_samples=options.samples is not None
    )
    result = measurement(load, raws)
    if any(raw.interrupted for raw in raws):
        result["interrupted"] = True
    code = _told(load, options, result, timeline.rows)
    tally = merged_tally(raws)
    if options.samples is not None:
        write_samples(options.samples, samples)
    if options.csv is not None:
        write_csv(options.csv, timeline.rows)
    if options.hgrm is not None:
        write_hgrm(options.hgrm, tally.response, tally.censored)
    if options.plot is not None:
        from clients.plot import draw

        draw(options.plot, load, result, tally, timeline.rows)
    return code


def _told(
    load: Load, options: argparse.Namespace, result: dict[str, Any], rows: list[dict[str, Any]]
) -> int:
    """Print the measurement; the exit code."""
    _accept_errors(result, options.expect)
    failed = [failure for each in options.expect if (failure := each.failure(result)) is not None]
    if options.json:
        text = json.dumps(result | {"timeline": rows, "failed": failed}, allow_nan=False)
    else:
        text = "\n".join([in_words(load, result), *(f"  failed: {each}" for each in failed)])
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _write_nowhere()
        return READER_GONE
    except OSError as error:
        _write_nowhere()
        raise LoadError(f"cannot write the output: {error.strerror}") from None
    return _exit_code(result, options.expect, failed)


def _accept_errors(result: dict[str, Any], expected: Sequence[Expectation]) -> None:
    """Errors are no reason against a measurement of which fewer than these are expected."""
    about_errors = [each for each in expected if each.name == "errors"]
    if not about_errors or any(each.failure(result) for each in about_errors):
        return
    reasons = [each for each in result["invalid_reasons"] if not each.startswith("errors: ")]
    result |= {"invalid_reasons": reasons, "valid": not reasons}


def _exit_code(
    result: dict[str, Any], expected: Sequence[Expectation], failed: Sequence[str]
) -> int:
    """1 for an expectation that failed, 3 for a measurement not to be believed.

    Times and rates that are not to be believed fail no expectation; errors that were seen do.
    """
    if result.get("interrupted"):
        return INTERRUPTED
    errors_failed = any(each.name == "errors" and each.failure(result) for each in expected)
    if errors_failed or (failed and result["valid"]):
        return 1
    return 0 if result["valid"] else 3


def _require_writable(options: argparse.Namespace) -> None:
    """Raise LoadError before anything is measured where its files could not be written."""
    for name in ("csv", "hgrm", "plot", "samples"):
        path = getattr(options, name)
        if path is None:
            continue
        try:
            path.open("ab").close()
        except OSError as error:
            raise LoadError(f"cannot write {path}: {error.strerror}") from None
    if options.plot is not None:
        from clients.plot import require_drawable

        require_drawable(options.plot)


def _write_nowhere() -> None:
    """Nobody takes stdout any more: what Python still writes to it on leaving must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
