"""Which cores the servers run on, and which the generator.

`choose_cores` is a pure function of the cores that we may use and of which of them are hyperthreads
of one physical core; `available_cores` and `read_siblings` read them here. Must not know what runs
on a core.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError

CPU_FOLDER = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class CoreChoice:
    """Cores by number, and how well the two sides are kept apart.

    `shared`: the generator's core is one of the server's. `siblings`: they are different, but
    hyperthreads of one physical core, so that each slows the other.
    """

    server: tuple[int, ...]
    generator: tuple[int, ...]
    shared: bool
    siblings: bool


def choose_cores(
    available: Collection[int], siblings: Mapping[int, Collection[int]], server_cores: int = 1
) -> CoreChoice:
    """Give the generator a physical core of its own where there is one, the server the rest.

    `siblings` maps a core to the hyperthreads of its physical core, itself included; a core that is
    missing is alone. The server's cores come from as many physical cores as possible, too. Raises
    UserError when fewer than `server_cores` are available.
    """
    if not 1 <= server_cores <= len(available):
        raise UserError(
            f"server cores: {server_cores} asked for, {len(available)} available here "
            f"({_listed(available)}); ask for 1 to {len(available)} with --server-cores"
        )
    physical = _by_physical_core(available, siblings)
    generator = physical[-1][0]
    # One hyperthread of every physical core, then the second ones; the generator's core comes last.
    others = _one_of_each_in_turn(physical[:-1])
    server = (*others, *physical[-1][1:], generator)[:server_cores]
    shared = generator in server
    return CoreChoice(
        server=tuple(sorted(server)),
        generator=(generator,),
        shared=shared,
        siblings=not shared and not set(server).isdisjoint(physical[-1]),
    )


def cores_here(server_cores: int = 1) -> CoreChoice:
    """Choose among the cores that this process may run on. Raises UserError as `choose_cores`."""
    available = available_cores()
    return choose_cores(available, read_siblings(available), server_cores)


def available_cores() -> frozenset[int]:
    """Return the cores that this process may run on."""
    return frozenset(os.sched_getaffinity(0))


def read_siblings(cores: Collection[int], folder: Path = CPU_FOLDER) -> dict[int, frozenset[int]]:
    """Read which hyperthreads share each core's physical core; alone where nothing says so."""
    return {core: _read_siblings_of(core, folder) for core in cores}


def parse_core_list(text: str) -> frozenset[int]:
    """Parse the kernel's list format: `0-2,8` is 0, 1, 2 and 8; ValueError if it is none."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return frozenset(cores)


def _read_siblings_of(core: int, folder: Path) -> frozenset[int]:
    try:
        text = (folder / f"cpu{core}" / "topology" / "thread_siblings_list").read_text()
        return parse_core_list(text)
    except (OSError, ValueError):
        return frozenset({core})


def _by_physical_core(
    available: Collection[int], siblings: Mapping[int, Collection[int]]
) -> list[list[int]]:
    groups: dict[frozenset[int], list[int]] = {}
    for core in sorted(available):
        groups.setdefault(frozenset(siblings.get(core, {core})), []).append(core)
    return list(groups.values())


def _one_of_each_in_turn(groups: list[list[int]]) -> list[int]:
    ranked = [(rank, core) for group in groups for rank, core in enumerate(group)]
    return [core for _, core in sorted(ranked)]


def _listed(cores: Collection[int]) -> str:
    return ", ".join(str(core) for core in sorted(cores))
