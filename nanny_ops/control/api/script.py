"""Scripts: what an agent downloads and verifies, and what operators add."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Query, Response

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsAnyone, AsPerson, Control
from nanny_ops.control.services import script as service
from nanny_ops.control.services import signature
from nanny_ops.control.store import script as store
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.patch import ScriptDigest, ScriptUpload, ScriptVersion

router = APIRouter(prefix="/api", tags=["scripts"])
EXAMPLES: dict[str, Any] = {
    "a script": {"value": {"name": "list-only", "content": "#!/bin/sh\necho '[]'\n", "description": "Does nothing."}}
}
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "No such script"}}
BYTES: dict[int | str, dict[str, Any]] = {
    **MISSING,
    200: {"content": {"text/x-shellscript": {"schema": {"type": "string"}}}, "description": "The script's bytes"},
}


@dataclass(frozen=True, kw_only=True)
class Upload(ScriptUpload):
    """A script to add; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.get("/patches/{script_id}/script", response_class=Response, responses=BYTES)
async def download(script_id: str, who: AsAnyone, control: Control) -> Response:
    """Hand out a script byte by byte as it was added."""
    script = await control.database.write(lambda tx: service.fetched(tx, script_id, who, control.clock()))
    headers = {"X-Content-Type-Options": "nosniff", "ETag": f'"{script.sha256}"'}
    return Response(script.content, media_type="text/x-shellscript", headers=headers)


@router.get("/patches/{script_id}/sha256", responses=MISSING)
async def digest(script_id: str, who: AsAnyone, control: Control) -> ScriptDigest:
    """Tell what the script must hash to, in lower-case hex."""
    script = await control.database.read(lambda tx: service.named(tx, script_id, who.teams))
    return ScriptDigest(sha256=script.sha256)


@router.post(
    "/scripts",
    status_code=201,
    responses={
        200: {"description": "The same script was added before", "model": ScriptVersion},
        403: {"description": "The role does not allow it"},
    },
)
async def add(
    body: Annotated[Upload, Body(openapi_examples=EXAMPLES)], person: AsPerson, control: Control, response: Response
) -> ScriptVersion:
    """Add a script; its id names this version for ever. Needs the role operator."""

    def step(tx: Tx) -> tuple[store.Script, bool]:
        script, new = service.add(tx, person, body, control.clock())
        if new:
            signature.sign(tx, control.signer, script, control.clock())
        return script, new

    script, new = await control.database.write(step)
    response.status_code = 201 if new else 200
    return service.rendered(script)


@router.get("/scripts")
async def show(
    person: AsPerson,
    control: Control,
    paging: Paging,
    name: Annotated[str, Query(max_length=255, description="Only versions of this name")] = "",
) -> Listed[ScriptVersion]:
    """List versions, newest first."""
    found, total = await control.database.read(
        lambda tx: store.page(tx, person.teams, paging.limit, paging.offset, name)
    )
    return paging.of([service.rendered(script) for script in found], total)


@router.get("/scripts/{script_id}", responses=MISSING)
async def get(script_id: str, person: AsPerson, control: Control) -> ScriptVersion:
    """Show one version."""
    return service.rendered(await control.database.read(lambda tx: service.named(tx, script_id, person.teams)))
