"""Why `--benchmark-compare-fail` is no gate: it saves before it checks, and passes the second time.

A benchmark is saved, made twice as slow, and checked three times with the very same command.
"""

import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

BENCHMARK = """
import time

def test_work(benchmark):
    benchmark.pedantic(time.sleep, args=({seconds},), rounds=20)
"""
COMMAND = (
    "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-autosave", "--benchmark-compare",
    "--benchmark-compare-fail=median:5%",
)  # fmt: skip
SHOWN = ("Comparing against", "Saved benchmark data", "PerformanceRegression", "ERROR", "passed")
TRIES = 3


def run(folder: Path, words: tuple[str, ...]) -> int:
    """Run a command in the folder, print the lines that matter, and give its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if any(word in line for word in SHOWN):
            print(f"  {line.strip().replace(str(folder), '.')}")
    print(f"  exit code {done.returncode}", flush=True)
    return done.returncode


def main() -> int:
    """Show it; 0 if it is as told: failed at first, passed afterwards."""
    print(f"pytest-benchmark {metadata.version('pytest-benchmark')}")
    with tempfile.TemporaryDirectory(prefix="crossover-compare-") as temporary:
        folder = Path(temporary)
        test = folder / "test_work.py"
        test.write_text(BENCHMARK.format(seconds=0.005))
        print("the baseline, 5 ms: pytest --benchmark-autosave")
        run(folder, ("pytest", "-q", "-p", "no:cacheprovider", "--benchmark-autosave"))
        test.write_text(BENCHMARK.format(seconds=0.010))
        codes = []
        for number in range(1, TRIES + 1):
            print(f"twice as slow, 10 ms, time {number}: {' '.join(COMMAND[4:])}")
            codes.append(run(folder, COMMAND))
    is_as_told = codes[0] != 0 and not any(codes[1:])
    print("failed once and passed ever after" if is_as_told else f"exit codes {codes}: not as told")
    return int(not is_as_told)


if __name__ == "__main__":
    sys.exit(main())
