"""The dialect of the agents that were in the field before the guide: translated here, decided by the same services.

Its requests are known by their address; those on ``POST /api/agent`` are in ``api/action.py``. Its events go to agents
that enrolled or reported in this dialect.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from pydantic_core import from_json

from nanny_ops.control.api import result
from nanny_ops.control.api.operation import told
from nanny_ops.control.api.state import AsAgent, AsAnyone, Control, outputs_of
from nanny_ops.control.services import legacy as service
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import reboot as reboots
from nanny_ops.control.services import result as results
from nanny_ops.control.services import script as scripts
from nanny_ops.control.services.capacity import bounds_of
from nanny_ops.control.services.lease import Reply
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.output import Stream
from nanny_ops.errors import Conflict, NotFound
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.package_list import parse
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.reboot import RebootAnswer, RebootFailure

router = APIRouter(tags=["older agents"])
log = structlog.get_logger()
#: Bytes at the end of an output in which the list of packages is looked for.
TAIL = 8 * 1024 * 1024
#: Parts of a result: under which name an output is kept, and how many bytes a text may have.
FILES: Mapping[str, Stream] = {"stdout_file": "stdout", "stderr_file": "stderr"}
TEXTS = {"exit_code": 16, "lxc_id": 64}
PARTS = {
    "exit_code": {"type": "string"},
    "lxc_id": {"type": "string"},
    "stdout_file": {"type": "string", "format": "binary"},
    "stderr_file": {"type": "string", "format": "binary"},
}
FORM = {"type": "object", "required": ["exit_code"], "properties": PARTS}
BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "No such thing"}}
BYTES: dict[int | str, dict[str, Any]] = {
    **UNKNOWN,
    200: {"content": {"text/x-shellscript": {"schema": {"type": "string"}}}, "description": "The script's bytes"},
    400: {"description": "The script is another one than the order's"},
    403: {"description": "Another agent's order"},
    409: {"description": "The order has ended"},
    423: {"description": "Another order has the target; this one is told again"},
}

FAILED: dict[int | str, dict[str, Any]] = {
    **UNKNOWN,
    403: {"description": "Another agent's reboot"},
    409: {"description": "It has ended"},
}
ACKNOWLEDGED: dict[int | str, dict[str, Any]] = {
    **FAILED,
    409: {"description": "It was acknowledged before, or has ended"},
    423: {"description": "Another order has the target; this one is told again"},
}


@router.get("/api/files/{collection}/{script_id}/{name}", response_class=Response, responses=BYTES)
async def download(collection: str, script_id: str, name: str, who: AsAnyone, control: Control) -> Response:
    """Hand out a script. An agent's orders carry addresses of their own here: to fetch one is to begin the order."""
    script = await control.database.read(lambda tx: scripts.named(tx, script_id, who.teams))
    if name != service.file_name(script_id):
        raise NotFound(f"There is no file '{name}'.")

    def begin(tx: Tx) -> Reply | None:
        scripts.fetched(tx, script_id, who, control.clock())
        if isinstance(who, HostAgent) and collection != service.SCRIPTS:
            return service.fetched(tx, who, collection, script, control.clock(), bounds_of(control.settings))
        return None

    if (reply := await control.database.write(begin)) is not None and not (answer := told(control, reply)).proceed:
        raise Conflict(f"The operation is {answer.status}.", status=answer.status.value)
    headers = {"X-Content-Type-Options": "nosniff", "ETag": f'"{script.sha256}"'}
    return Response(script.content, media_type="text/x-shellscript", headers=headers)


@router.get("/api/scripts/{script_id}/validate", responses=UNKNOWN)
async def validate(script_id: str, who: AsAnyone, control: Control) -> dict[str, str]:
    """Tell what a script must hash to, in lower-case hex."""
    script = await control.database.read(lambda tx: scripts.named(tx, script_id, who.teams))
    return {"id": script.id, "sha256": script.sha256, "name": script.name}


@router.post("/api/patches/{operation_id}/result", responses=result.ANSWERS, openapi_extra=BODY)
async def take_result(operation_id: str, request: Request, agent: AsAgent, control: Control) -> dict[str, str]:
    """Take a result: ``exit_code``, ``stdout_file``, ``stderr_file``. Idempotent; the first result stands."""
    operation = await control.database.read(lambda tx: results.expected(tx, agent, operation_id))
    incoming = await asyncio.to_thread(outputs_of(control).receive, operation.id)
    try:
        form = result.Form(request.headers.get("content-type", ""), incoming, FILES, TEXTS)
        await result.receive(request, form, control.settings.result_cap_bytes)
        listed = packages(await asyncio.to_thread(incoming.tail, "stdout", TAIL))
        metadata = service.result(operation.id, form.text("exit_code").decode("ascii", "replace").strip(), listed)
        if service.never_began(operation):
            log.info("result of an order that was not begun", operation=operation.id, status=operation.status)
        else:
            await result.keep(control, agent, operation, incoming, metadata, listed=listed is not None)
    finally:
        await asyncio.to_thread(incoming.discard)
    return {"status": "updated"}


@router.post("/api/reboot/{reboot_id}/acknowledge", responses=ACKNOWLEDGED)
async def acknowledge_reboot(reboot_id: str, agent: AsAgent, control: Control) -> RebootAnswer:
    """Let an agent begin the reboot it was told of; only the first acknowledgement is good."""
    reply = await control.database.write(lambda tx: reboots.acknowledge(tx, agent, reboot_id, control.clock()))
    answer = told(control, reply)
    if not answer.proceed:
        raise Conflict(f"The reboot is {answer.status}.", status=answer.status.value)
    return RebootAnswer(success=True, message="reboot acknowledged")


@router.post("/api/reboot/{reboot_id}/fail", responses=FAILED)
async def fail_reboot(reboot_id: str, body: RebootFailure, agent: AsAgent, control: Control) -> RebootAnswer:
    """Take an agent's word that it could not reboot the target."""
    failed = await control.database.write(lambda tx: reboots.fail(tx, agent, reboot_id, body.error, control.clock()))
    operations.tell_end(control.counts, failed)
    return RebootAnswer(success=True, message="failure noted")


def is_legacy(who: object) -> bool:
    """Tell whether an agent speaks this dialect."""
    return isinstance(who, HostAgent) and who.dialect == NANNYAGENT


def greeting(client_id: str) -> bytes:
    """Write the first event of a stream."""
    return f'id:{client_id}\nevent:PB_CONNECT\ndata:{{"clientId":"{client_id}"}}\n\n'.encode()


def frame(client_id: str, payload: dict[str, Any]) -> bytes | None:
    """Write an event, named as its channel; None for an order that this dialect cannot express."""
    record = service.record(payload["record"])
    if record is None:
        return None
    data = json.dumps({"record": record, "action": payload["action"]}, separators=(",", ":"))
    # These agents drop every line with this word in it, wherever it stands; escaped it means the same.
    data = data.replace("clientId", "client\\u0049d")
    return f"id:{client_id}\nevent:{record['collectionName']}\ndata:{data}\n\n".encode()


def is_unbegun(payload: dict[str, Any]) -> bool:
    """Tell whether an order may be told again to an agent that begins it each time it is told."""
    return bool(payload["record"]["status"] == "pending")


def guided(raw: bytes, names: Mapping[str, str]) -> bytes:
    """Return a report with the guide's names of fields in the place of this dialect's."""
    if not any(f'"{name}"'.encode() in raw for name in names):
        return raw
    try:
        whole = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return raw
    if not isinstance(whole, dict):
        return raw
    return json.dumps({**{names[key]: whole[key] for key in names if key in whole}, **whole}).encode()


def packages(stdout: bytes) -> list[PackageChange] | None:
    """Return the packages that an output lists, None where it holds no list of them."""
    try:
        return parse(stdout)
    except ValueError:
        return None
