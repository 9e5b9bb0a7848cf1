"""A machine whose jobs are seen through by the product's own supervisor, each in virtual time and killed when told."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from nanny_ops.machine import job, occupied
from nanny_ops.machine.procedure import access
from nanny_ops.machine.procedure.journal import NAME, Journal
from nanny_ops.machine.procedure.record import FOLDER
from nanny_ops.machine.proxmox.task import Pace
from nanny_ops.machine.supervisor import Supervisor
from nanny_ops.machine.verbs import JobPhase, LookJob, ProxmoxAccess, StartScript
from tests.fakes.guest_node import NODE
from tests.fakes.life import Fate, Killed, Life, never
from tests.fakes.machine import Machine
from tests.fakes.puppet import Puppet
from tests.fakes.virtual_time import BEGINNING
from tests.integration.faults.guest_room import Errands, Inside, Room, Wire


@dataclass
class ProcedureMachine(Machine):
    """The node: its guests by number (0 is the host), and which supervisors are killed at which step."""

    rooms: dict[int, Room] = field(default_factory=dict)
    #: The fates of the next supervisors of a job, by the guest's number; each is one killing.
    fates: dict[int, list[Fate]] = field(default_factory=dict)
    #: How many bytes of the journal's last line a kill leaves; None leaves it whole.
    torn: dict[int, int | None] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    steps: dict[str, list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    time: Callable[[], float] = lambda: 0.0

    def prepare(self) -> None:
        """Write down how jobs reach the API, as the owner of their folder does."""
        self.jobs.mkdir(parents=True, exist_ok=True)
        found = ProxmoxAccess(url="https://192.0.2.11:8006", token="a@pve!b=c")
        access.write(self.jobs, access.JobAccess(access=found, node=NODE))

    def perform(self, verb: Any, step: Callable[[str], None]) -> Any:
        """Do what a privileged machine does with verbs about jobs, and the rest as ever."""
        match verb:
            case StartScript(job=order):
                if job.look(self.jobs, order.job_id).phase in (JobPhase.ABSENT, JobPhase.READY):
                    occupied.demand_for_job(self.jobs, order, self.clock)
                state = job.start(self.jobs, order, launch=lambda home, seal: self._raise(home, seal, step))
                return self._tend(order.job_id, step) if state.phase is JobPhase.LOST else state
            case LookJob(job_id=job_id):
                return self._tend(job_id, step)
        return super().perform(verb, step)

    def _tend(self, job_id: str, step: Callable[[str], None]) -> Any:
        return job.tend(self.jobs, job_id, launch=lambda home, seal: self._raise(home, seal, step))

    def _launch(self, home: Path, step: Callable[[str], None]) -> None:
        self._raise(home, "", step)

    def _raise(self, home: Path, seal: str, step: Callable[[str], None]) -> None:
        step("before the supervisor")
        held = contextlib.ExitStack()
        if held.enter_context(job.supervised(home)):
            self._supervisors.append(asyncio.create_task(self._see_through(home, seal, held)))
        else:
            held.close()
        step("after the supervisor")

    async def _see_through(self, home: Path, seal: str, held: contextlib.ExitStack) -> None:
        with held:
            await asyncio.sleep(self.rise)
            vmid = json.loads((home / "order.json").read_bytes())["vmid"] or 0
            room = self.rooms[vmid]
            fates = self.fates.get(vmid, [])
            last = _Last(home, self.torn.get(vmid))
            life = Life(last.keep, fates.pop(0) if fates else never, steps=self.steps.setdefault(home.name, []))
            last.life = life
            puppet = Puppet(lambda: _main(supervisor, self.broken))
            errands = Errands(life.tick, lambda seconds: _nap(puppet, life, seconds), self.time)
            supervisor = self._supervisor(home, seal, room, errands)
            try:
                await puppet.play()
            except Killed as where:
                self.killed.append(f"{home.name} at {where}")
                last.restore()

    def _supervisor(self, home: Path, seal: str, room: Room, errands: Errands) -> Supervisor:
        pace = Pace(errands.now, errands.sleep, lambda: (errands.now() * 7919) % 1)

        def open_journal(directory: Path, now: Callable[[], datetime]) -> Journal:
            def sync(_descriptor: int) -> None:
                errands.step("journal")

            return Journal(directory, now, sync=sync)

        inside = Inside(room, errands)
        return Supervisor(
            home,
            {},
            seal,
            choose=lambda _vmid, _environ: inside,
            now=lambda: BEGINNING + timedelta(seconds=errands.now()),
            connect=lambda _access: Wire(room, errands),
            pace=pace,
            script_pace=pace,
            start=inside.start,
            open_journal=open_journal,
        )


@dataclass
class _Last:
    """What the disk held when a supervisor was killed; whatever its unwinding still writes is thrown away."""

    home: Path
    torn: int | None
    life: Life | None = None

    def keep(self) -> None:
        """End the process; of a line that was just written perhaps only a part has reached the disk."""
        assert self.life is not None
        self.life.dead = True
        for folder in self._folders():
            shutil.copytree(folder, self._grave(folder))
        journal = self._grave(self.home) / NAME
        if self.life.steps[-1] == "journal" and self.torn is not None and journal.exists():
            lines = journal.read_bytes().splitlines(keepends=True)
            journal.write_bytes(b"".join(lines[:-1]) + lines[-1][: min(self.torn, len(lines[-1]) - 1)])

    def restore(self) -> None:
        """Put what the disk held then in the place of what the unwinding has made of it."""
        for folder in self._folders():
            if self._grave(folder).exists():
                shutil.rmtree(folder)
                self._grave(folder).rename(folder)

    def _folders(self) -> list[Path]:
        records = self.home.parent.parent / FOLDER
        return [self.home, records] if records.exists() else [self.home]

    def _grave(self, folder: Path) -> Path:
        return folder.with_name(f".grave-{folder.name}")


def _nap(puppet: Puppet, life: Life, seconds: float) -> None:
    if life.dead or puppet.cut:
        raise Killed("asleep")
    puppet.sleep(seconds)
    if puppet.cut:
        life.dead = True
    life.tick("awake")


def _main(supervisor: Supervisor, broken: list[str]) -> None:
    try:
        supervisor.supervise()
    except Exception as wrong:  # noqa: BLE001  as the process's own last handler does
        broken.append(repr(wrong))
        supervisor.confess(wrong)
