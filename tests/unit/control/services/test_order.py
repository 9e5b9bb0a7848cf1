"""What all orders have in common: who may give them, until when they wait, and that the first end stands."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import lease
from nanny_ops.control.services import order as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.operation import Ack
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM
from tests.unit.control.services.test_hold import AGENT

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
VIEWER = replace(PERSON, roles={TEAM: "viewer"})
STRANGER = Person("user-9", "s@example.com", "s", False, {})
ASKED = {"reason": "r", "timeout_seconds": 60}


def test_who_may_order_see_and_take_back(database: Database, now: datetime) -> None:
    batch_site.build(database, now)
    agent = database.read_now(lambda tx: service.addressee(tx, PERSON, "a1"))
    for who, wrong in ((VIEWER, Forbidden), (STRANGER, NotFound)):
        with pytest.raises(wrong):
            database.read_now(lambda tx, who=who: service.addressee(tx, who, "a1"))
    with pytest.raises(Conflict, match="revoked"):
        service.demand_trust(replace(agent, status="revoked"))
    made = service.new(PERSON, agent, "reboot", "host", ASKED, now + timedelta(hours=1), now)
    database.write_now(lambda tx: rows.add(tx, made))
    with pytest.raises(NotFound, match="no update"):
        database.read_now(lambda tx: service.visible(tx, PERSON, "update", made.id))
    with pytest.raises(NotFound, match="no update"):
        database.read_now(lambda tx: service.owned(tx, AGENT, "update", made.id))
    begins = Ack(state="running", claim="c")
    database.write_now(lambda tx: lease.acknowledge(tx, AGENT, made.id, begins, now))
    with pytest.raises(Conflict, match="too late"):
        database.write_now(lambda tx: service.withdraw(tx, PERSON, "reboot", made.id, now, "too late"))
    running = database.read_now(lambda tx: service.owned(tx, AGENT, "reboot", made.id))
    ended, new = database.write_now(lambda tx: service.end(tx, running, "ok", "done", {"after": "b"}, now))
    assert (new, ended.status, ended.result) == (True, "completed", {"after": "b"})
    again = database.write_now(lambda tx: service.end(tx, ended, service.outcome_of("sulked"), "no", {}, now))
    assert again == (ended, False)


def test_an_order_lapses_within_a_month(database: Database, now: datetime) -> None:
    assert service.expiry("", now, timedelta(hours=2)) == now + timedelta(hours=2)
    assert service.expiry(stamp(now + timedelta(days=30)), now, timedelta()) == now + timedelta(days=30)
    for wrong in (stamp(now), stamp(now + timedelta(days=31)), "soon"):
        with pytest.raises(ValidationFailed, match="expires_at"):
            service.expiry(wrong, now, timedelta())
    assert service.outcome_of("sulked") == "agent_error"
