"""Tokens straight in the database, for the first automation of a new control plane."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nanny_ops.cli.local_user import LocalUsers
from nanny_ops.control.services import session
from nanny_ops.control.services import token as service
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import NotFound, ValidationFailed
from nanny_ops.protocol.clock import now
from nanny_ops.protocol.token import TokenRequest


def add(email: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make an operator's token that acts for a person and return it with its secret.

    Raises NotFound, ValidationFailed, Forbidden.
    """
    if asked.get("agent_id"):
        raise ValidationFailed("A token for an agent is made by somebody who is signed in; leave --as away.")
    with LocalUsers() as opened:
        return opened.within(lambda tx: _add(tx, email, TokenRequest(**asked)))


def _add(tx: Tx, email: str, asked: TokenRequest) -> dict[str, Any]:
    user = users.by_email(tx, email)
    if user is None or user.disabled:
        raise NotFound(f"There is no account for {email} that may sign in.")
    at = now()
    return asdict(service.issued(service.add(tx, session.as_person(tx, user), asked, at), at))
