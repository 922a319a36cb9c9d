"""Keep one command and all that it starts on a leash: when the harness goes, everything goes.

Run as `python -I -S supervisor.py CONTROL_FD CORES COMMAND...`, a process of its own between the
harness and the command. The harness holds the other end of the pipe CONTROL_FD and never writes:
its end of file says that the harness closed it, or died of whatever cause. CORES is a list such as
`0,1` to run the command on, or empty. Ends with the command's exit code, or 128 + its signal.

Uses the standard library alone, so that it starts quickly, and must not know what it runs. Linux
only: as child subreaper it inherits every process that loses its parent below it, so daemons that
fork twice or start sessions of their own are still its descendants.
"""

import os
import select
import signal
import sys
import time
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# What Python ignores or a shell may have ignored: exec would hand that on to the command.
RESTORED = (*FORWARDED, signal.SIGPIPE, signal.SIGXFSZ)
CANNOT_START = 127
KILLED = 128 + signal.SIGKILL


class Stat(NamedTuple):
    """One process as /proc/PID/stat shows it; times in clock ticks, memory in pages."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    own_ticks: int
    reaped_ticks: int
    threads: int
    resident_pages: int


def read_stat(pid: int) -> Stat | None:
    """Read /proc/PID/stat (proc_pid_stat(5)); None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (pathlib would slow the start)
            data = file.read()
    except OSError:
        return None
    # The name before the last parenthesis may itself hold spaces and parentheses.
    field = data.rpartition(b")")[2].split()
    return Stat(
        pid=pid,
        state=field[0].decode(),
        parent=int(field[1]),
        group=int(field[2]),
        session=int(field[3]),
        own_ticks=int(field[11]) + int(field[12]),
        reaped_ticks=int(field[13]) + int(field[14]),
        threads=int(field[17]),
        resident_pages=int(field[21]),
    )


def descendants(root: int) -> list[Stat]:
    """Find every process below `root`, parents before their children, zombies included."""
    children: dict[int, list[Stat]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 (as above)
        if entry.isdigit() and (stat := read_stat(int(entry))):
            children.setdefault(stat.parent, []).append(stat)
    found = list(children.get(root, ()))
    for stat in found:  # grows while it is read: breadth first
        found.extend(children.get(stat.pid, ()))
    return found


def kill_descendants() -> None:
    """Kill and reap whatever is below this process until nothing is left."""
    seen: set[int] = set()
    while has_children():
        below = descendants(os.getpid())
        # A group is killed in one step, which stops a chain of forks that outruns a list of pids.
        for group in {stat.group for stat in below} - {os.getpgrp()}:
            send(-group, signal.SIGKILL)
        for stat in below:
            send(stat.pid, signal.SIGKILL)
        pids = {stat.pid for stat in below}
        if pids == seen:
            time.sleep(0.002)  # the same ones again: the kernel is still ending them
        seen = pids


def has_children() -> bool:
    """Reap the children that have ended and say whether any is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def send(pid: int, number: int) -> None:
    """Send a signal to a process (or to the group -pid) that may be gone already."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def supervise(child: int, control_fd: int, wake_fd: int) -> int:
    """Forward signals to the child until it ends or the harness is gone; the exit code."""
    poller = select.poll()
    poller.register(control_fd, select.POLLIN)
    poller.register(wake_fd, select.POLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd == wake_fd:
                forward(child, os.read(wake_fd, 512))
            elif not os.read(control_fd, 512):
                return KILLED
        code = exit_code(child)
        if code is not None:
            return code


def forward(child: int, numbers: bytes) -> None:
    """Pass on those of the signals received (one byte each) that are meant for the child."""
    for number in numbers:
        if number in FORWARDED:
            send(child, number)


def exit_code(child: int) -> int | None:
    """Reap all that has ended, adopted orphans included; the child's exit code once it has."""
    pid = -1
    while pid:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
    return None


def wake_on_signals() -> int:
    """Make signals readable, one byte each, at the descriptor returned."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    return read_fd


def prctl(option: int, value: int) -> None:
    """Call prctl(2), which Python does not wrap."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def spawn(command: list[str]) -> int:
    """Start the command in a session of its own, out of reach of the terminal's Ctrl-C."""
    supervisor = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        # Should the supervisor itself be killed, at least the command goes with it.
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == supervisor:
            os.setsid()
            for number in RESTORED:
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)
    except OSError as error:
        complain(f"cannot start {command[0]!r}: {error.strerror}")
    finally:
        os._exit(CANNOT_START)


def let_go_of_streams() -> None:
    """Leave stdin and stdout to the command, so that its end is their end of file."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)


def complain(message: str) -> None:
    """Write a line where the command's own errors go."""
    os.write(2, f"{message}\n".encode())


def main(arguments: list[str]) -> int:
    """Run the command to its end or to the harness's, and leave no process behind."""
    control_fd, cores, command = int(arguments[0]), arguments[1], arguments[2:]
    os.set_inheritable(control_fd, False)
    try:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        if cores:
            os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    except OSError as error:
        complain(f"cannot run on cores {cores or 'unpinned'}: {error.strerror}")
        return CANNOT_START
    wake_fd = wake_on_signals()
    child = spawn(command)
    let_go_of_streams()
    try:
        return supervise(child, control_fd, wake_fd)
    finally:
        kill_descendants()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
