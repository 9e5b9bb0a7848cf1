"""What is old goes, what is young stays."""

from datetime import datetime, timedelta

from sqlalchemy import insert

from nanny_ops.control.services import enrollment, retention
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import enrollment as codes
from nanny_ops.control.store import event as events
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import DROPPED_AT_ONCE, Database, Tx
from nanny_ops.control.store.tables import events as event_table
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.enrollment import DeviceAuthStart


def test_old_events_codes_and_tokens_are_dropped(database: Database, now: datetime) -> None:
    def fill(tx: Tx) -> str:
        for age in (0, 31):
            at = micros(now - timedelta(days=age))
            events.log(tx, team_id=teams.DEFAULT, topic="t", subject="s", kind="create", payload={"age": age}, at=at)
            users.revoke_token(tx, f"jti-{age}", at + 1)
        return enrollment.start(tx, DeviceAuthStart(), "192.0.2.1", "", now - timedelta(days=2)).user_code

    old_code = database.write_now(fill)
    database.write_now(lambda tx: retention.forget_old(tx, Settings(), now))
    kept = database.read_now(lambda tx: [event.payload["age"] for event in events.after(tx, 0, 10)])
    assert kept == [0]
    assert database.read_now(lambda tx: codes.code_by_user(tx, old_code)) is None
    assert database.read_now(lambda tx: users.is_revoked(tx, "jti-0"))
    assert not database.read_now(lambda tx: users.is_revoked(tx, "jti-31"))


def test_a_mountain_of_old_rows_goes_in_steps(database: Database, now: datetime) -> None:
    old, young = micros(now - timedelta(days=40)), micros(now)
    row = {"team_id": teams.DEFAULT, "topic": "t", "subject": "s", "kind": "k", "payload": {}}
    due = DROPPED_AT_ONCE + 10
    rows = [{**row, "at": old + number} for number in range(due)] + [{**row, "at": young}]
    database.write_now(lambda tx: tx.connection.execute(insert(event_table), rows))
    more = [database.write_now(lambda tx: retention.forget_old(tx, Settings(), now)) for _ in range(2)]
    assert more == [True, False]
    assert [event.at for event in database.read_now(lambda tx: events.after(tx, 0, 10))] == [young]
