"""How soon can a reader use the report, and how large is it? Opened in a real browser.

Two pages: a reference run's, and one of a made-up run of over 10,000 slices in 1,104 cells, whose
slices are those of the reference run under further delays and numbers of connections. Needs
Chromium (`make system-packages`) and the package playwright, which drives it.
"""

import argparse
import itertools
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, sync_playwright

from bench.errors import UserError
from bench.store import RUN_FILE, TRIALS_FILE, Run, read_run

MOST_S = 2.0
MOST_MIB = 6.0
OPENINGS = 5
ROUNDS = 10
CONNECTIONS = (1, 4, 16, 32, 64, 128, 256, 512)
DELAYS_MS = (0, 0.5, 1, *range(2, 42, 2))
TARGETS = 6
READY = "html[data-ready=interactive]"
MARKS = "Object.fromEntries(performance.getEntriesByType('mark').map(m => [m.name, m.startTime]))"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = f"no browser here ({', '.join(BROWSERS)}): make system-packages gets chromium"


def find_browser() -> str | None:
    """The path of a browser that is installed; None without one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """The browser, started without a window. UserError where there is none."""
    path = find_browser()
    if path is None:
        raise UserError(NO_BROWSER)
    with sync_playwright() as playwright:
        # In a container there is no right to make a sandbox, and the page is our own.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


def made_up(run: Run, seed: int = 1) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """run.json and the slices of a large run whose slices are like those of `run`.

    Six targets, of which five are compared with the first, at each delay and number of connections.
    """
    like: dict[str, list[dict[str, Any]]] = {}
    for trial in run.trials:
        if trial["valid"] and trial["response_time_hist"]:
            like.setdefault(trial["target"], []).append(trial)
    known = itertools.cycle(like)
    names = [next(known) if n < len(like) else f"{next(known)}#{n}" for n in range(TARGETS)]
    works = {f"/delay={ms:g}ms" if ms else "/": ms / 1e3 for ms in DELAYS_MS}
    grid = {
        "connection": "keep-alive",
        "targets": names,
        "works": list(works),
        "delays_s": list(works.values()),
        "connections": list(CONNECTIONS),
        "pairs": [[name, names[0]] for name in names[1:]],
    }
    targets = {target["name"]: target for target in run.info["targets"]}
    info = {
        **run.info,
        "config": {**run.config, "grids": [grid]},
        "targets": [{**targets[name.partition("#")[0]], "name": name} for name in names],
    }
    return info, _slices(names, works, like, random.Random(seed))


def _slices(
    names: Sequence[str],
    works: Mapping[str, float],
    like: Mapping[str, Sequence[dict[str, Any]]],
    rng: random.Random,
) -> Iterator[dict[str, Any]]:
    cells = itertools.product(range(ROUNDS), works, CONNECTIONS, names)
    for order, (number, work, connections, name) in enumerate(cells):
        alike = like[name.partition("#")[0]]
        rate = (
            connections / (works[work] + 1e-4 + 2e-5 * connections) * math.exp(rng.gauss(0, 0.02))
        )
        yield {
            **alike[order % len(alike)],
            "target": name, "work": work, "delay_s": works[work], "connection": "keep-alive",
            "connections": connections, "round": number, "order": order, "throughput_rps": rate,
        }  # fmt: skip


def write_large(run: Run, folder: Path) -> int:
    """Write the made-up run and return the number of its slices."""
    info, slices = made_up(run)
    (folder / RUN_FILE).write_text(json.dumps(info))
    lines = [json.dumps(trial) + "\n" for trial in slices]
    (folder / TRIALS_FILE).write_text("".join(lines))
    return len(lines)


def opened_ms(started: Browser, page_file: Path) -> dict[str, float]:
    """Milliseconds from opening a page until its map, and until all of it, can be used.

    UserError where the page complains, asks for anything else, or is never ready.
    """
    page = started.new_page(viewport={"width": 1440, "height": 900})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    try:
        page.goto(page_file.as_uri())
        page.wait_for_selector(READY, state="attached")
        marks = page.evaluate(MARKS)
    except Error as error:
        raise UserError(f"{page_file} is not ready in a browser: {error}") from error
    finally:
        page.close()
    if complaints[1:]:
        raise UserError(f"{page_file} in a browser: {'; '.join(complaints[1:])}")
    return {str(name): float(value) for name, value in marks.items()}


def picture(started: Browser, page_file: Path, out: Path) -> None:
    """A picture of the explorer as it is when the page has been opened."""
    page = started.new_page(viewport={"width": 1152, "height": 1000})
    page.goto(page_file.as_uri())
    page.wait_for_selector(READY, state="attached")
    page.locator("#explore").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('explore').scrollIntoView()")
    page.screenshot(path=out)
    page.close()


def measure(started: Browser, name: str, folder: Path) -> bool:
    """Make the report of a copy of a run, open it some times, and print what that took."""
    subprocess.run(
        [sys.executable, "-m", "bench", "report", folder], check=True, stdout=subprocess.DEVNULL
    )
    page_file = folder / "report.html"
    mib = page_file.stat().st_size / 2**20
    openings = [opened_ms(started, page_file) for _ in range(OPENINGS)]
    usable_s, whole_s = (
        statistics.median(each[mark] for each in openings) / 1e3
        for mark in ("usable", "interactive")
    )
    met = mib < MOST_MIB and whole_s <= MOST_S
    print(
        f"{name}: {mib:.1f} MiB; the map can be used after {usable_s:.2f} s, all of it after"
        f" {whole_s:.2f} s (medians of {OPENINGS}); targets under {MOST_MIB:g} MiB and at most"
        f" {MOST_S:g} s: {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both pages; 0 if the targets are met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench.trials.browser", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("results/reference/quick"))
    parser.add_argument("--informative", action="store_true", help="a target missed is no failure")
    parser.add_argument("--picture", type=Path, help="only take a picture of the explorer")
    options = parser.parse_args(arguments)
    run = read_run(options.run)
    with tempfile.TemporaryDirectory(prefix="crossover-page-") as folder, browser() as started:
        copy, large = Path(folder) / "copy", Path(folder) / "large"
        copy.mkdir()
        large.mkdir()
        for file in (RUN_FILE, TRIALS_FILE):
            shutil.copy(run.folder / file, copy)
        slices = write_large(run, large)
        met = [measure(started, f"the report of {run.name}", copy)]
        if options.picture:
            picture(started, copy / "report.html", options.picture)
            return 0
        met += [
            measure(started, f"the report of a made-up run of {slices:,} slices", large),
        ]
    return 0 if all(met) or options.informative else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"page trial: {failure}", file=sys.stderr)
        sys.exit(2)
