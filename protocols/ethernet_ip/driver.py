"""The EtherNet/IP driver: one session with one controller, and all devices of the configuration that it is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import structlog

from ext.table import DecodeError
from protocols.driver import ConnectFailed, EndpointConfig, LinkStats, NotConnected
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.controller import STATUS_REQUEST, Identity, identify
from protocols.ethernet_ip.link import GARBLED_REMEDY, EipLink
from protocols.ethernet_ip.plan import Limits
from protocols.ethernet_ip.project import Project, Upload
from protocols.ethernet_ip.templates import Unfinished
from protocols.ethernet_ip.unit import LISTING, UNLOADED, Unit, Verdict
from protocols.model import Batch
from protocols.schedule import Scan, Schedule

if TYPE_CHECKING:
    from ext.table import SignalTable

log = structlog.get_logger("ethernet_ip")

LOOK_AGAIN_S = 1.0
"""How often a controller that is being downloaded to is asked whether that is over."""
CONNECT_UPLOAD_S, UPLOAD_S = 10.0, 2.0
"""How long an upload may hold up everything, while connecting and then; it goes on after what else there is to read."""
ROUNDS = 8
"""How often one scan is asked again with other packets, before it is left as it is."""
MOST_BLAMED = 64
"""How often all is asked again without those of another type than uploaded, one a packet, before the next look."""


class EthernetIpDriver:
    """One connection, used once."""

    def __init__(self, endpoint: EndpointConfig, tables: Mapping[str, SignalTable], stats: LinkStats) -> None:
        devices = cast("Mapping[str, EthernetIpDevice]", endpoint.devices)
        self._device = next(iter(devices.values()))
        self._units = {name: Unit(name, device, tables[name], stats) for name, device in devices.items()}
        self._timeout_s = max(device.timeout for device in devices.values()) / 1000
        self._schedule = Schedule(
            Scan(name, number, period)
            for name, device in devices.items()
            for number, (period, _) in enumerate(device.scan_classes)
        )
        self._stats = stats
        self._overruns_before = stats.overruns
        self._link: EipLink | None = None
        self._identity = Identity()
        self._project: Project | None = None
        self._upload: Upload | None = None
        self._look_at = float("inf")
        """When the project is looked for again, by the monotonic clock."""
        self._ready: deque[Batch] = deque()

    async def connect(self) -> None:
        """Open session and connection, and upload what the signals need. Raises ConnectFailed."""
        link = self._link = EipLink(self._device.path, self._timeout_s, self._stats)
        try:
            await link.open(self._device.host, self._device.port)
            refused = await link.open_connection()
            self._identity = await identify(link)
            if refused is not None:
                remedy = "reading is slower without; see how many connections the controller and its modules have left"
                log.warning("no_connection_given", host=self._device.host, why=refused, remedy=remedy)
            wanted = [address for unit in self._units.values() for address in unit.wanted]
            self._upload = Upload(link, self._identity, wanted)
            await self._learn(link, self._upload, CONNECT_UPLOAD_S)
        except NotConnected as error:
            raise ConnectFailed(error.why, error.remedy) from error

    async def _learn(self, link: EipLink, upload: Upload, within_s: float) -> None:
        """Upload the project, and plan all packets by it; what takes longer goes on at once after what can be read."""
        try:
            self._plan(link, await upload.run(time.monotonic() + within_s))
        except Unfinished:
            old = self._project  # good for as long as its edition, or its names, are
            if old is None or not (old.edition is None or await upload.is_current(old)):
                self._plan(link, None, LISTING)
            self._look_at = time.monotonic()

    def _plan(self, link: EipLink, project: Project | None, why: str = UNLOADED) -> None:
        """Plan all packets by a project; without one what is no tag is read, and it is looked for again."""
        self._project = project
        self._look_at = time.monotonic() + LOOK_AGAIN_S if project is None else float("inf")
        for unit in self._units.values():
            self._plan_unit(link, unit, why)

    def _plan_unit(self, link: EipLink, unit: Unit, why: str = UNLOADED) -> None:
        by_instance = self._project is not None and self._project.by_instance
        unit.plan(self._project, Limits(link.size, multiple=True, by_instance=by_instance), link.framed, why)

    async def read(self) -> Batch:
        """The next scan. After a change of the project all scans of its devices, by a fresh upload."""
        if self._link is None:
            raise NotConnected("the driver is closed")
        while not self._ready:
            await self._mend(self._link)
            if self._ready:
                break
            due = self._schedule.take_due()
            self._stats.overruns = self._overruns_before + self._schedule.overruns
            for scan in due:
                await self._scan(self._link, self._units[scan.device], (scan.number,))
                self._schedule.done(scan)
            if not due:
                await self._wait(self._link)
        return self._ready.popleft()

    async def _mend(self, link: EipLink) -> None:
        """Look for the project, take up what was refused, and keep the connection alive, where that is due."""
        assert self._upload is not None
        link.check()
        now = time.monotonic()
        if now >= self._look_at:
            await self._relearn(link)
        for unit in self._units.values():
            if now >= unit.retry_at:
                if unit.retry() is Verdict.AGAIN:
                    await self._scan(link, unit, unit.all_scans)
                elif self._project is not None and not (
                    self._project.is_whole and await self._upload.is_current(self._project)
                ):
                    await self._relearn(link)
        if asyncio.get_running_loop().time() >= link.keep_alive_at:
            await link.call(STATUS_REQUEST)

    async def _relearn(self, link: EipLink) -> None:
        """Upload again; with a new plan all signals are unread, so all are read at once."""
        assert self._upload is not None
        before = self._project
        await self._learn(link, self._upload, UPLOAD_S)
        if before is not None and self._project != before:
            log.info("project_changed", host=self._device.host, uploaded=self._project is not None)
        for unit in self._units.values():
            verdict = await self._ask_around(link, unit, unit.all_scans)
            if verdict is Verdict.CHANGED:  # again: it is left alone for a while
                self._plan(link, None)
                await self._ask(link, unit, unit.all_scans)
            self._pass_on(unit, unit.all_scans)

    async def _scan(self, link: EipLink, unit: Unit, scans: Sequence[int]) -> None:
        verdict = await self._ask_around(link, unit, scans)
        if verdict is Verdict.CHANGED:
            await self._relearn(link)
        else:
            self._pass_on(unit, unit.all_scans if verdict is Verdict.AGAIN else scans)

    async def _ask_around(self, link: EipLink, unit: Unit, scans: Sequence[int]) -> Verdict:
        """As `_ask`; while the project is the uploaded one, again without those of another type than it says."""
        assert self._upload is not None
        verdict = await self._ask(link, unit, scans)
        for _ in range(MOST_BLAMED):
            if verdict is not Verdict.CHANGED or not await self._upload.is_current(self._project):
                break
            self._plan_unit(link, unit)
            verdict = await self._ask(link, unit, unit.all_scans)
            verdict = Verdict.AGAIN if verdict is Verdict.DONE else verdict
        return verdict

    async def _ask(self, link: EipLink, unit: Unit, scans: Sequence[int]) -> Verdict:
        """Ask scans, and where that changes the packets all of them: AGAIN. CHANGED: nothing more is known."""
        began = time.monotonic()
        outcome = Verdict.DONE
        for _ in range(ROUNDS):
            asked = unit.begin(scans)
            await link.ask(asked)
            try:
                verdict = unit.settle(asked)
            except DecodeError as error:
                raise NotConnected(f"a reply cannot be what was asked for: {error}", GARBLED_REMEDY) from error
            if verdict is Verdict.CHANGED:
                return verdict
            if verdict is Verdict.DONE:
                break
            outcome, scans = verdict, unit.all_scans
        self._stats.round_trip_ms = (time.monotonic() - began) * 1000
        return outcome

    def _pass_on(self, unit: Unit, scans: Sequence[int]) -> None:
        """A batch for each scan class; the first has all that changed."""
        for number in scans:
            changes = unit.table.take()
            batch = Batch(unit.name, number, changes, notices=unit.take_notices(), learned=unit.take_learned())
            self._ready.append(batch)

    async def _wait(self, link: EipLink) -> None:
        """Until a scan or something else is due, or the link has ended."""
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        other = min(self._look_at, *(unit.retry_at for unit in self._units.values())) - now
        at = min(self._schedule.next_due(), link.keep_alive_at)
        await link.rest(max(0.0, min(at - loop.time(), other)))

    async def close(self) -> None:
        """End connection and session."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()
