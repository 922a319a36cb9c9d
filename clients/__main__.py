"""`python -m clients`: load one URL, or (`--batch`) measure the slices that arrive on stdin."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from clients.arguments import load_of, parse
from clients.errors import LoadError
from clients.load import Load, Shard

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    options = parse(argv)
    try:
        if options.batch:
            from clients.batch import obey_all

            return obey_all()
        return _single(options)
    except LoadError as error:
        print(f"crossover load: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _single(options: argparse.Namespace) -> int:
    load = load_of(options)
    _require_writable(options)
    if options.adapter is not None:
        from clients.adapters import run_adapter

        result = run_adapter(options.adapter, load)
        timeline: list[dict[str, Any]] = []
    else:
        result, timeline = _measure(load, options)
    failures = [failure for e in options.expect if (failure := e.failure(result)) is not None]
    if options.json:
        print(json.dumps(result | {"timeline": timeline, "failed": failures}, allow_nan=False))
    else:
        from clients.words import in_words

        print(in_words(load, result))
        for failure in failures:
            print(f"  failed: {failure}")
    return _exit_code(result, options, failures)


def _measure(
    load: Load, options: argparse.Namespace
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the load, and write the files that are asked for."""
    from clients import shards
    from clients.engine import require_descriptors, require_server
    from clients.measurement import measurement, merged_tally
    from clients.samples_file import write_samples
    from clients.timeline import Timeline, write_csv
    from clients.words import write_hgrm

    require_descriptors(Shard(0, options.processes).share(load.connections))
    require_server(load)
    timeline = Timeline(load.window_s)
    raws, samples = shards.run(
        load, options.processes, timeline, keep_samples=options.samples is not None
    )
    result = measurement(load, raws)
    if any(raw.interrupted for raw in raws):
        result["interrupted"] = True
    tally = merged_tally(raws)
    if options.samples is not None:
        write_samples(options.samples, samples)
    if options.csv is not None:
        write_csv(options.csv, timeline.rows)
    if options.hgrm is not None:
        write_hgrm(options.hgrm, tally.response)
    if options.plot is not None:
        from clients.plot import draw

        draw(options.plot, load, result, tally, timeline.rows)
    return result, timeline.rows


def _exit_code(result: dict[str, Any], options: argparse.Namespace, failures: list[str]) -> int:
    """1 for an expectation that failed, 3 for a measurement not to be believed.

    Times and rates that are not to be believed fail no expectation; errors that were seen do.
    """
    errors_failed = any(
        e.name == "errors" and e.failure(result) is not None for e in options.expect
    )
    if result.get("interrupted"):
        return INTERRUPTED
    if errors_failed or (failures and result["valid"]):
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


if __name__ == "__main__":
    sys.exit(main())
