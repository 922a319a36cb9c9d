"""What the commands of the clients have in common: how they complain, and durations."""

import argparse
import re
from typing import NoReturn

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)")
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
LONGEST_S = 86_400.0


class Parser(argparse.ArgumentParser):
    """An argument parser that leaves with code 2 and one line."""

    def error(self, message: str) -> NoReturn:
        """Wrong use in one line, without the usage that argparse would print before it."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse_duration_s(text: str) -> float:
    """`250ms`, `10s`, `2m` in seconds, up to a day. Raises argparse's error on anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration: use for example 250ms or 10s"
        )
    duration_s = float(match[1]) * _UNIT_S[match[2]]
    if duration_s > LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than a day")
    return duration_s
