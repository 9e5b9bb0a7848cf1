"""How well each part of what an agent reports is known, as it says."""

from collections.abc import Sequence

from nanny_ops.control.services.change import Place
from nanny_ops.control.store import fact as store
from nanny_ops.control.store.database import Tx
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros, parse_stamp
from nanny_ops.protocol.inventory import Fact


def take(tx: Tx, place: Place, told: Sequence[Fact], agent_id: str, at: int) -> None:
    """Write how well things are known; the last of several lines for one thing counts. Raises ValidationFailed."""
    rows = {(line.section, line.object): _row(place, line, agent_id, at) for line in told}
    store.put(tx, list(rows.values()))


def _row(place: Place, line: Fact, agent_id: str, at: int) -> store.Fact:
    return store.Fact(
        agent_id=agent_id,
        section=line.section,
        object=line.object,
        team_id=place.team_id,
        scope=place.scope,
        state=line.state,
        source=line.source,
        privilege=line.privilege,
        reason=line.reason,
        at=_instant(line),
        told_at=at,
    )


def _instant(line: Fact) -> int | None:
    if not line.at:
        return None
    try:
        return micros(parse_stamp(line.at))
    except ValidationFailed as wrong:
        raise ValidationFailed(f"facts: {line.section}: {wrong.message}", field="facts.at") from None
