"""Teams and who is in them."""

from sqlalchemy import delete, insert, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import memberships, teams

#: The team that exists from the start.
DEFAULT = "team-default"


def ensure_default(tx: Tx, now: int) -> None:
    """Make the team ``default`` unless it is there."""
    if tx.connection.execute(select(teams.c.id).where(teams.c.id == DEFAULT)).first() is None:
        tx.connection.execute(insert(teams).values(id=DEFAULT, name="default", created_at=now))


def join(tx: Tx, user_id: str, team_id: str, role: str) -> None:
    """Give a user a role in a team."""
    tx.connection.execute(insert(memberships).values(user_id=user_id, team_id=team_id, role=role))


def leave(tx: Tx, user_id: str, team_id: str) -> None:
    """Take a user out of a team, if they are in it."""
    mine = (memberships.c.user_id == user_id) & (memberships.c.team_id == team_id)
    tx.connection.execute(delete(memberships).where(mine))


def leave_all(tx: Tx, user_id: str) -> None:
    """Take a user out of every team."""
    tx.connection.execute(delete(memberships).where(memberships.c.user_id == user_id))


def roles_of(tx: Tx, user_id: str) -> dict[str, str]:
    """Return the user's role by team."""
    rows = tx.connection.execute(select(memberships).where(memberships.c.user_id == user_id))
    return {row.team_id: row.role for row in rows}


def every(tx: Tx) -> list[str]:
    """Return the ids of all teams."""
    return list(tx.connection.execute(select(teams.c.id)).scalars())
