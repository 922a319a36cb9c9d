"""How long and how large a client may be: the same for every model.

Pure numbers. Knows neither sockets nor clocks; `listen` and `watch` put the times into force,
`http1` the sizes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take before it is dropped. The times are kept to within a second."""

    idle_s: float = 10.0
    """Nothing of the next request has come."""
    request_s: float = 5.0
    """A request has begun and is not complete, head and body together."""
    write_s: float = 5.0
    """Nothing of the reply could be sent."""
    linger_s: float = 1.0
    """The last reply is sent, and the client may still be sending."""
    target_bytes: int = 8 * 1024
    head_bytes: int = 16 * 1024
    body_bytes: int = 1024 * 1024
