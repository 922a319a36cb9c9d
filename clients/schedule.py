"""Pure arrival schedules: when requests are meant to start. No clock, no sockets.

Only the closed loop's starts so far; open-loop schedules are further functions of this module.
"""


def spread_starts(connections: int, over_s: float) -> list[int]:
    """Start offsets in ns for each connection of a closed loop, spread evenly over `over_s`.

    Connections that started together would send and wait in step for the whole slice.
    """
    if connections < 1:
        raise ValueError(f"connections must be at least 1, not {connections}")
    if over_s < 0:
        raise ValueError(f"the spread cannot be negative: {over_s} s")
    over_ns = round(over_s * 1e9)
    return [i * over_ns // connections for i in range(connections)]
