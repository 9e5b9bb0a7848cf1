"""Opaque tokens: who may make and end which, what one is good for, and that it is kept as a hash only."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import agent as agent_service
from nanny_ops.control.services import enrollment
from nanny_ops.control.services import token as service
from nanny_ops.control.services import user as people
from nanny_ops.control.services.keyring import Keyring, digest
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.services.session import Sessions, as_person
from nanny_ops.control.services.token import FLEET, OWN
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import token as store
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.tables import teams as team_table
from nanny_ops.errors import (
    AgentRevoked,
    Conflict,
    Forbidden,
    NotFound,
    TokenExpired,
    TokenInvalid,
    ValidationFailed,
)
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.enrollment import RegisterWithToken, TokenAnswer
from nanny_ops.protocol.token import EnrollmentTokenRequest, TokenIssued, TokenRequest

RING = Keyring(b"k" * 32)
PEER = "192.0.2.9"


def person(database: Database, now: datetime, role: str = "operator", email: str = "") -> Person:
    name = email or f"{role}@example.com"
    return database.write_now(lambda tx: as_person(tx, people.add(tx, name, role, "x", now)))


def fleet(database: Database, who: Person, now: datetime, **asked: Any) -> TokenIssued:
    request = EnrollmentTokenRequest(**{"name": "rack 4", **asked})
    return service.issued(database.write_now(lambda tx: service.add_enrollment(tx, who, request, now)), now)


def own(database: Database, who: Person, now: datetime, **asked: Any) -> TokenIssued:
    request = TokenRequest(**{"name": "nightly", **asked})
    return service.issued(database.write_now(lambda tx: service.add(tx, who, request, now)), now)


def enrol(database: Database, secret: str, now: datetime, *, peer: str = PEER, **said: Any) -> TokenAnswer:
    request = RegisterWithToken(**{"hostname": "pve1", **said})
    return database.write_now(lambda tx: enrollment.register_with_token(tx, request, secret, peer, RING, now))


def seen(database: Database, who: Person, kinds: tuple[str, ...]) -> list[str]:
    visible = service.visible(who, kinds)
    return [token.id for token in database.read_now(lambda tx: store.page(tx, visible, 50, 0))[0]]


def test_tokens_are_asked_for_by_their_name(database: Database, now: datetime) -> None:
    who = person(database, now)
    visible = service.visible(who, service.OWN)
    made = [own(database, who, now, name=name, scopes=["read"]).id for name in ("a", "b")]
    found, total = database.read_now(lambda tx: store.page(tx, visible, 50, 0, "b"))
    assert ([one.id for one in found], total) == (made[1:], 1)


def other_team(tx: Tx) -> None:
    tx.connection.execute(team_table.insert().values(id="team-2", name="two", created_at=0))


def test_a_machine_enrols_without_a_person_and_gets_team_and_tags(database: Database, now: datetime) -> None:
    made = fleet(database, person(database, now), now, tags=["rack4", "night "])
    answer = enrol(database, made.token, now, platform="debian")
    agent = database.read_now(lambda tx: agents.find(tx, answer.agent_id))
    assert agent is not None
    assert (agent.team_id, agent.tags, agent.enrolled_by) == (teams.DEFAULT, ["night", "rack4"], made.id)
    assert agent_service.rendered(agent, now).tags == ["night", "rack4"]
    assert RING.read_refresh(answer.refresh_token).generation == 1


def test_uses_are_counted_and_a_lost_answer_costs_none(database: Database, now: datetime) -> None:
    made = fleet(database, person(database, now), now, max_uses=2)
    first = enrol(database, made.token, now, attempt="a")
    again = enrol(database, made.token, now, attempt="a")
    assert first.agent_id == again.agent_id
    assert first.refresh_token != again.refresh_token
    assert enrol(database, made.token, now, attempt="b").agent_id != first.agent_id
    with pytest.raises(Forbidden, match="used up"):
        enrol(database, made.token, now, attempt="\ud800\0")
    assert enrol(database, made.token, now, attempt="b")
    kept = database.read_now(lambda tx: store.by_hash(tx, digest(made.token)))
    assert kept is not None
    shown = service.rendered(kept, now)
    assert (shown.uses, shown.condition, shown.last_used_at) == (2, "used_up", "2026-01-31T02:00:00.000Z")


def test_a_revoked_machine_does_not_come_back_by_its_old_attempt(database: Database, now: datetime) -> None:
    who = person(database, now)
    made = fleet(database, who, now, max_uses=5)
    answer = enrol(database, made.token, now, attempt="a")
    database.write_now(lambda tx: agent_service.revoke(tx, who, answer.agent_id, now))
    with pytest.raises(AgentRevoked):
        enrol(database, made.token, now, attempt="a")


@pytest.mark.parametrize(
    ("peer", "inside"),
    [
        ("192.0.2.200", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::5", True),
        ("192.0.3.1", False),
        ("2001:db9::5", False),
        ("unknown", False),
    ],
)
def test_a_range_is_kept_to(database: Database, now: datetime, peer: str, inside: bool) -> None:
    made = fleet(database, person(database, now), now, ranges=["192.0.2.77/24", "2001:db8::/32"])
    assert made.ranges == ["192.0.2.0/24", "2001:db8::/32"]
    if inside:
        assert enrol(database, made.token, now, peer=peer).agent_id
    else:
        with pytest.raises(Forbidden, match="address"):
            enrol(database, made.token, now, peer=peer)


def test_expired_revoked_and_unknown_tokens_are_told_apart(database: Database, now: datetime) -> None:
    who = person(database, now)
    made = fleet(database, who, now, expires_in=60)
    with pytest.raises(TokenExpired):
        enrol(database, made.token, now + timedelta(seconds=60))
    ended = database.write_now(lambda tx: service.revoke(tx, who, made.id, FLEET, now))
    again = database.write_now(lambda tx: service.revoke(tx, who, made.id, FLEET, now + timedelta(hours=1)))
    assert ended.revoked_at == again.revoked_at == micros(now)
    with pytest.raises(TokenInvalid, match="revoked"):
        enrol(database, made.token, now)
    with pytest.raises(TokenInvalid):
        enrol(database, "nsk_guessed", now)


async def test_an_enrolment_token_opens_nothing_else(database: Database, now: datetime) -> None:
    made = fleet(database, person(database, now), now)
    with pytest.raises(TokenInvalid, match="nothing else"):
        await Sessions(RING, database).resolve(made.token, now)


async def test_an_operators_token_is_its_owner_in_one_team_within_its_scopes(database: Database, now: datetime) -> None:
    database.write_now(other_team)
    owner = person(database, now, "admin")
    made = own(database, owner, now, scopes=["patch", "read", "read"], team_id="team-2")
    who, claims = await Sessions(RING, database).resolve(made.token, now)
    assert isinstance(who, Person)
    assert (who.id, who.is_admin, who.roles, who.token_id) == (owner.id, False, {"team-2": "admin"}, made.id)
    assert (claims.jti, claims.audience) == (made.id, "user")
    who.require("team-2", "operator", "patch")
    who.allow_method("GET")
    with pytest.raises(Forbidden, match="enrol"):
        who.require("team-2", "operator", "enrol")
    with pytest.raises(Forbidden, match="role"):
        who.require(teams.DEFAULT, "viewer", "read")


async def test_it_dies_with_its_owners_rights(database: Database, now: datetime) -> None:
    owner = person(database, now)
    made = own(database, owner, now, scopes=["read"])
    database.write_now(lambda tx: users.change(tx, owner.id, disabled=True))
    with pytest.raises(Forbidden, match="disabled"):
        await Sessions(RING, database).resolve(made.token, now)


async def test_its_last_use_is_noted_once_a_minute(database: Database, now: datetime) -> None:
    made = own(database, person(database, now), now, scopes=["read"])
    sessions = Sessions(RING, database)

    async def noted(seconds: int) -> int | None:
        await sessions.resolve(made.token, now + timedelta(seconds=seconds))
        kept = await database.read(lambda tx: store.by_hash(tx, digest(made.token)))
        return None if kept is None else kept.last_used_at

    first = await noted(0)
    assert first == micros(now)
    assert await noted(59) == first
    assert await noted(65) == first + 65_000_000


async def test_a_revoked_token_is_refused_at_once_where_it_was_remembered(database: Database, now: datetime) -> None:
    owner = person(database, now)
    made, sessions = own(database, owner, now, scopes=["read"]), Sessions(RING, database)
    await sessions.resolve(made.token, now)
    await database.write(lambda tx: service.revoke(tx, owner, made.id, OWN, now))
    sessions.forget(made.id)
    with pytest.raises(TokenInvalid):
        await sessions.resolve(made.token, now)


async def test_an_agents_token_speaks_for_that_agent_while_it_is_trusted(database: Database, now: datetime) -> None:
    who = person(database, now)
    agent_id = enrol(database, fleet(database, who, now).token, now).agent_id
    made = own(database, who, now, kind="agent", agent_id=agent_id)
    sessions = Sessions(RING, database)
    assert made.token.startswith("nsk_")
    principal, claims = await sessions.resolve(made.token, now)
    assert principal == HostAgent(agent_id, teams.DEFAULT, "pve1", token_id=made.id)
    assert claims.audience == "agent"
    with pytest.raises(TokenInvalid, match="enrols nobody"):
        enrol(database, made.token, now)
    await database.write(lambda tx: agent_service.revoke(tx, who, agent_id, now))
    sessions.forget(agent_id)
    with pytest.raises(AgentRevoked):
        await sessions.resolve(made.token, now)
    with pytest.raises(Conflict):
        own(database, who, now, kind="agent", agent_id=agent_id)


def test_who_sees_and_ends_which(database: Database, now: datetime) -> None:
    ann, bob = person(database, now), person(database, now, email="bob@example.com")
    viewer, admin = person(database, now, "viewer"), person(database, now, "admin")
    rack = fleet(database, ann, now)
    mine = own(database, ann, now, scopes=["read"])
    looks = own(database, viewer, now, scopes=["read"])
    assert seen(database, bob, FLEET) == [rack.id]
    assert seen(database, viewer, FLEET) == []
    assert seen(database, ann, OWN) == [mine.id]
    assert seen(database, bob, OWN) == []
    assert seen(database, viewer, OWN) == [looks.id]
    assert set(seen(database, admin, OWN)) == {mine.id, looks.id}
    with pytest.raises(NotFound):
        database.write_now(lambda tx: service.revoke(tx, bob, mine.id, OWN, now))
    with pytest.raises(NotFound):  # not by the other address either
        database.write_now(lambda tx: service.revoke(tx, ann, rack.id, OWN, now))
    assert database.write_now(lambda tx: service.revoke(tx, admin, mine.id, OWN, now)).revoked_at == micros(now)


def test_another_teams_tokens_do_not_exist(database: Database, now: datetime) -> None:
    database.write_now(other_team)
    rack = fleet(database, person(database, now), now)
    stranger = Person("user-9", "s@example.com", "s", False, {"team-2": "admin"})
    assert seen(database, stranger, FLEET) == []
    with pytest.raises(NotFound):
        database.write_now(lambda tx: service.revoke(tx, stranger, rack.id, FLEET, now))
    with pytest.raises(Forbidden):
        fleet(database, stranger, now, team_id=teams.DEFAULT)
    with pytest.raises(Forbidden):
        own(database, stranger, now, scopes=["read"], team_id=teams.DEFAULT)


async def test_a_token_makes_no_second_one_that_could_outlive_it(database: Database, now: datetime) -> None:
    made = own(database, person(database, now), now, scopes=["admin"])
    who, _ = await Sessions(RING, database).resolve(made.token, now)
    assert isinstance(who, Person)
    with pytest.raises(Forbidden, match="sign in"):
        own(database, who, now, scopes=["read"])
    assert fleet(database, who, now).uses == 0


@pytest.mark.parametrize(
    "asked", [{"scopes": []}, {"scopes": ["read"], "agent_id": "agent-1"}, {"name": "\x1b[2J", "scopes": ["read"]}]
)
def test_what_makes_no_sense_is_refused(database: Database, now: datetime, asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed):
        own(database, person(database, now), now, **asked)


def test_a_range_that_is_none_is_refused(database: Database, now: datetime) -> None:
    with pytest.raises(ValidationFailed, match="ranges"):
        fleet(database, person(database, now), now, ranges=["everywhere"])


def test_the_secret_is_stored_nowhere(database: Database, now: datetime) -> None:
    made = fleet(database, person(database, now), now)
    kept = database.read_now(lambda tx: store.by_hash(tx, digest(made.token)))
    assert kept is not None
    assert made.token not in repr(kept)
    assert made.token not in repr(made)
    assert kept.hash == digest(made.token)
