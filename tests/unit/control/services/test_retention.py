"""What is old goes, what is young stays."""

from datetime import datetime, timedelta

from nanny_ops.control.services import enrollment, retention
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import enrollment as codes
from nanny_ops.control.store import event as events
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Database, Tx
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
