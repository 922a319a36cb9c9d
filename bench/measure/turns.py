"""A point, measured: its targets take turns, burst by burst, each with its slice in progress.

While a slice is measured the harness does nothing: it sleeps on the generator's answer. Must not
know rounds or budgets.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.measure.fleet import Fleet, RefusedError
from bench.measure.generator import LastingGenerator
from bench.measure.machine import steal_s
from bench.measure.plan import Cell, Point, Server, burst_order
from bench.measure.process import Ready, TargetError
from bench.measure.profile import Profile
from bench.measure.slice import failed_trial, order_for, trial_of
from bench.measure.upstream import Upstream
from bench.measure.usage import Usage
from bench.measure.work_path import read_work

WARMING = {
    "connections": 4,
    "window_s": 0.05,
    "completions_wanted": 200,
    "window_limit_s": 2.0,
    "warmup_limit_s": 2.0,
}
NOWHERE = Point("/", 0.0, "keep-alive", 1)


@dataclass
class Slice:
    """A slice in progress: its cell, its server, and what that had used before it."""

    cell: Cell
    server: Server
    load: dict[str, Any] = field(default_factory=dict)
    before: Usage | None = None
    lost: str | None = None

    @property
    def bursts(self) -> int:
        """How many bursts it takes."""
        return int(self.load.get("bursts", 1))


class Turns:
    """Measures points on the servers of a fleet; `lost` are those that did not come up, and why."""

    def __init__(
        self,
        profile: Profile,
        fleet: Fleet,
        upstream: Upstream,
        generator: LastingGenerator,
        cores: Sequence[int],
        notice: Callable[[str], None],
    ) -> None:
        self.profile, self.fleet, self.upstream = profile, fleet, upstream
        self.generator = generator
        self.cores = cores
        self.notice = notice
        self.lost: dict[Server, str] = {}
        self._told: set[tuple[str, str]] = set()

    def measure(
        self, cells: Sequence[Cell], place: dict[str, Any], seed: str
    ) -> list[tuple[Cell, dict[str, Any]]]:
        """Measure the targets of a point in turns; the trials line of each.

        `place` goes into every line; `seed` decides the order of turns.
        """
        self._revive_upstream()
        stolen_s, began_s = steal_s(self.cores), time.monotonic()
        slices = self._slices(cells, shares_core=bool(place.get("shared_core")))
        for each in slices:
            self._open(each)
        for turn in burst_order([each.bursts for each in slices], random.Random(seed)):
            self._burst(slices[turn])
        steal_ratio = _ratio_since(stolen_s, steal_s(self.cores), began_s, len(self.cores))
        finished = [self._finish(each) for each in slices]
        self._release()
        return [
            (each.cell, self._trial(each, finish, steal_ratio, place))
            for each, finish in zip(slices, finished, strict=True)
        ]

    def warm_all(self) -> None:
        """Warm every server that is up; one that cannot be warmed is dropped."""
        for server in self.fleet.servers:
            try:
                if self.fleet.is_alive(server):
                    self._warm(server)
            except TargetError as error:
                self.notice(str(error))
                self.fleet.drop(server)

    def _slices(self, cells: Sequence[Cell], *, shares_core: bool) -> list[Slice]:
        """A slice of each cell; our own models first, since theirs are the replies to compare."""
        ours_first = sorted(
            cells, key=lambda cell: self.fleet.targets[cell.target].model.kind != "driver"
        )
        made = {cell: self._slice(cell, shares_core=shares_core) for cell in ours_first}
        return [made[cell] for cell in cells]

    def _slice(self, cell: Cell, *, shares_core: bool) -> Slice:
        """A cell whose target is up, warm and right, or that says why it is lost."""
        server = self.fleet.targets[cell.target].server_of(cell)
        if server in self.lost:
            return Slice(cell, server, lost=self.lost[server])
        try:
            ready = self._warmed_address(server)
            load = self._load(cell, server, ready)
            return Slice(cell, server, load=load | {"shares_core": shares_core})
        except RefusedError as error:
            self._tell_once(cell, str(error))
            return Slice(cell, server, lost=str(error))
        except TargetError as error:
            return Slice(cell, server, lost=self._give_up(server, error))

    def _load(self, cell: Cell, server: Server, ready: Ready) -> dict[str, Any]:
        target = self.fleet.targets[cell.target]
        calls = read_work(cell.point.work, "work").calls
        return order_for(
            target.asked(cell.point),
            self.profile,
            host=ready.host,
            port=ready.port,
            one_at_a_time=target.model.serves_one_at_a_time,
            body=self.fleet.right_body(server, cell.point),
            watched_pids=self.fleet.process(server).pids(),
            upstream_pids=self.upstream.pids() if calls else (),
            calls=calls,
        )

    def _open(self, each: Slice) -> None:
        if each.lost is None:
            try:
                each.before = self.fleet.process(each.server).sample()
                name = each.cell.target
                self.generator.ask(lambda generator: generator.open(name, each.load))
            except TargetError as error:
                each.lost = self._give_up(each.server, error)

    def _burst(self, each: Slice) -> None:
        if each.lost is None:
            try:
                self.generator.ask(lambda generator: generator.burst(each.cell.target))
            except TargetError as error:
                each.lost = self._give_up(each.server, error)

    def _finish(self, each: Slice) -> tuple[dict[str, Any], Usage] | None:
        """The figures of a slice and what its target used; None where it is lost."""
        if each.lost is not None or each.before is None:
            return None
        try:
            answer = self.generator.ask(lambda generator: generator.finish(each.cell.target))
            return answer, self.fleet.process(each.server).sample().since(each.before)
        except TargetError as error:
            each.lost = self._give_up(each.server, error)
            return None

    def _trial(
        self,
        each: Slice,
        finished: tuple[dict[str, Any], Usage] | None,
        steal_ratio: float | None,
        place: dict[str, Any],
    ) -> dict[str, Any]:
        if finished is None:
            return failed_trial(each.cell, each.lost or "", place)
        answer, use = finished
        self._tell_of_wrong_replies(each, answer["errors"])
        trial = trial_of(each.cell, answer, use=use, steal_ratio=steal_ratio, place=place)
        if trial["target_replaced"]:
            self.fleet.drop(each.server)
        return trial

    def _tell_of_wrong_replies(self, each: Slice, errors: dict[str, int]) -> None:
        """Once per foreign target: here is something that its owner may have to change."""
        target = self.fleet.targets[each.cell.target]
        if target.model.kind != "command" or not (errors["body"] or errors["status"]):
            return
        kinds = [kind for kind in ("status", "body") if errors[kind]]
        wrong = " and ".join(f"{errors[kind]} times with another {kind}" for kind in kinds)
        what = f"answered {target.asked(each.cell.point).work} {wrong} than at first"
        hint = '; where bodies may differ, check = "status" says so' if errors["body"] else ""
        self._tell_once(each.cell, self.fleet.process(each.server).complaint(what + hint))

    def _tell_once(self, cell: Cell, text: str) -> None:
        """Tell what is wrong with a target's replies to a path; not again in every slice."""
        about = (cell.target, cell.point.work)
        if about not in self._told:
            self._told.add(about)
            self.notice(text)

    def _give_up(self, server: Server, error: TargetError) -> str:
        self.fleet.drop(server)
        self.notice(str(error))
        return str(error)

    def _warmed_address(self, server: Server) -> Ready:
        """Where a server listens; one that is gone is started afresh, if that works."""
        known = self.fleet.is_alive(server)
        try:
            ready = self.fleet.address(server)
        except TargetError as error:
            self.lost[server] = str(error)
            raise
        if not known:
            self._warm(server)
        return ready

    def _warm(self, server: Server) -> None:
        """Send a fresh process some requests that count for nothing."""
        ready, target = self.fleet.address(server), self.fleet.targets[server.target]
        one = target.model.serves_one_at_a_time
        url = f"http://{ready.host}:{ready.port}{target.asked(NOWHERE).work}"
        load = {"url": url, "keep_alive": not one, "serves_one_at_a_time": one, **WARMING}
        self.generator.ask(lambda generator: generator.measure(load))
        self._release()

    def _revive_upstream(self) -> None:
        try:
            if self.upstream.revive():
                self.notice("upstream: was gone and is started afresh")
        except TargetError as error:
            self.notice(str(error))

    def _release(self) -> None:
        if why := self.generator.release():
            self.notice(why)


def _ratio_since(
    before_s: float | None, after_s: float | None, began_s: float, cores: int
) -> float | None:
    """The share of the cores' time that the hypervisor took since `began_s`."""
    if before_s is None or after_s is None:
        return None
    return (after_s - before_s) / ((time.monotonic() - began_s) * cores)
