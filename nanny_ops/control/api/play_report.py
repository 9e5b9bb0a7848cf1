"""Reports of plays: taken from the callback plugin, listed, shown."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Header, Query, Response

from nanny_ops.control.api.order import KEY_LENGTH
from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control
from nanny_ops.control.services import play_report as service
from nanny_ops.control.store import play_report as store
from nanny_ops.protocol.play_report import PlayOutcome, PlayReport, PlayReportDetail, PlayReportRequest

router = APIRouter(prefix="/api/play-reports", tags=["playbooks"])
EXAMPLES: dict[str, Any] = {
    "drift of one host": {
        "value": {
            "playbook": "site.yml",
            "check": True,
            "started_at": "2026-01-31T02:00:00Z",
            "ended_at": "2026-01-31T02:00:41Z",
            "hosts": {"pve1": {"ok": 12, "changed": 1, "seconds": 38.2}},
            "tasks": [{"host": "pve1", "task": "Configure chrony", "state": "changed", "seconds": 1.3}],
        }
    }
}
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "No such report in your teams"}}
TAKEN: dict[int | str, dict[str, Any]] = {
    200: {"description": "The report that the same Idempotency-Key made before", "model": PlayReport},
    403: {"description": "The role does not allow it"},
    404: {"description": "No such team"},
    409: {"description": "The key was used for another report"},
    422: {"description": "A wrong time, or messages and diffs that are too long together"},
}


@dataclass(frozen=True, kw_only=True)
class Told(PlayReportRequest):
    """What a play came to; a field that is not known here is left out, as a newer plugin may tell more."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "ignore"}


@router.post("", status_code=201, responses=TAKEN)
async def take(
    body: Annotated[Told, Body(openapi_examples=EXAMPLES)],
    person: AsPerson,
    control: Control,
    response: Response,
    idempotency_key: Annotated[str, Header(max_length=KEY_LENGTH)] = "",
) -> PlayReport:
    """Report a play that has ended; needs the role operator, and of a token the scope patch."""
    report, new = await control.database.write(
        lambda tx: service.take(tx, person, body, idempotency_key, control.clock())
    )
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/api/play-reports/{report.id}"
    return service.rendered(report)


@router.get("")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    playbook: Annotated[str | None, Query(max_length=255)] = None,
    outcome: PlayOutcome | None = None,
    check: Annotated[bool | None, Query(description="Only checks, or only plays that changed things")] = None,
) -> Listed[PlayReport]:
    """List reports, newest first, without hosts and tasks; filters must all hold."""
    asked = {"playbook": playbook, "outcome": outcome and outcome.value, "checking": check}
    given = {name: value for name, value in asked.items() if value is not None}
    found, total = await control.database.read(
        lambda tx: store.page(tx, person.teams, paging.limit, paging.offset, **given)
    )
    return paging.of([service.rendered(one) for one in found], total)


@router.get("/{report_id}", responses=MISSING)
async def get(report_id: str, person: AsPerson, control: Control) -> PlayReportDetail:
    """Show one report with the recap of each host and the tasks that changed or failed."""
    return service.detail(person, await control.database.read(lambda tx: service.visible(tx, person, report_id)))
