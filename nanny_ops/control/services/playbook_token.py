"""The token of a run of a playbook: it speaks for whoever ordered the run, in its team, and ends with it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from nanny_ops.control.services import token
from nanny_ops.control.store import token as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.playbook_run import Run
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.token import Scope

#: Time that it lives beyond that of its run, which may be ended late.
GRACE = timedelta(minutes=5)


def issue(tx: Tx, run: Run, scopes: Sequence[Scope], now: datetime) -> str:
    """Make a token for a run that begins; return its secret, which is stored nowhere."""
    expires = now + timedelta(seconds=run.timeout_seconds) + GRACE
    owned = {"name": _name(run), "created_by": run.created_by, "team_id": run.team_id}
    return token.issue(tx, "operator", now, expires, scopes=sorted(set(scopes)), **owned)[1]


def end(tx: Tx, run: Run, now: datetime) -> None:
    """End what tokens a run had."""
    store.revoke_named(tx, run.team_id, _name(run), micros(now))


def _name(run: Run) -> str:
    return f"playbook {run.id}"
