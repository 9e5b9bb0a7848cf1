"""What is noted, by whom, and who may read it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import agent as agent_service
from nanny_ops.control.services import audit as service
from nanny_ops.control.services import enrollment, investigation, patch, script
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import token as tokens
from nanny_ops.control.services import user as people
from nanny_ops.control.services.keyring import Claims, Keyring
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.services.session import as_person
from nanny_ops.control.store import audit as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.audit import Filter
from nanny_ops.control.store.caller import Caller
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Forbidden, LoginFailed
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.enrollment import DeviceAuthStart, Refresh, Register, RegisterWithToken
from nanny_ops.protocol.investigation import InvestigationRequest
from nanny_ops.protocol.patch import PatchRequest, ScriptUpload
from nanny_ops.protocol.token import EnrollmentTokenRequest

RING = Keyring(b"k" * 32)
PASSWORD = "correct horse battery staple"
ADMIN = Person("user-1", "a@example.com", "a", True, {teams.DEFAULT: "admin"})


def noted(database: Database) -> list[tuple[str, str]]:
    return [(row.action, row.object) for row in rows(database)]


def rows(database: Database) -> list[store.Row]:
    return database.read_now(lambda tx: store.after(tx, Filter(teams=None), 0))


def operator(database: Database, now: datetime) -> Person:
    return database.write_now(lambda tx: as_person(tx, people.add(tx, "op@example.com", "operator", "x", now)))


def enrolled(database: Database, who: Person, now: datetime) -> str:
    asked = EnrollmentTokenRequest(name="rack 4")
    _, secret = database.write_now(lambda tx: tokens.add_enrollment(tx, who, asked, now))
    claim = RegisterWithToken(hostname="pve1", platform="debian")
    answer = database.write_now(lambda tx: enrollment.register_with_token(tx, claim, secret, "192.0.2.1", RING, now))
    assert secret not in repr(rows(database))
    assert answer.refresh_token not in repr(rows(database))
    return answer.agent_id


def test_the_life_of_an_agent(database: Database, now: datetime) -> None:
    who = operator(database, now)
    agent_id = enrolled(database, who, now)
    token_id = rows(database)[1].object
    database.write_now(lambda tx: tokens.revoke(tx, who, token_id, tokens.FLEET, now))
    database.write_now(lambda tx: tokens.revoke(tx, who, token_id, tokens.FLEET, now))
    database.write_now(lambda tx: agent_service.revoke(tx, who, agent_id, now))
    database.write_now(lambda tx: agent_service.revoke(tx, who, agent_id, now))
    assert noted(database) == [
        ("user.add", who.id),
        ("token.add", token_id),
        ("enrol", agent_id),
        ("token.revoke", token_id),
        ("revoke", agent_id),
    ]
    assert service.rendered(rows(database)[2]).detail == {"hostname": "pve1", "allowed_by": token_id}


@pytest.mark.parametrize("allow", [True, False])
def test_a_persons_decision(database: Database, now: datetime, allow: bool) -> None:
    who = operator(database, now)
    asked = DeviceAuthStart(hostname="pve1")
    code = database.write_now(lambda tx: enrollment.start(tx, asked, "192.0.2.1", "https://ops.example.com", now))
    database.write_now(lambda tx: enrollment.decide(tx, who, code.user_code, allow=allow, now=now))
    claim = Register(device_code=code.device_code, hostname="pve1")
    database.write_now(lambda tx: enrollment.register(tx, claim, "192.0.2.1", RING, now))
    decided = rows(database)[1]
    assert (decided.action, decided.object) == ("allow" if allow else "deny", code.user_code)
    assert service.rendered(decided).detail == {"hostname": "pve1", "peer": "192.0.2.1"}
    assert [action for action, _ in noted(database)[2:]] == (["enrol"] if allow else [])
    assert code.device_code not in repr(rows(database))


def test_the_life_of_an_order(database: Database, now: datetime) -> None:
    who = operator(database, now)
    agent_id = enrolled(database, who, now)
    upload = ScriptUpload(name="own", content="#!/bin/sh\necho '[]'\n")
    own, _ = database.write_now(lambda tx: script.add(tx, who, upload, now))
    database.write_now(lambda tx: script.add(tx, who, upload, now))
    asked = PatchRequest(agent_id=agent_id, mode="dry-run", script_id=own.id, script_args="--password hunter2")
    one, _ = database.write_now(lambda tx: patch.place(tx, who, asked, "key", now))
    database.write_now(lambda tx: patch.place(tx, who, asked, "key", now))
    database.write_now(lambda tx: script.fetched(tx, own.id, HostAgent(agent_id, teams.DEFAULT, "pve1"), now))
    database.write_now(lambda tx: patch.withdraw(tx, who, one.id, now))
    database.write_now(lambda tx: patch.withdraw(tx, who, one.id, now))
    two, _ = database.write_now(lambda tx: patch.place(tx, who, asked, "", now))
    late = now + timedelta(days=2)
    database.write_now(lambda tx: operations.sweep(tx, late))
    assert noted(database)[3:] == [
        ("script.add", own.id),
        ("patch.create", one.id),
        ("script.download", own.id),
        ("patch.end", one.id),
        ("patch.cancel", one.id),
        ("patch.create", two.id),
        ("patch.end", two.id),
    ]
    ended = service.rendered(rows(database)[-1])
    assert (ended.detail["status"], ended.detail["outcome"], ended.detail["agent"]) == ("expired", "expired", agent_id)
    assert "hunter2" not in repr(rows(database))


def test_a_copy_of_a_refresh_token(database: Database, now: datetime) -> None:
    who = operator(database, now)
    asked = EnrollmentTokenRequest(name="rack 4")
    _, secret = database.write_now(lambda tx: tokens.add_enrollment(tx, who, asked, now))
    claim = RegisterWithToken(hostname="pve1")
    first = database.write_now(lambda tx: enrollment.register_with_token(tx, claim, secret, "192.0.2.1", RING, now))
    newest = first.refresh_token
    for _ in range(2):
        again = Refresh(refresh_token=newest)
        answer = database.write_now(lambda tx, again=again: enrollment.refresh(tx, again, RING, now)).answer
        assert answer is not None
        newest = answer.refresh_token
    stale = Refresh(refresh_token=first.refresh_token)
    assert database.write_now(lambda tx: enrollment.refresh(tx, stale, RING, now)).refusal is not None
    assert noted(database)[-1] == ("refresh.reused", first.agent_id)


def test_investigations_too(database: Database, now: datetime) -> None:
    who = operator(database, now)
    asked = InvestigationRequest(agent_id=enrolled(database, who, now), issue="why is it slow at night", priority="low")
    made = database.write_now(lambda tx: investigation.create(tx, who, asked, now))
    assert noted(database)[-1] == ("investigation.create", made.id)


async def test_signing_in_and_out(database: Database, now: datetime) -> None:
    hashed = people.hash_password(PASSWORD)
    user = await database.write(lambda tx: people.add(tx, "op@example.com", "operator", hashed, now))
    await people.authenticate(database, "op@example.com", PASSWORD, now)
    for email, password in (("op@example.com", "wrong"), ("typed-my-pass-phrase", PASSWORD)):
        with pytest.raises(LoginFailed):
            await people.authenticate(database, email, password, now)
    claims = Claims(user.id, "user", "jti", int(now.timestamp()) + 60)
    await database.write(lambda tx: people.sign_out(tx, claims, now))
    assert noted(database)[1:] == [
        ("login", user.id),
        ("login_failed", user.id),
        ("login_failed", ""),
        ("logout", user.id),
    ]
    assert PASSWORD not in repr(rows(database))
    assert "typed-my-pass-phrase" not in repr(rows(database))


def test_reading_on_is_noted_once_in_a_while(database: Database, now: datetime) -> None:
    reader = Caller("person", "user-1")
    database.write_now(lambda tx: (setattr(tx, "caller", reader), service.note(tx, "log.read", "op-1", now)))

    def is_fresh(minutes: int, who: Any = ADMIN, thing: str = "op-1") -> bool:
        later = now + timedelta(minutes=minutes)
        return database.read_now(lambda tx: service.is_fresh(tx, who, "log.read", thing, later))

    assert is_fresh(9)
    assert not is_fresh(10)
    assert not is_fresh(1, thing="op-2")
    assert not is_fresh(1, who=Person("user-2", "", "", False, {}))


def test_admins_read_what_is_theirs(database: Database, now: datetime) -> None:
    database.write_now(lambda tx: service.note(tx, "revoke", "agent-1", now, "team-1"))
    database.write_now(lambda tx: service.note(tx, "revoke", "agent-2", now, "team-2"))
    database.write_now(lambda tx: service.note(tx, "login", "user-1", now))

    def seen(who: Person) -> list[str]:
        return [row.object for row in database.read_now(lambda tx: store.page(tx, service.wanted(who), 50, 0))[0]]

    assert seen(ADMIN) == ["user-1", "agent-2", "agent-1"]
    assert seen(Person("u", "", "", False, {"team-1": "admin", "team-2": "operator"})) == ["agent-1"]
    with pytest.raises(Forbidden):
        service.wanted(Person("u", "", "", False, {"team-1": "operator"}))


async def test_every_entry_is_exported_in_order(database: Database, now: datetime) -> None:
    for number in range(3):
        await database.write(lambda tx, number=number: service.note(tx, "revoke", f"a{number}", now))
    text = "".join([piece async for piece in service.lines(database, Filter(teams=None))])
    assert [line.count(f'"object": "a{number}"') for number, line in enumerate(text.splitlines())] == [1, 1, 1]
    assert f'"at": {micros(now)}' in text


def test_callers_are_named_by_what_they_are() -> None:
    assert service.caller(ADMIN, "192.0.2.1", "r") == Caller("person", "user-1", "a@example.com", "", "192.0.2.1", "r")
    agent = HostAgent("agent-1", "t", "pve1", token_id="token-1")
    assert service.caller(agent, "p", "r") == Caller("agent", "agent-1", "pve1", "token-1", "p", "r")
    assert service.caller(None, "p", "r") == Caller("nobody", "", "", "", "p", "r")
