"""From token to principal, and that changed rights count at once."""

from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import user as people
from nanny_ops.control.services.keyring import Keyring
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.services.session import TRUSTED, Sessions
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Database
from nanny_ops.errors import AgentRevoked, Forbidden, TokenExpired, TokenInvalid
from nanny_ops.protocol.clock import micros, now

RING = Keyring(b"k" * 32)


async def agent_token(database: Database) -> str:
    row = agents.Agent("agent-1", teams.DEFAULT, "pve1", "", "", "", "", "", "linux", [], "active", micros(now()))
    await database.write(lambda tx: agents.add(tx, row))
    return RING.access_token("agent-1", "agent", now())


@pytest.mark.rows("G0-AU-09")
async def test_a_revoked_agent_is_refused_at_once(database: Database) -> None:
    token, sessions = await agent_token(database), Sessions(RING, database)
    assert (await sessions.resolve(token, now()))[0] == HostAgent("agent-1", teams.DEFAULT, "pve1")
    await database.write(lambda tx: agents.change(tx, "agent-1", status="revoked"))
    sessions.forget("agent-1")
    with pytest.raises(AgentRevoked):
        await sessions.resolve(token, now())


async def test_a_change_made_by_another_process_counts_within_seconds(database: Database) -> None:
    token, sessions = await agent_token(database), Sessions(RING, database)
    await sessions.resolve(token, now())
    await database.write(lambda tx: agents.change(tx, "agent-1", status="revoked"))
    assert (await sessions.resolve(token, now()))[0].id == "agent-1"
    with pytest.raises(AgentRevoked):
        await sessions.resolve(token, now() + timedelta(seconds=TRUSTED + 0.1))


async def test_a_remembered_token_still_expires(database: Database) -> None:
    issued = now() - timedelta(seconds=3598)
    await agent_token(database)
    token, sessions = RING.access_token("agent-1", "agent", issued), Sessions(RING, database)
    await sessions.resolve(token, now())
    with pytest.raises(TokenExpired):
        await sessions.resolve(token, now() + timedelta(seconds=3))


async def test_people_who_signed_out_or_were_disabled_are_refused(database: Database, now: datetime) -> None:
    user = await database.write(lambda tx: people.add(tx, "op@example.com", "operator", "x", now))
    from nanny_ops.protocol.clock import now as clock

    token, sessions = RING.access_token(user.id, "user", clock()), Sessions(RING, database)
    who, claims = await sessions.resolve(token, clock())
    assert isinstance(who, Person)
    assert who.roles == {teams.DEFAULT: "operator"}
    await database.write(lambda tx: people.sign_out(tx, claims, clock()))
    sessions.forget(user.id)
    with pytest.raises(TokenInvalid, match="signing out"):
        await sessions.resolve(token, clock())
    other = RING.access_token(user.id, "user", clock())
    await database.write(lambda tx: users.change(tx, user.id, disabled=True))
    with pytest.raises(Forbidden):
        await sessions.resolve(other, clock())


async def test_a_new_password_ends_what_was_issued_before_it(database: Database) -> None:
    user = await database.write(lambda tx: people.add(tx, "a@example.com", "viewer", "x", now()))
    issued = now()
    token, sessions = RING.access_token(user.id, "user", issued), Sessions(RING, database)
    await database.write(lambda tx: users.change(tx, user.id, sessions_since=micros(issued)))
    assert (await sessions.resolve(token, now()))[0].id == user.id
    await database.write(lambda tx: users.change(tx, user.id, sessions_since=micros(issued) + 1))
    sessions.forget(user.id)
    with pytest.raises(TokenInvalid, match="password"):
        await sessions.resolve(token, now())
