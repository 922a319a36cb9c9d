"""The CPU clocks of other processes, read at the edges of the measured window. Linux only."""

import time
from collections.abc import Sequence


def cpu_ns(pids: Sequence[int]) -> int:
    """CPU time in ns of all threads of the processes; one that has ended counts as nothing.

    The clock's number is that of clock_getcpuclockid(3) on Linux. It counts ns, where
    /proc/PID/stat counts ticks of 10 ms, a twenty-fifth of a short window.
    """
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime_ns((~pid << 3) | 2)
        except OSError:
            continue
    return total
