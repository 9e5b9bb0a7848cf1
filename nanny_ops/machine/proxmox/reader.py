"""Read Proxmox VE cycle by cycle: cheap things each time, dear things when they are due, changes only.

A reader remembers between cycles what it has read, what has been told and who does not answer. A cycle ends in time
with what it could get, and says of each part how well it is known.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nanny_ops.errors import ProxmoxError, ProxmoxUnauthorized, ProxmoxUnreachable
from nanny_ops.machine.proxmox import facts, sections, usage
from nanny_ops.machine.proxmox.breaker import Breaker
from nanny_ops.machine.proxmox.configs import Configs
from nanny_ops.machine.proxmox.delta import Delta
from nanny_ops.machine.proxmox.gather import gather
from nanny_ops.machine.proxmox.keeper import Keeper
from nanny_ops.machine.proxmox.ledger import Ledger, Line, of_error
from nanny_ops.machine.proxmox.pmxcfs import Pmxcfs
from nanny_ops.machine.proxmox.report import Report
from nanny_ops.machine.proxmox.rights import Rights
from nanny_ops.machine.proxmox.scope import Scope, scope
from nanny_ops.machine.proxmox.sections import Get, Section, Subject
from nanny_ops.machine.proxmox.task_list import TaskList
from nanny_ops.machine.verbs import ProxmoxReading, ReadProxmox
from nanny_ops.protocol.inventory import UNNAMED

Entry = Mapping[str, Any]
_NAMELESS = "Proxmox VE does not say which node answers."
#: Part of a cycle's time after which nothing dear is begun any more.
CHEAP = 0.8
#: Reads of slower facts of guests in one cycle, at most; the others' turn comes in the next ones.
SLOW = 400


class Api(Protocol):
    """What is needed of a client; safe to use from many threads."""

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``GET /path``. Raises ProxmoxError."""

    @property
    def peer(self) -> str:
        """Return the SHA-256 of the certificate of whoever answers, in hex; empty where that is not known."""

    def close(self) -> None:
        """Close idle connections."""


class Reader:
    """One reader per API; its cycles do not overlap."""

    def __init__(
        self,
        api: Api,
        pmxcfs_root: str = "",
        *,
        tick: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        slow: int = SLOW,
        host: str = "",
    ) -> None:
        """Take the client, both clocks and how many slower facts of guests one cycle may read; nothing is read.

        ``host`` is this machine's short name where it is the node that answers.
        """
        self._api, self._tick, self._now, self._slow = api, tick, now, slow
        self._files = Pmxcfs(Path(pmxcfs_root), now=now) if pmxcfs_root else None
        self._breaker, self._configs, self._keeper = Breaker(), Configs(), Keeper()
        self._tasks, self._delta = TaskList(), Delta()
        self._rights, self._rights_at, self._rights_wall = Rights(None), float("-inf"), 0.0
        self._listed: frozenset[str] = frozenset()
        self._node, self._release, self._identity = "", "", ""
        self._cycle, self._host = 0, host

    def read(self, order: ReadProxmox) -> ProxmoxReading:
        """Return one reading; where not even the node's name is known, only why."""
        until, ledger = self._tick() + order.seconds, Ledger()
        self._cycle += 1
        self._delta.begin(order.acknowledged)
        try:
            values = self._values(order, ledger, until)
        finally:
            self._api.close()
        values["facts"] = ledger.facts()
        return ProxmoxReading(
            serial=self._delta.serial, node_name=self._node or UNNAMED, values=values, problems=ledger.problems()
        )

    def _values(self, order: ReadProxmox, ledger: Ledger, until: float) -> dict[str, Any]:
        status, rows = self._overview(ledger, until)
        if status is None and rows is None:
            return {"node": self._node or UNNAMED}
        place = scope(self._node, status, rows, order.reports_cluster, order.speaks_for)
        report = Report(place, rows, ledger, self._delta, self._now())
        touched = self._nodes(report, until)
        guests = report.guest_rows()
        self._configurations(guests, place, until, touched)
        self._slower(report, guests, until - (1 - CHEAP) * order.seconds, touched)
        self._tell(report, guests)
        self._forget(rows)
        return report.values

    def _overview(self, ledger: Ledger, until: float) -> tuple[Sequence[Entry] | None, Sequence[Entry] | None]:
        calls: dict[str, Callable[[], Any]] = {
            "status": partial(self._api.get, "cluster/status"),
            "resources": partial(self._api.get, "cluster/resources"),
        }
        if self._tick() - self._rights_at >= sections.HOUR or not self._rights.known:
            calls["rights"] = partial(self._api.get, "access/permissions")
        if not self._release:
            calls["version"] = partial(self._api.get, "version")
        # All at once: each refusal of a token comes three seconds late.
        answers = gather(calls, until, workers=len(calls), tick=self._tick)
        self._learn(answers, ledger)
        status, rows = answers["status"], answers["resources"]
        if not isinstance(rows, ProxmoxError):
            self._doubt(rows or [], "rights" in answers, ledger, until)
        if not isinstance(status, ProxmoxError):
            local = facts.local_node(status)
            self._node = str(local["name"]) if local else self._node
        self._node = self._node or self._own_name(answers, until)
        if not self._node:
            status = status if isinstance(status, ProxmoxError) else ProxmoxError(_NAMELESS)
            rows = rows if isinstance(rows, ProxmoxError) else ProxmoxError(_NAMELESS)
        for section, answer in (("cluster", status), ("resources", rows)):
            ledger.note(section, "", of_error(answer) if isinstance(answer, ProxmoxError) else Line("ok", self._now()))
        return _or_none(status), _or_none(rows)

    def _own_name(self, answers: Mapping[str, Any], until: float) -> str:
        """Return the name of the node that answers without /cluster/status: its own, or by its certificate."""
        name = (self._files.node() if self._files else "") or self._host
        if name or all(isinstance(answer, ProxmoxError) for answer in answers.values()):
            return name
        nodes = gather({"nodes": partial(self._api.get, "nodes")}, until, tick=self._tick)["nodes"]
        return facts.node_by_certificate(_or_none(nodes) or [], self._api.peer)

    def _doubt(self, rows: Sequence[Entry], sure: bool, ledger: Ledger, until: float) -> None:
        """Ask for the privileges again where something has left the list: one that was taken away looks the same."""
        listed = frozenset(str(row.get("id")) for row in rows)
        if self._listed - listed and not sure:
            # Not known until it is answered: nothing may count as gone on the word of an hour ago.
            self._rights, self._rights_at = Rights(None), float("-inf")
            calls = {"rights": partial(self._api.get, "access/permissions")}
            self._learn(gather(calls, until, tick=self._tick), ledger)
        self._listed = listed

    def _learn(self, answers: Mapping[str, Any], ledger: Ledger) -> None:
        rights, version = answers.get("rights"), answers.get("version")
        if isinstance(rights, ProxmoxError):
            ledger.note("rights", "", of_error(rights))
        elif rights is not None:
            self._rights, self._rights_at, self._rights_wall = Rights(rights), self._tick(), self._now()
        if self._rights.none:
            reason = (
                "The API token may see nothing; give its user a role (PVEAuditor on / is enough for most), "
                "and with separated privileges the token too."
            )
            ledger.note("rights", "", Line("forbidden", self._now(), privilege="VM.Audit", reason=reason))
        elif self._rights.known:
            ledger.note("rights", "", Line("ok", self._rights_wall))
        if isinstance(version, Mapping):
            self._release = str(version.get("version") or "")

    def _nodes(self, report: Report, until: float) -> set[int]:
        """Ask the nodes for their status and tasks; return the guests that tasks were about."""
        calls: dict[tuple[str, str], Callable[[], Any]] = {}
        for node in sorted(report.scope.told):
            if report.scope.answers(node):
                get = self._get(node)
                calls["status", node] = partial(get, f"nodes/{node}/status")
                calls["tasks", node] = partial(get, f"nodes/{node}/tasks", **self._tasks.question(node))
        touched: set[int] = set()
        for (what, node), answer in gather(calls, until, tick=self._tick).items():
            if what == "status":
                report.node_status(node, answer)
            elif isinstance(answer, ProxmoxError):
                report.ledger.note("tasks", node, of_error(answer))
            else:
                failed, about = self._tasks.take(node, answer or [])
                report.tasks(node, failed, self._rights.missing(f"/nodes/{node}", "Sys.Audit"))
                touched |= about
        return touched

    def _configurations(self, guests: Sequence[Entry], place: Scope, until: float, touched: set[int]) -> None:
        wall, unread = self._now(), list(guests)
        if self._files is not None and self._files.node() == place.node:
            unread = self._configs.look(guests, self._files, wall)
        asked = [row for row in unread if place.answers(str(row["node"]))]
        calls = self._configs.calls(asked, self._get, self._cycle, touched)
        self._configs.take(asked, gather(calls, until, tick=self._tick), wall)

    def _slower(self, report: Report, guests: Sequence[Entry], until: float, touched: set[int]) -> None:
        place = report.scope
        wanted: list[tuple[Section, Subject]] = []
        for node in sorted(place.told):
            if place.answers(node):
                subject = Subject(node, now=self._now)
                wanted += [(section, subject) for section in (*sections.NODE, *sections.SHARED)]
        cluster = Subject("", now=self._now)
        wanted += [(sections.UNCOVERED, cluster)]
        if place.wide:
            wanted += [(section, cluster) for section in sections.CLUSTER]
            wanted += [(sections.VOTES, cluster)] if place.cluster is not None else []
        of_guests = self._guest_sections(guests, place, touched)
        now = self._tick()
        due = self._keeper.due(wanted, now) + self._keeper.due(of_guests, now)[: self._slow]
        calls = self._keeper.calls(due, self._get, self._rights, self._release, now)
        self._keeper.take(gather(calls, until, tick=self._tick), self._tick(), self._now())

    def _guest_sections(
        self, guests: Sequence[Entry], place: Scope, touched: set[int]
    ) -> list[tuple[Section, Subject]]:
        wanted: list[tuple[Section, Subject]] = []
        for row in guests:
            if not place.answers(str(row["node"])):
                continue
            subject, snapshots = self._subject(row)
            for section in (*sections.GUEST, sections.HOURS):
                if section is sections.SNAPSHOTS and snapshots is not None:
                    continue
                if section.fits(subject):
                    wanted.append((section, subject))
                    if subject.vmid in touched:
                        self._keeper.forget(section, subject.name)
        return wanted

    def _subject(self, row: Entry) -> tuple[Subject, list[Any] | None]:
        kind, vmid = str(row["type"]), int(row["vmid"])
        conf, snapshots, _ = self._configs.of(kind, vmid)
        running = row.get("status") == "running"
        return Subject(str(row["node"]), kind, vmid, running, conf or {}, self._now), snapshots

    def _tell(self, report: Report, guests: Sequence[Entry]) -> None:
        report.lists(self._rights)
        report.usage(self._keeper)
        report.nodes(self._keeper, self._release)
        report.cluster(self._keeper)
        for row in guests:
            report.guest(row, self._configs, self._keeper)

    def _forget(self, rows: Sequence[Entry] | None) -> None:
        if rows is None:
            return
        guests = {(str(row["type"]), int(row["vmid"])) for row in usage.of_type(rows, "lxc", "qemu")}
        self._configs.keep_only(guests)
        nodes = {str(row["node"]) for row in usage.of_type(rows, "node")} | {self._node, ""}
        self._keeper.keep_only({f"{kind}/{vmid}" for kind, vmid in guests} | nodes)

    def _get(self, node: str) -> Get:
        """Return how to ask for something that a node has to answer; the cluster's things have no node."""
        return partial(self._ask, node) if node else self._api.get

    def _ask(self, node: str, path: str, /, **parameters: Any) -> Any:
        now = self._tick()
        if not self._breaker.allows(node, now):
            raise ProxmoxUnreachable(f"Node {node} has not answered several times and is left alone for a while.")
        try:
            found = self._api.get(path, **parameters)
        except ProxmoxUnreachable:
            self._breaker.failed(node, now)
            raise
        except ProxmoxUnauthorized:
            raise
        except ProxmoxError:
            self._breaker.worked(node)
            raise
        self._breaker.worked(node)
        return found


def _or_none(answer: Any) -> Sequence[Entry] | None:
    return None if isinstance(answer, ProxmoxError) else answer or []
