"""Opaque tokens: who may make, see and end which, and what one is good for.

A secret is 256 random bits; it is told once, and only its hash is stored. A token works in one team. An operator's
token never does more than the person who made it may do now: their role is looked up with each use.
"""

import ipaddress
import secrets
import uuid
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import audit
from nanny_ops.control.services.keyring import digest
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import token as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.token import Token, Visible
from nanny_ops.errors import Conflict, Forbidden, NotFound, TokenExpired, TokenInvalid, ValidationFailed
from nanny_ops.protocol import token as wire
from nanny_ops.protocol.clock import from_micros, micros, stamp, stamp_micros
from nanny_ops.protocol.token import AGENT_PREFIX, OPERATOR_PREFIX, EnrollmentTokenRequest, TokenRequest

#: Kinds by the address that lists them.
FLEET, OWN = ("enrollment",), ("operator", "agent")
#: Seconds within which a further use is not noted.
NOTED = 60


def is_opaque(token: str) -> bool:
    """Tell whether this has the beginning of an opaque token."""
    return token.startswith((AGENT_PREFIX, OPERATOR_PREFIX))


def add_enrollment(tx: Tx, person: Person, asked: EnrollmentTokenRequest, now: datetime) -> tuple[Token, str]:
    """Make a token for machines that enrol by themselves; return it and its secret.

    Raises Forbidden, ValidationFailed.
    """
    team_id = asked.team_id or person.team_for("operator", "enrol")
    person.require(team_id, "operator", "enrol")
    ranges = [_network(text) for text in asked.ranges]
    values = {"ranges": ranges, "tags": _tags(asked.tags), "max_uses": asked.max_uses}
    return _add(tx, "enrollment", person, asked, team_id, now, **values)


def add(tx: Tx, person: Person, asked: TokenRequest, now: datetime) -> tuple[Token, str]:
    """Make a token for a person's automation or for one agent; return it and its secret.

    Raises Forbidden, NotFound, Conflict, ValidationFailed.
    """
    if asked.kind == "agent":
        return _add_for_agent(tx, person, asked, now)
    if person.scopes is not None:  # else one could outlive its own expiry, or widen itself
        raise Forbidden("A token cannot make another operator's token; sign in for that.")
    if not asked.scopes:
        raise ValidationFailed("scopes: give at least one of read, patch, enrol and admin.", field="scopes")
    if asked.agent_id:
        raise ValidationFailed("agent_id: an operator's token is for no agent; say kind 'agent'.", field="agent_id")
    team_id = asked.team_id or person.team_for("viewer")
    person.require(team_id, "viewer")
    return _add(tx, "operator", person, asked, team_id, now, scopes=sorted(set(asked.scopes)))


def visible(person: Person, kinds: tuple[str, ...]) -> Visible:
    """Return which tokens the person may see: their own, machines' where they are operator, all where admin."""
    machines = person.teams_as("operator")
    return Visible(kinds, machines, person.id, list(person.teams), person.teams_as("admin"))


def revoke(tx: Tx, person: Person, token_id: str, kinds: tuple[str, ...], now: datetime) -> Token:
    """End a token; a second time changes nothing. Raises NotFound, Forbidden."""
    seen = visible(person, kinds)
    found = store.get(tx, token_id, seen)
    if found is None:
        raise NotFound(f"There is no token '{token_id}'.")
    person.allow("admin" if found.kind == "operator" and found.id != person.token_id else "enrol")
    if found.revoked_at is None:
        store.change(tx, found.id, revoked_at=micros(now))
        audit.note(tx, "token.revoke", found.id, now, found.team_id, kind=found.kind, name=found.name)
    return store.get(tx, token_id, seen) or found


def give_back(tx: Tx, token_id: str, now: datetime) -> None:
    """End the token with which somebody signs out."""
    store.change(tx, token_id, revoked_at=micros(now))
    audit.note(tx, "logout", token_id, now)


def presented(tx: Tx, secret: str, now: datetime) -> Token:
    """Return the token with this secret. Raises TokenInvalid for unknown and revoked ones, TokenExpired."""
    found = store.by_hash(tx, digest(secret))
    if found is None:
        raise TokenInvalid
    if found.revoked_at is not None:
        raise TokenInvalid("This token was revoked.")
    if found.expires_at <= micros(now):
        raise TokenExpired("This token has expired; make a new one.")
    return found


def spend(tx: Tx, token: Token, now: datetime) -> None:
    """Count one enrolment. Raises Forbidden where the token is used up."""
    if not store.spend(tx, token.id, micros(now)):
        raise Forbidden("This enrolment token is used up; make a new one.")


def allowed(tx: Tx, secret: str, peer: str, now: datetime) -> Token:
    """Return an enrolment token that may be used from this address, used up or not.

    Raises TokenInvalid, TokenExpired, Forbidden.
    """
    found = presented(tx, secret, now)
    if found.kind != "enrollment":
        raise TokenInvalid("This token enrols nobody.")
    if found.ranges and not _lies_in(peer, found.ranges):
        raise Forbidden("This enrolment token may not be used from this address.")
    return found


def condition(token: Token, now: datetime) -> wire.Condition:
    """Tell in a word whether a token can be used."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at <= micros(now):
        return "expired"
    return "used_up" if token.max_uses is not None and token.uses >= token.max_uses else "usable"


def rendered(token: Token, now: datetime) -> wire.Token:
    """Return a token as people see it."""
    known = {name: value for name, value in vars(token).items() if name != "hash"}
    instants: dict[str, Any] = {
        "created_at": stamp(from_micros(token.created_at)),
        "expires_at": stamp(from_micros(token.expires_at)),
        "revoked_at": stamp_micros(token.revoked_at),
        "last_used_at": stamp_micros(token.last_used_at),
    }
    return wire.Token(**{**known, **instants, "condition": condition(token, now)})


def issued(made: tuple[Token, str], now: datetime) -> wire.TokenIssued:
    """Return a new token with its secret, for the one time that it is shown."""
    token, secret = made
    return wire.TokenIssued(**asdict(rendered(token, now)), token=secret)


def _add_for_agent(tx: Tx, person: Person, asked: TokenRequest, now: datetime) -> tuple[Token, str]:
    if asked.scopes:
        raise ValidationFailed("scopes: an agent's token has none.", field="scopes")
    agent = agents.get(tx, asked.agent_id, person.teams)
    if agent is None:
        raise NotFound(f"There is no agent '{asked.agent_id}'.")
    person.require(agent.team_id, "operator", "enrol")
    if agent.status == "revoked":
        raise Conflict("This agent was revoked; enrol it again.")
    return _add(tx, "agent", person, asked, agent.team_id, now, agent_id=agent.id)


def _add(
    tx: Tx,
    kind: wire.Kind,
    person: Person,
    asked: EnrollmentTokenRequest | TokenRequest,
    team_id: str,
    now: datetime,
    **values: Any,
) -> tuple[Token, str]:
    named = {"name": _printable("name", asked.name), "created_by": person.id, "team_id": team_id}
    return issue(tx, kind, now, now + timedelta(seconds=asked.expires_in), **named, **values)


def issue(tx: Tx, kind: wire.Kind, now: datetime, expires: datetime, **values: Any) -> tuple[Token, str]:
    """Make a token whatever somebody may do, and return it with its secret; values are fields of :class:`Token`."""
    secret = (OPERATOR_PREFIX if kind == "operator" else AGENT_PREFIX) + secrets.token_urlsafe(32)
    token = Token(
        id=f"token-{uuid.uuid4()}",
        kind=kind,
        hash=digest(secret),
        created_at=micros(now),
        expires_at=micros(expires),
        **values,
    )
    store.add(tx, token)
    audit.note(tx, "token.add", token.id, now, token.team_id, kind=kind, name=token.name, scopes=token.scopes)
    return token, secret


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValidationFailed(f"ranges: '{text}' is no network such as 192.0.2.0/24.", field="ranges") from None


def _lies_in(peer: str, ranges: list[str]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ipaddress.ip_network(text) for text in ranges)


def _tags(tags: list[str]) -> list[str]:
    return sorted({_printable("tags", tag) for tag in tags})


def _printable(field: str, text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise ValidationFailed(f"{field}: use printable characters.", field=field)
    return text
