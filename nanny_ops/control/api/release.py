"""Releases of the agent: added whole, handed out from any byte on."""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Body, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.signature import REFUSED, SIGNED, Signed
from nanny_ops.control.api.state import AsAnyone, AsPerson, Control, State
from nanny_ops.control.services import release as service
from nanny_ops.control.services.principal import Principal
from nanny_ops.control.store import release as store
from nanny_ops.errors import BadRequest, TooLarge, Unavailable
from nanny_ops.protocol.release import ARCHIVE_CAP, Release
from nanny_ops.protocol.signature import ScriptSignatures

router = APIRouter(prefix="/api/releases", tags=["releases"])
#: Seconds that one upload may take.
PATIENCE = 1800
RANGE = re.compile(r"bytes=(\d{1,12})-")
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "No such release"}}
BYTES: dict[int | str, dict[str, Any]] = {
    400: {"description": "For agents: the range is too long"},
    **MISSING,
    200: {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}, "description": "All"},
    206: {"description": "The rest from the byte asked for"},
    416: {"description": "The range begins behind the end"},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
ADDED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The same archive was added before", "model": Release},
    403: {"description": "The role does not allow it"},
    413: {"description": "Larger than an archive may be"},
    422: {"description": "This is no release of the agent"},
}


@router.post("", status_code=201, responses=ADDED, openapi_extra=BODY)
async def add(request: Request, person: AsPerson, control: Control, response: Response) -> Release:
    """Add a release: the body is the archive. It is signed with the control plane's key. Needs the role operator."""
    person.team_for("operator", "patch")
    with tempfile.TemporaryFile(dir=control.settings.data_dir) as file:
        sha256, size = await _receive(request, file)
        version = await asyncio.to_thread(_version, file)
        now, signer = control.clock(), control.signer
        release, new = await control.database.write(
            lambda tx: service.add(tx, person, signer, version, sha256, size, _pieces(file), now)
        )
    response.status_code = 201 if new else 200
    return service.rendered(release)


@router.get("")
async def show(person: AsPerson, control: Control, paging: Paging) -> Listed[Release]:
    """List releases, newest first."""
    found, total = await control.database.read(lambda tx: store.page(tx, person.teams, paging.limit, paging.offset))
    return paging.of([service.rendered(release) for release in found], total)


@router.get("/{release_id}", responses=MISSING)
async def get(release_id: str, person: AsPerson, control: Control) -> Release:
    """Show one release."""
    return service.rendered(await control.database.read(lambda tx: service.named(tx, release_id, person.teams)))


@router.get("/{release_id}/archive", response_class=Response, responses=BYTES)
async def archive(
    release_id: str,
    who: AsAnyone,
    control: Control,
    range: Annotated[str | None, Header(max_length=128)] = None,  # noqa: A002
) -> Response:
    """Hand out the archive; a download that broke off goes on from the byte that a Range names."""
    release = await control.database.read(lambda tx: service.named(tx, release_id, who.teams))
    headers = {"ETag": f'"{release.sha256}"', "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    wanted = RANGE.fullmatch(range) if range else None
    begin = int(wanted.group(1)) if wanted else 0
    if begin and begin >= release.size:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{release.size}"})
    headers["Content-Length"] = str(release.size - begin)
    if wanted:
        headers["Content-Range"] = f"bytes {begin}-{release.size - 1}/{release.size}"
    body = _from(control, who, release, begin)
    return StreamingResponse(body, 206 if wanted else 200, headers, media_type="application/x-tar")


@router.get("/{release_id}/signature", responses=MISSING)
async def signature(release_id: str, who: AsAnyone, control: Control) -> ScriptSignatures:
    """Tell who signed the release: the control plane's own signature, then all of them."""
    own = control.signer.key_id
    return await control.database.read(lambda tx: service.signed_by(tx, release_id, who.teams, own))


@router.post(
    "/{release_id}/signatures",
    status_code=201,
    responses={**REFUSED, 200: {"description": "It was there already", "model": ScriptSignatures}},
)
async def sign(
    release_id: str,
    body: Annotated[Signed, Body(openapi_examples=SIGNED)],
    person: AsPerson,
    control: Control,
    response: Response,
) -> ScriptSignatures:
    """Keep a signature that was made elsewhere, by a key that was entered before. Needs the role operator."""
    new = await control.database.write(lambda tx: service.accept(tx, person, release_id, body, control.clock()))
    response.status_code = 201 if new else 200
    return await signature(release_id, person, control)


async def _receive(request: Request, file: BinaryIO) -> tuple[str, int]:
    checksum, size = hashlib.sha256(), 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                size += len(chunk)
                if size > ARCHIVE_CAP:
                    raise TooLarge(f"An archive may have {ARCHIVE_CAP} bytes.", limit=ARCHIVE_CAP)
                checksum.update(chunk)
                await asyncio.to_thread(file.write, chunk)
    except ClientDisconnect:
        raise BadRequest("The upload was cut before its end.") from None
    except TimeoutError:
        raise Unavailable(f"The upload took longer than {PATIENCE} seconds.") from None
    except OSError as wrong:
        raise Unavailable(f"The archive cannot be stored: {wrong.strerror}.") from wrong
    return checksum.hexdigest(), size


def _version(file: BinaryIO) -> str:
    file.seek(0)
    return service.version_of(file)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(store.PIECE):
        yield piece


async def _from(control: State, who: Principal, release: store.Release, begin: int) -> AsyncIterator[bytes]:
    position, skip = divmod(begin, store.PIECE)
    for number in range(position, -(-release.size // store.PIECE)):
        piece = await control.database.read(_reader(release.id, number, who))
        yield piece[skip:]
        skip = 0


def _reader(release_id: str, number: int, who: Principal) -> Any:
    return lambda tx: store.piece(tx, release_id, number, who.teams)
