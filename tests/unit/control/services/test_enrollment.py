"""The device flow's decisions, step by step, on both databases."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import enrollment as service
from nanny_ops.control.services import user as people
from nanny_ops.control.services.keyring import Keyring
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.session import as_person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.errors import (
    AccessDenied,
    AgentRevoked,
    AuthorizationPending,
    Conflict,
    ExpiredToken,
    Forbidden,
    InvalidGrant,
    NotFound,
    SlowDown,
)
from nanny_ops.protocol.enrollment import USER_CODE_ALPHABET, DeviceAuthStart, DeviceAuthStarted, Refresh, Register

RING = Keyring(b"k" * 32)


def person(database: Database, role: str, now: datetime) -> Person:
    def make(tx: Tx) -> Person:
        return as_person(tx, people.add(tx, f"{role}@example.com", role, "x", now))

    return database.write_now(make)


def start(database: Database, now: datetime, **claims: Any) -> DeviceAuthStarted:
    asked = DeviceAuthStart(**claims)
    return database.write_now(lambda tx: service.start(tx, asked, "192.0.2.1", "https://ops.example.com", now))


def poll(database: Database, code: DeviceAuthStarted, now: datetime, **said: Any) -> service.Outcome:
    asked = Register(device_code=code.device_code, **said)
    return database.write_now(lambda tx: service.register(tx, asked, "192.0.2.1", RING, now))


def decide(database: Database, who: Person, code: DeviceAuthStarted, now: datetime, *, allow: bool = True) -> None:
    database.write_now(lambda tx: service.decide(tx, who, code.user_code, allow=allow, now=now))


def refresh(database: Database, token: str, now: datetime) -> service.Outcome:
    return database.write_now(lambda tx: service.refresh(tx, Refresh(refresh_token=token), RING, now))


def enrolled(database: Database, now: datetime) -> Any:
    code = start(database, now)
    decide(database, person(database, "operator", now), code, now)
    return poll(database, code, now, hostname="pve1").answer


@pytest.mark.rows("G0-AU-02")
def test_codes_have_the_promised_shape(database: Database, now: datetime) -> None:
    code = start(database, now)
    assert len(code.user_code) == 8
    assert set(code.user_code) <= set(USER_CODE_ALPHABET)
    assert code.verification_uri == "https://ops.example.com/device"
    assert code.expires_in == 600


@pytest.mark.rows("G0-AU-06")
def test_refusals_use_the_words_of_rfc_8628(database: Database, now: datetime) -> None:
    code = start(database, now)
    assert isinstance(poll(database, code, now).refusal, AuthorizationPending)
    assert isinstance(poll(database, code, now + timedelta(seconds=1)).refusal, SlowDown)
    # The interval has grown by five seconds: five are no longer enough.
    assert isinstance(poll(database, code, now + timedelta(seconds=7)).refusal, SlowDown)
    assert isinstance(poll(database, code, now + timedelta(seconds=601)).refusal, ExpiredToken)
    denied = start(database, now)
    decide(database, person(database, "operator", now), denied, now, allow=False)
    assert isinstance(poll(database, denied, now).refusal, AccessDenied)


@pytest.mark.rows("G0-AU-05")
def test_a_code_works_once(database: Database, now: datetime) -> None:
    code = start(database, now)
    decide(database, person(database, "operator", now), code, now)
    first = poll(database, code, now, hostname="pve1").answer
    assert first is not None
    assert first.agent_id.startswith("agent-")
    assert isinstance(poll(database, code, now, hostname="pve1").refusal, InvalidGrant)


@pytest.mark.rows("G0-AU-03")
def test_nobody_takes_over_a_decided_code(database: Database, now: datetime) -> None:
    code = start(database, now)
    decide(database, person(database, "operator", now), code, now)
    with pytest.raises(Conflict):
        decide(database, person(database, "admin", now), code, now)


def test_a_viewer_may_not_decide_and_an_old_code_cannot_be(database: Database, now: datetime) -> None:
    code = start(database, now)
    with pytest.raises(Forbidden):
        decide(database, person(database, "viewer", now), code, now)
    with pytest.raises(NotFound):
        decide(database, person(database, "operator", now), code, now + timedelta(seconds=601))


@pytest.mark.rows("G0-AU-04")
def test_the_person_sees_the_claims_of_the_start_or_of_the_polling_agent(database: Database, now: datetime) -> None:
    silent = start(database, now)
    poll(database, silent, now, hostname="pve7", all_ips=["192.0.2.7"])
    shown = database.read_now(lambda tx: service.describe(tx, silent.user_code.lower(), now))
    assert shown["claimed"]["hostname"] == "pve7"
    assert shown["peer"] == "192.0.2.1"


def test_what_registers_must_be_what_was_approved(database: Database, now: datetime) -> None:
    code = start(database, now, hostname="pve1")
    decide(database, person(database, "operator", now), code, now)
    assert isinstance(poll(database, code, now, hostname="evil").refusal, AccessDenied)
    assert isinstance(poll(database, code, now, hostname="pve1").refusal, AccessDenied)


@pytest.mark.rows("G0-AU-07")
def test_a_lost_refresh_answer_can_be_fetched_again(database: Database, now: datetime) -> None:
    first = enrolled(database, now)
    second = refresh(database, first.refresh_token, now).answer
    again = refresh(database, first.refresh_token, now).answer
    assert second is not None
    assert again is not None
    assert second.refresh_token == again.refresh_token != first.refresh_token


@pytest.mark.rows("G0-AU-07")
def test_a_refresh_token_that_was_overtaken_revokes_the_family(database: Database, now: datetime) -> None:
    first = enrolled(database, now)
    second = refresh(database, first.refresh_token, now).answer
    assert second is not None
    third = refresh(database, second.refresh_token, now).answer
    assert third is not None
    assert isinstance(refresh(database, first.refresh_token, now).refusal, InvalidGrant)
    assert isinstance(refresh(database, third.refresh_token, now).refusal, InvalidGrant)


def test_a_forged_refresh_token_revokes_nothing(database: Database, now: datetime) -> None:
    first = enrolled(database, now)
    forged = first.refresh_token[:-4] + "0000"
    if forged != first.refresh_token:
        assert isinstance(refresh(database, forged, now).refusal, InvalidGrant)
    assert refresh(database, first.refresh_token, now).answer is not None


def test_a_token_unused_for_ninety_days_is_dead(database: Database, now: datetime) -> None:
    first = enrolled(database, now)
    assert isinstance(refresh(database, first.refresh_token, now + timedelta(days=91)).refusal, InvalidGrant)


def test_a_revoked_agent_cannot_refresh(database: Database, now: datetime) -> None:
    first = enrolled(database, now)
    database.write_now(lambda tx: agents.change(tx, first.agent_id, status="revoked"))
    assert isinstance(refresh(database, first.refresh_token, now).refusal, AgentRevoked)
