"""`crossover gate`: is head slower than base?"""


def gate() -> None:
    """Compare two commands."""
