"""Curves of the model: values known at a few places, read between them and beyond. Pure."""

from __future__ import annotations

import itertools
import math

Curve = tuple[tuple[float, float], ...]
"""(connections, or a rate, and seconds there) in rising order."""


def rising(curve: Curve, at: float) -> float:
    """The value of a curve that goes on beyond its last point as between its last two.

    There it is linear, and never falls: each connection adds as much.
    """
    if len(curve) < 2 or at <= curve[-1][0]:
        return on_curve(curve, at)
    (x0, y0), (x1, y1) = curve[-2:]
    return y1 + max(y1 - y0, 0.0) / (x1 - x0) * (at - x1)


def on_curve(curve: Curve, at: float) -> float:
    """The value of a curve: a power between two points (linear if one is 0), flat beyond the ends.

    No curve at all is 0.
    """
    if not curve:
        return 0.0
    if at <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if at <= x1:
            share = math.log(at / x0) / math.log(x1 / x0)
            if y0 > 0 and y1 > 0:
                return math.exp(math.log(y0) + share * math.log(y1 / y0))
            return y0 + share * (y1 - y0)
    return curve[-1][1]
