"""Signatures of scripts, and the public keys behind them."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Response

from nanny_ops.control.api.state import AsAnyone, AsPerson, Control
from nanny_ops.control.services import signature as service
from nanny_ops.protocol.signature import (
    Endorsement,
    ScriptSignature,
    ScriptSignatures,
    SigningKeyEntry,
    SigningKeyUpload,
)

router = APIRouter(prefix="/api", tags=["signatures"])
NAME = "9f2feb0f1ef425b292f2f94bc8482494"
TEXT = "A" * 86 + "=="
SIGNED: dict[str, Any] = {"a signature": {"value": {"key_id": NAME, "signature": TEXT}}}
KEYS: dict[str, Any] = {"a key": {"value": {"public_key": "A" * 43 + "=", "name": "the safe in the cellar"}}}
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "No such script or key, or nobody has signed it"}}
REFUSED: dict[int | str, dict[str, Any]] = {
    **MISSING,
    403: {"description": "The role does not allow it"},
    409: {"description": "The key is retired, in use, or one too many"},
}


@dataclass(frozen=True, kw_only=True)
class Signed(ScriptSignature):
    """A signature to keep; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class KeyUpload(SigningKeyUpload):
    """A key to enter; a misspelt field is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@router.get("/patches/{script_id}/signature", responses=MISSING)
async def show(script_id: str, who: AsAnyone, control: Control) -> ScriptSignatures:
    """Tell who signed the script: the control plane's own signature, then all of them."""
    own = control.signer.key_id
    return await control.database.read(lambda tx: service.of_script(tx, script_id, who.teams, own))


@router.post(
    "/scripts/{script_id}/signatures",
    status_code=201,
    responses={**REFUSED, 200: {"description": "It was there already", "model": ScriptSignatures}},
)
async def sign(
    script_id: str,
    body: Annotated[Signed, Body(openapi_examples=SIGNED)],
    person: AsPerson,
    control: Control,
    response: Response,
) -> ScriptSignatures:
    """Keep a signature that was made elsewhere, by a key that was entered before. Needs the role operator."""
    new = await control.database.write(lambda tx: service.accept(tx, person, script_id, body, control.clock()))
    response.status_code = 201 if new else 200
    return await show(script_id, person, control)


@router.get("/signing-keys")
async def keys(person: AsPerson, control: Control) -> list[SigningKeyEntry]:
    """List the keys that may sign, oldest first, retired ones too."""
    return await control.database.read(lambda tx: service.listed(tx, person))


@router.post(
    "/signing-keys",
    status_code=201,
    responses={**REFUSED, 200: {"description": "It was there already", "model": SigningKeyEntry}},
)
async def add_key(
    body: Annotated[KeyUpload, Body(openapi_examples=KEYS)], person: AsPerson, control: Control, response: Response
) -> SigningKeyEntry:
    """Enter the public half of a key that is kept elsewhere. Needs the role admin."""
    key, new = await control.database.write(lambda tx: service.add_key(tx, person, body, control.clock()))
    response.status_code = 201 if new else 200
    return service.rendered(key, [])


@router.post("/signing-keys/{key_id}/endorsements", responses=REFUSED)
async def endorse(
    key_id: str, body: Annotated[Endorsement, Body(openapi_examples=SIGNED)], person: AsPerson, control: Control
) -> SigningKeyEntry:
    """Keep the word of one key for another, so that agents which trust the first accept the second."""
    key = await control.database.write(lambda tx: service.endorse(tx, person, key_id, body, control.clock()))
    return service.rendered(key, [body.key_id])


@router.post("/signing-keys/{key_id}/retire", responses=REFUSED)
async def retire(key_id: str, person: AsPerson, control: Control) -> SigningKeyEntry:
    """End the trust in a key for ever. Needs the role admin."""
    own = control.signer.key_id
    key = await control.database.write(lambda tx: service.retire(tx, person, key_id, own, control.clock()))
    return service.rendered(key, [])
