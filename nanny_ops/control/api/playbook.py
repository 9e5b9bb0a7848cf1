"""The catalogue of playbooks, for people."""

import asyncio
from typing import Any

from fastapi import APIRouter

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsPerson, Control, State
from nanny_ops.control.playbooks.catalogue import Entry, must_be_there
from nanny_ops.errors import NotFound
from nanny_ops.protocol.playbook import Playbook

router = APIRouter(prefix="/api/playbooks", tags=["playbooks"])
ABSENT: dict[int | str, dict[str, Any]] = {
    503: {"description": "Ansible is not installed; the message says what to do"}
}
MISSING: dict[int | str, dict[str, Any]] = {**ABSENT, 404: {"description": "No such playbook"}}


@router.get("", responses=ABSENT)
async def show(person: AsPerson, control: Control, paging: Paging) -> Listed[Playbook]:
    """List playbooks by name: those that ship, and the site's own; ``trouble`` says why one cannot be run."""
    del person
    found = [entry.playbook for entry in await asyncio.to_thread(_entries, control)]
    return paging.of(found[paging.offset : paging.offset + paging.limit], len(found))


@router.get("/{name}", responses=MISSING)
async def get(name: str, person: AsPerson, control: Control) -> Playbook:
    """Show one playbook with the variables that it takes."""
    del person
    for entry in await asyncio.to_thread(_entries, control):
        if entry.playbook.name == name:
            return entry.playbook
    raise NotFound(f"There is no playbook '{name[:64]}'.")


def _entries(control: State) -> list[Entry]:
    must_be_there()
    return control.catalogue.entries()
