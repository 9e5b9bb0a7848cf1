"""The device flow: an agent shows a code, a person decides, the agent gets its tokens. Or a token decides beforehand.

Words and order of the answers are RFC 8628's. A code is decided once, used once, and what registers must be what was
shown to the person.
"""

import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import audit, duplicate
from nanny_ops.control.services import token as tokens
from nanny_ops.control.services.keyring import Keyring, digest
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.services.signature import offered
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import enrollment as store
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import (
    AccessDenied,
    AgentRevoked,
    AuthorizationPending,
    Conflict,
    ExpiredToken,
    InvalidGrant,
    NotFound,
    SlowDown,
)
from nanny_ops.protocol.clock import from_micros, micros, stamp
from nanny_ops.protocol.enrollment import (
    DEVICE_CODE_LIFETIME,
    POLL_INTERVAL,
    USER_CODE_ALPHABET,
    USER_CODE_LENGTH,
    AgentIdentity,
    DeviceAuthStart,
    DeviceAuthStarted,
    Refresh,
    Register,
    RegisterWithToken,
    TokenAnswer,
)

#: Seconds added to the interval each time an agent polls too fast (RFC 8628, section 3.5).
PENALTY = 5
#: Days of silence after which a refresh token no longer works.
REFRESH_DAYS = 90
#: What a person saw and what registers must agree in these, where both say something.
COMPARED = ("hostname", "all_ips")


@dataclass(frozen=True)
class Outcome:
    """An answer, and changes that must be kept although the answer may be a refusal."""

    answer: TokenAnswer | None = None
    refusal: Exception | None = None


def start(tx: Tx, request: DeviceAuthStart, peer: str, public_url: str, now: datetime) -> DeviceAuthStarted:
    """Begin an attempt and return both codes."""
    device_code, user_code = str(uuid.uuid4()), _free_user_code(tx)
    claims = {"hostname": request.hostname, "all_ips": list(request.all_ips), "name": request.name}
    expires = micros(now + timedelta(seconds=DEVICE_CODE_LIFETIME))
    store.add_code(
        tx,
        store.DeviceCode(
            digest(device_code), user_code, "pending", claims, peer, POLL_INTERVAL, None, micros(now), expires
        ),
    )
    page = f"{public_url}/device"
    return DeviceAuthStarted(
        device_code=device_code,
        user_code=user_code,
        verification_uri=page,
        expires_in=DEVICE_CODE_LIFETIME,
        verification_uri_complete=f"{page}?user_code={user_code}",
    )


def describe(tx: Tx, user_code: str, now: datetime) -> dict[str, Any]:
    """Return what an undecided code claims to be, for the person who is about to decide. Raises NotFound."""
    code = _undecided(tx, user_code, now)
    return {
        "user_code": code.user_code,
        "claimed": code.claims,
        "peer": code.peer,
        "requested_at": from_micros(code.created_at).isoformat().replace("+00:00", "Z"),
        "expires_in": (code.expires_at - micros(now)) // 1_000_000,
    }


def decide(tx: Tx, person: Person, user_code: str, *, allow: bool, now: datetime) -> None:
    """Allow or deny an attempt, once. Raises NotFound, Conflict or Forbidden."""
    team_id = person.team_for("operator", "enrol")
    code = _undecided(tx, user_code, now)
    store.change_code(
        tx,
        code.device_hash,
        status="approved" if allow else "denied",
        decided_by=person.id,
        decided_at=micros(now),
        team_id=team_id,
    )
    claimed = str(code.claims.get("hostname", ""))
    audit.note(tx, "allow" if allow else "deny", code.user_code, now, team_id, hostname=claimed, peer=code.peer)


def register(tx: Tx, request: Register, peer: str, keyring: Keyring, now: datetime) -> Outcome:
    """Answer a poll: tokens once a person has allowed it, else a refusal in RFC 8628's words."""
    code = store.code_by_device(tx, digest(request.device_code))
    if code is None:
        return Outcome(refusal=InvalidGrant("This device code is unknown."))
    refusal = _refusal(code, now)
    if code.status == "pending" and not isinstance(refusal, ExpiredToken):
        return Outcome(refusal=_polled(tx, code, request, peer, now))
    if refusal is not None:
        return Outcome(refusal=refusal)
    if (strange := _differs(code, request)) is not None:
        store.change_code(tx, code.device_hash, status="denied")
        return Outcome(refusal=AccessDenied(f"{strange} differs from what was approved; start again."))
    hostname = request.hostname or code.claims.get("hostname", "")
    agent = _enrol(tx, request, now, team_id=code.team_id or "", hostname=hostname, enrolled_by=code.decided_by)
    store.change_code(tx, code.device_hash, status="used", agent_id=agent.id)
    return Outcome(_tokens(tx, keyring, _family(tx, agent, now), now))


def register_with_token(
    tx: Tx, request: RegisterWithToken, secret: str, peer: str, keyring: Keyring, now: datetime
) -> TokenAnswer:
    """Enrol an agent by an enrolment token; the same attempt repeated gets the same agent and costs no second use.

    Raises TokenInvalid, TokenExpired, AgentRevoked, and Forbidden where the token is used up or out of its range.
    """
    token = tokens.allowed(tx, secret, peer, now)
    attempt = digest(f"{token.id}|{request.attempt!a}") if request.attempt else None
    agent = agents.by_attempt(tx, attempt) if attempt else None
    if agent is None:
        tokens.spend(tx, token, now)
        values = {"tags": token.tags, "attempt": attempt, "enrolled_by": token.id}
        agent = _enrol(tx, request, now, team_id=token.team_id, hostname=request.hostname, **values)
    elif agent.status == "revoked":
        raise AgentRevoked
    else:  # only the last answer counts: who repeats has not kept an earlier one
        store.revoke_families(tx, agent.id, micros(now))
    return _tokens(tx, keyring, _family(tx, agent, now), now)


def refresh(tx: Tx, request: Refresh, keyring: Keyring, now: datetime) -> Outcome:
    """Trade a refresh token for the next pair.

    The token before the newest one gets the same answer again, since the reply may have been lost; anything older is a
    copy in foreign hands and ends the family (RFC 9700, section 4.14).
    """
    claims = keyring.read_refresh(request.refresh_token)
    family = store.family(tx, claims.family)
    if family is None or not keyring.is_genuine(request.refresh_token, claims, family.salt):
        return Outcome(refusal=InvalidGrant("This refresh token is unknown."))
    agent = agents.find(tx, family.agent_id)
    if agent is None or agent.status == "revoked":
        return Outcome(refusal=AgentRevoked())
    if family.revoked_at is not None:
        return Outcome(refusal=InvalidGrant("This refresh token was used twice; enrol the agent again."))
    if _is_stale(family, now):
        return Outcome(refusal=InvalidGrant("This refresh token has not been used for too long; enrol again."))
    if claims.generation < family.generation - 1:
        store.change_family(tx, family.id, revoked_at=micros(now))
        duplicate.flag(tx, agent.id, duplicate.COPIED, now)
        audit.note(tx, "refresh.reused", agent.id, now, agent.team_id, hostname=agent.hostname)
        return Outcome(refusal=InvalidGrant("This refresh token was used before; enrol the agent again."))
    newest = max(family.generation, claims.generation + 1)
    store.change_family(tx, family.id, generation=newest, used_at=micros(now))
    return Outcome(_tokens(tx, keyring, replace(family, generation=newest), now))


def identity(tx: Tx, agent: HostAgent, expires: float) -> AgentIdentity:
    """Return for whom a token speaks; ``expires`` in seconds since the epoch."""
    until = stamp(from_micros(round(expires * 1_000_000)))
    return AgentIdentity(agent_id=agent.id, expires_at=until, signing_keys=offered(tx, agent.team_id))


def _undecided(tx: Tx, user_code: str, now: datetime) -> store.DeviceCode:
    code = store.code_by_user(tx, "".join(sign for sign in user_code.upper() if sign.isalnum()))
    if code is None or code.expires_at <= micros(now):
        raise NotFound("No agent is waiting with this code; codes live ten minutes.")
    if code.status != "pending":
        raise Conflict("This code has already been decided; start again on the machine.")
    return code


def _refusal(code: store.DeviceCode, now: datetime) -> Exception | None:
    if code.status == "used":
        return InvalidGrant("This device code was already used.")
    if code.status == "denied":
        return AccessDenied()
    if code.expires_at <= micros(now):
        return ExpiredToken()
    return None


def _polled(tx: Tx, code: store.DeviceCode, request: Register, peer: str, now: datetime) -> Exception:
    early = code.polled_at is not None and micros(now) - code.polled_at < code.poll_interval * 900_000  # 10 % jitter
    # The person sees what the machine itself says, also when it said nothing at the start.
    said = {name: getattr(request, name) for name in (*COMPARED, "platform", "version") if getattr(request, name)}
    store.change_code(
        tx,
        code.device_hash,
        polled_at=micros(now),
        poll_interval=code.poll_interval + (PENALTY if early else 0),
        claims={**said, **{name: value for name, value in code.claims.items() if value}},
        peer=peer,
    )
    return SlowDown() if early else AuthorizationPending()


def _differs(code: store.DeviceCode, request: Register) -> str | None:
    for name in COMPARED:
        shown, said = code.claims.get(name), getattr(request, name)
        if shown and said and shown != said and sorted(shown) != sorted(said):
            return name
    return None


def _enrol(tx: Tx, request: Register | RegisterWithToken, now: datetime, **values: Any) -> agents.Agent:
    agent = agents.Agent(
        id=f"agent-{uuid.uuid4()}",
        platform=request.platform,
        platform_family=request.platform_family,
        version=request.version,
        primary_ip=request.primary_ip,
        kernel_version=request.kernel_version,
        os_type=request.os_type,
        all_ips=list(request.all_ips),
        status="active",
        created_at=micros(now),
        **values,
    )
    agents.add(tx, agent)
    audit.note(tx, "enrol", agent.id, now, agent.team_id, hostname=agent.hostname, allowed_by=agent.enrolled_by)
    return agent


def _family(tx: Tx, agent: agents.Agent, now: datetime) -> store.RefreshFamily:
    family = store.RefreshFamily(uuid.uuid4().hex, agent.id, agent.team_id, 1, secrets.token_hex(16), micros(now))
    store.add_family(tx, family)
    return family


def _tokens(tx: Tx, keyring: Keyring, family: store.RefreshFamily, now: datetime) -> TokenAnswer:
    return TokenAnswer(
        access_token=keyring.access_token(family.agent_id, "agent", now),
        refresh_token=keyring.refresh_token(family.id, family.generation, family.salt),
        agent_id=family.agent_id,
        signing_keys=offered(tx, family.team_id),
    )


def _is_stale(family: store.RefreshFamily, now: datetime) -> bool:
    return from_micros(family.used_at or family.created_at) + timedelta(days=REFRESH_DAYS) <= now


def _free_user_code(tx: Tx) -> str:
    while True:
        code = "".join(secrets.choice(USER_CODE_ALPHABET) for _ in range(USER_CODE_LENGTH))
        if store.code_by_user(tx, code) is None:
            return code
