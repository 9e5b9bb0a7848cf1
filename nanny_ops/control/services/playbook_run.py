"""Runs of playbooks: ordered by admins after a check of the same, told step by step, ended once."""

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from nanny_ops.control.playbooks import argument
from nanny_ops.control.playbooks.catalogue import Entry
from nanny_ops.control.playbooks.folder import Ending
from nanny_ops.control.services import audit, change, playbook_inventory, playbook_token
from nanny_ops.control.services.change import Change, Place
from nanny_ops.control.services.principal import Person
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import event as events
from nanny_ops.control.store import playbook_run as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.playbook_run import Run
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.clock import from_micros, micros, stamp, stamp_micros
from nanny_ops.protocol.playbook import Origin
from nanny_ops.protocol.playbook_run import (
    GOOD_RUNS,
    OPEN_RUNS,
    HostStats,
    NewHost,
    PlaybookRun,
    PlaybookRunRequest,
    RunOutcome,
    RunStatus,
)
from nanny_ops.protocol.token import Scope

#: Of a run's own events; the fleet's stream tells only that it began and ended.
TOPIC = "playbooks"
#: Runs that may wait.
MOST_WAITING = 100
#: A line of sshd(8)'s known_hosts: names or a hash of one, the kind of the key, the key.
HOST_KEY = re.compile(r"[A-Za-z0-9.,:\[\]|+/=*_-]{1,1024} [a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,2800}={0,2}")
#: Seconds between two notes that a run is followed.
FOLLOWED_EVERY = 30
#: How long after its time a run that nobody follows counts as lost.
DESERTED = timedelta(minutes=15)


def subject(run_id: str) -> str:
    """Return under which subject a run's events are logged."""
    return f"playbook:{run_id}"


def team_of(person: Person, request: PlaybookRunRequest) -> str:
    """Return the team whose hosts are meant. Raises Forbidden, NotFound."""
    if not request.team_id:
        return person.team_for("admin")
    if request.team_id not in person.teams:
        raise NotFound(f"There is no team '{request.team_id}'.")
    person.require(request.team_id, "admin")
    return request.team_id


def aim(tx: Tx, person: Person, request: PlaybookRunRequest) -> None:
    """Make sure that a limit names what is there; apart from the order, since a large fleet takes a while to read.

    Raises Forbidden, NotFound, ValidationFailed.
    """
    team_id = team_of(person, request)
    if request.new_hosts or request.host_keys:
        _may_name_hosts(tx, person)
        _are_host_keys(request.host_keys)
    if request.limit or request.new_hosts:
        playbook_inventory.build(tx, team_id).welcome(_addresses(request)).only(request.limit)


def place(
    tx: Tx, person: Person, request: PlaybookRunRequest, entry: Entry, digest: str, home: str, terms: Settings,
    now: datetime,
) -> Run:  # fmt: skip
    """Order a run. Raises Forbidden, NotFound, ValidationFailed, and Conflict where a check must come first."""
    team_id, playbook = team_of(person, request), entry.playbook
    argument.check(playbook.options, request.vars)
    if store.waiting(tx, home) >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} runs wait already; cancel some, or wait.")
    alike = _subject(playbook.name, digest, request)
    checked_by, why = None, ""
    if playbook.changes and not request.check:
        checked_by, why = _checked(tx, team_id, alike, request, now - timedelta(hours=terms.playbook_check_hours))
    run = Run(
        id=f"run-{uuid.uuid4()}",
        team_id=team_id,
        home=home,
        playbook=playbook.name,
        origin=playbook.origin,
        digest=digest,
        subject=alike,
        vars=request.vars,
        only=list(request.limit),
        added={"hosts": _addresses(request), "keys": request.host_keys},
        checking=request.check,
        checked_by=checked_by,
        unchecked_reason=why,
        timeout_seconds=request.timeout_seconds or playbook.timeout_seconds,
        created_by=person.id,
        created_at=micros(now),
    )
    store.add(tx, run)
    detail = {"playbook": run.playbook, "check": run.checking, "unchecked_reason": why, "limit": ",".join(run.only)}
    audit.note(tx, "playbook.run", run.id, now, team_id, digest=digest, **detail)
    _tell(tx, run, "playbook.ordered", now, check=run.checking)
    return run


def inventory(tx: Tx, run: Run) -> dict[str, Any]:
    """Return the inventory that a run gets. Raises ValidationFailed for a host that has gone."""
    return playbook_inventory.build(tx, run.team_id).welcome(run.added.get("hosts", {})).only(run.only)


def visible(tx: Tx, person: Person, key: str) -> Run:
    """Return a run of one of the person's teams. Raises NotFound."""
    found = store.get(tx, key, person.teams)
    if found is None:
        raise NotFound(f"There is no run '{key[:64]}'.")
    return found


def readable(tx: Tx, person: Person, key: str) -> Run:
    """Return a run whose output the person may read: operators, and who ordered it. Raises NotFound, Forbidden."""
    run = visible(tx, person, key)
    if run.created_by != person.id:
        person.require(run.team_id, "operator", "read")
    return run


def cancel(tx: Tx, person: Person, key: str, now: datetime) -> Run:
    """End a run: at once where it waits, else its keeper is asked. Idempotent. Raises NotFound, Forbidden, Conflict."""
    run = visible(tx, person, key)
    person.require(run.team_id, "admin")
    if run.status == RunStatus.CANCELLED or run.cancel_at is not None:
        return run
    if run.status not in OPEN_RUNS:
        raise Conflict(f"The run is {run.status}.")
    audit.note(tx, "playbook.cancel", run.id, now, run.team_id, playbook=run.playbook)
    store.change(tx, run.id, cancel_at=micros(now))
    if run.status == RunStatus.PENDING:
        end(tx, run.id, Ending(outcome=RunOutcome.CANCELLED, reason="It was cancelled before it began."), now)
    return visible(tx, person, key)


def begin(tx: Tx, key: str, now: datetime, scopes: Sequence[Scope] = ()) -> str | None:
    """Note that a run begins; return its token, empty without scopes, and None where it does not wait any more."""
    run = store.find(tx, key)
    if run is None or run.status != RunStatus.PENDING:
        return None
    instant = micros(now)
    store.change(tx, key, status=RunStatus.RUNNING.value, started_at=instant, followed_at=instant)
    _tell(tx, run, "playbook.started", now, check=run.checking)
    return playbook_token.issue(tx, run, scopes, now) if scopes else ""


def put_back(tx: Tx, key: str) -> None:
    """Let a run wait again that nobody has begun."""
    store.change(tx, key, status=RunStatus.PENDING.value, started_at=None, followed_at=None)


def note(tx: Tx, key: str, happenings: Sequence[dict[str, Any]], now: datetime) -> None:
    """Log what has happened in a run, in order; how much that is stands in its row, so that nothing is told twice."""
    run = store.find(tx, key)
    if run is None:
        return
    for one in happenings:
        _log(tx, run, f"playbook.{one['kind']}", one, now)
    store.change(tx, key, events=run.events + len(happenings), followed_at=micros(now))


def end(tx: Tx, key: str, ending: Ending, now: datetime) -> None:
    """Note what a run came to, once."""
    run = store.find(tx, key)
    if run is None or run.status not in OPEN_RUNS:
        return
    status = RunStatus.COMPLETED if ending.outcome in GOOD_RUNS else RunStatus.FAILED
    if ending.outcome == RunOutcome.CANCELLED:
        status = RunStatus.CANCELLED
    store.change(
        tx,
        key,
        status=status.value,
        outcome=ending.outcome.value,
        reason=ending.reason,
        hosts=ending.hosts,
        exit_code=ending.exit_code,
        left_out=ending.left_out,
        ended_at=micros(now),
    )
    playbook_token.end(tx, run, now)
    told = {"outcome": ending.outcome.value, "reason": ending.reason}
    audit.note(tx, "playbook.end", run.id, now, run.team_id, playbook=run.playbook, outcome=told["outcome"])
    _log(tx, run, "playbook.ended", {"kind": "ended", "at": stamp(now), **told}, now)
    _tell(tx, run, "playbook.ended", now, check=run.checking, **told)


def abandon(tx: Tx, home: str, now: datetime) -> None:
    """End the runs of other homes whose time is long over and that nobody follows any more."""
    before = micros(now - DESERTED)
    for run in store.deserted(tx, before):
        if run.home != home and (run.started_at or 0) + run.timeout_seconds * 1_000_000 < before:
            reason = "The control plane that carried it out has not been heard of since; see there what it came to."
            end(tx, run.id, Ending(outcome=RunOutcome.UNKNOWN, reason=reason), now)


def forget(tx: Tx, home: str, terms: Settings, now: datetime) -> list[str]:
    """Drop the runs of a home that are too old or too many; return which, so that their folders can follow."""
    before = micros(now - timedelta(days=terms.playbook_keep_days))
    ids = store.old(tx, home, before, terms.playbook_keep_runs)
    store.forget(tx, ids)
    return ids


def rendered(run: Run) -> PlaybookRun:
    """Return a run as people see it."""
    return PlaybookRun(
        id=run.id,
        playbook=run.playbook,
        origin=cast("Origin", run.origin),
        check=run.checking,
        vars=run.vars,
        limit=run.only,
        new_hosts=[NewHost(name=name, address=address) for name, address in run.added.get("hosts", {}).items()],
        timeout_seconds=run.timeout_seconds,
        status=RunStatus(run.status),
        outcome=None if run.outcome is None else RunOutcome(run.outcome),
        reason=run.reason,
        checked_by=run.checked_by or "",
        unchecked_reason=run.unchecked_reason,
        hosts={host: HostStats(**stats) for host, stats in run.hosts.items()},
        exit_code=run.exit_code,
        events=run.events,
        left_out=run.left_out,
        created_by=run.created_by,
        created_at=stamp(from_micros(run.created_at)),
        started_at=stamp_micros(run.started_at),
        ended_at=stamp_micros(run.ended_at),
        cancel_requested_at=stamp_micros(run.cancel_at),
    )


def _checked(tx: Tx, team_id: str, alike: str, request: PlaybookRunRequest, since: datetime) -> tuple[str | None, str]:
    """Return the check that allows a run, or why there is none. Raises Conflict, ValidationFailed."""
    if request.no_check_first:
        if not request.reason.strip() or "\0" in request.reason:
            raise ValidationFailed("reason: say why it is run without a check.", field="reason")
        return None, request.reason.strip()
    found = store.good_check(tx, team_id, alike, micros(since))
    if found is None:
        raise Conflict(
            "No check of this playbook with these variables and hosts has ended well lately, or its files have changed "
            "since; order it with 'check' first, or with 'no_check_first' and a reason."
        )
    return found.id, ""


def _may_name_hosts(tx: Tx, person: Person) -> None:
    """Raise Forbidden where a foreign team's host could be named, which our key may open."""
    if not person.is_admin and len(teams.every(tx)) > 1:
        raise Forbidden("new_hosts and host_keys: where there is more than one team, sign in as admin of all.")


def _are_host_keys(lines: Sequence[str]) -> None:
    for line in lines:
        if not HOST_KEY.fullmatch(line):
            raise ValidationFailed("host_keys: each is one line as ssh-keyscan prints it.", field="host_keys")


def _addresses(request: PlaybookRunRequest) -> dict[str, str]:
    found = {one.name: one.address for one in request.new_hosts}
    if len(found) < len(request.new_hosts):
        raise ValidationFailed("new_hosts: a name is there twice.", field="new_hosts")
    return found


def _subject(name: str, digest: str, request: PlaybookRunRequest) -> str:
    same: list[Any] = [name, digest, request.vars, sorted(set(request.limit))]
    if request.new_hosts or request.host_keys:
        same += [_addresses(request), sorted(set(request.host_keys))]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _log(tx: Tx, run: Run, kind: str, record: dict[str, Any], now: datetime) -> None:
    payload = {"action": "create", "record": {"run_id": run.id, **record}}
    about = subject(run.id)
    events.log(tx, team_id=run.team_id, topic=TOPIC, subject=about, kind=kind, payload=payload, at=micros(now))


def _tell(tx: Tx, run: Run, kind: str, now: datetime, **detail: Any) -> None:
    """Tell the fleet's listeners."""
    told = Change(kind, f"playbook-run/{run.id}"[:64], run.id, run.playbook, "", detail)
    change.tell(tx, Place(run.team_id, "", None, ""), [told], micros(now))
