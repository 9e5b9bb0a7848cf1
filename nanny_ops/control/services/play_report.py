"""Reports of plays that ran anywhere: taken once, told as an event, shown to the team."""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime

from nanny_ops.control.services import change, request_key
from nanny_ops.control.services.change import Change, Place
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import play_report as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.play_report import Report
from nanny_ops.errors import NotFound, ValidationFailed
from nanny_ops.protocol.clock import from_micros, micros, parse_stamp, stamp
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.play_report import (
    MOST_LETTERS,
    PlayHost,
    PlayOutcome,
    PlayReport,
    PlayReportDetail,
    PlayReportRequest,
    PlayTask,
)
from nanny_ops.protocol.redaction import masked

#: Reports of a team that are kept at most, however young.
MOST = 10_000


def take(tx: Tx, person: Person, said: PlayReportRequest, key: str, now: datetime) -> tuple[Report, bool]:
    """Take a report; return it, and whether it is a new one. The same ``key`` gives the same report for a day.

    What looks like a secret in messages and diffs becomes stars. Raises NotFound, Forbidden, Conflict and
    ValidationFailed.
    """
    team_id = _team(person, said.team_id)
    asked = request_key.read(person, key, said)
    if asked.name and (earlier := store.by_request_key(tx, asked.name, request_key.since(now))) is not None:
        asked.demand_same(earlier.request_digest)
        return earlier, False
    began, ended = (_instant(name, getattr(said, name)) for name in ("started_at", "ended_at"))
    if ended < began:
        raise ValidationFailed("ended_at: must not lie before started_at.", field="ended_at")
    _demand_short(said.tasks)
    came_to = Counter(_outcome(one) for one in said.hosts.values())
    report = Report(
        id=f"play-{uuid.uuid4()}",
        team_id=team_id,
        playbook=plain(said.playbook),
        checking=said.check,
        outcome=_worst(came_to).value,
        hosts=len(said.hosts),
        changed=came_to[PlayOutcome.CHANGED],
        failed=came_to[PlayOutcome.FAILED],
        unreachable=came_to[PlayOutcome.UNREACHABLE],
        left_out=said.left_out,
        ansible_version=plain(said.ansible_version),
        created_by=person.id,
        created_at=micros(now),
        started_at=micros(began),
        ended_at=micros(ended),
        request_key=asked.name,
        request_digest=asked.digest,
        body={
            "recap": {plain(host): asdict(one) for host, one in said.hosts.items()},
            "tasks": [asdict(_cleaned(one)) for one in said.tasks],
        },
    )
    store.add(tx, report)
    _tell(tx, report, now)
    return report, True


def visible(tx: Tx, person: Person, key: str) -> Report:
    """Return a report of one of the person's teams, with its body. Raises NotFound."""
    found = store.get(tx, key, person.teams)
    if found is None:
        raise NotFound(f"There is no report of a play '{key[:64]}'.")
    return found


def rendered(report: Report) -> PlayReport:
    """Return a report as lists show it."""
    return PlayReport(
        id=report.id,
        playbook=report.playbook,
        check=report.checking,
        outcome=PlayOutcome(report.outcome),
        hosts=report.hosts,
        changed=report.changed,
        failed=report.failed,
        unreachable=report.unreachable,
        left_out=report.left_out,
        ansible_version=report.ansible_version,
        created_by=report.created_by,
        created_at=stamp(from_micros(report.created_at)),
        started_at=stamp(from_micros(report.started_at)),
        ended_at=stamp(from_micros(report.ended_at)),
    )


def detail(person: Person, report: Report) -> PlayReportDetail:
    """Return a report with its hosts and tasks; diffs, which may be whole files, to operators alone."""
    tasks = [PlayTask(**one) for one in report.body["tasks"]]
    if report.team_id not in person.teams_as("operator"):
        tasks = [replace(one, diff="") for one in tasks]
    recap = {host: PlayHost(**one) for host, one in report.body["recap"].items()}
    return PlayReportDetail(**vars(rendered(report)), recap=recap, tasks=tasks)


def _team(person: Person, team_id: str) -> str:
    if not team_id:
        return person.team_for("operator", "patch")
    if team_id not in person.teams:
        raise NotFound(f"There is no team '{team_id[:64]}'.")
    person.require(team_id, "operator", "patch")
    return team_id


def _instant(name: str, text: str) -> datetime:
    try:
        return parse_stamp(text)
    except ValidationFailed as wrong:
        raise ValidationFailed(f"{name}: {wrong.message}", field=name) from None


def _demand_short(tasks: Iterable[PlayTask]) -> None:
    letters = sum(len(one.message) + len(one.diff) for one in tasks)
    if letters > MOST_LETTERS:
        raise ValidationFailed(
            f"tasks: their messages and diffs have {letters} letters, {MOST_LETTERS} is the most. Shorten or leave out "
            "diffs, and count tasks that are left out in left_out.",
            field="tasks",
        )


def _outcome(host: PlayHost) -> PlayOutcome:
    if host.unreachable:
        return PlayOutcome.UNREACHABLE
    if host.failures:
        return PlayOutcome.FAILED
    return PlayOutcome.CHANGED if host.changed else PlayOutcome.OK


def _worst(outcomes: Iterable[PlayOutcome]) -> PlayOutcome:
    there = set(outcomes)
    return next((one for one in PlayOutcome if one in there), PlayOutcome.OK)


def _cleaned(task: PlayTask) -> PlayTask:
    return replace(
        task,
        host=plain(task.host),
        play=plain(task.play),
        task=plain(task.task),
        action=plain(task.action),
        message="" if task.hidden else _masked(task.message),
        diff="" if task.hidden else _masked(task.diff),
    )


def _masked(text: str) -> str:
    hidden = masked(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    return "\n".join(plain(line.replace("\t", " ")) for line in hidden.split("\n"))


def _tell(tx: Tx, report: Report, now: datetime) -> None:
    names = ("outcome", "hosts", "changed", "failed", "unreachable")
    counted = {"check": report.checking, **{name: getattr(report, name) for name in names}}
    told = Change("play.ended", f"play-report/{report.id}"[:64], report.id, report.playbook, "", counted)
    change.tell(tx, Place(report.team_id, "", None, ""), [told], micros(now))
