"""What lists of orders can be asked for, of whichever kind."""

from typing import Annotated

from fastapi import Depends, Query

from nanny_ops.protocol.operation import Outcome, Status

#: Characters of an Idempotency-Key, at most.
KEY_LENGTH = 255


def chosen(
    agent_id: Annotated[str | None, Query(max_length=64)] = None,
    status: Status | None = None,
    outcome: Outcome | None = None,
) -> dict[str, str]:
    """Return the filters that were given; they must all hold."""
    told = {"agent_id": agent_id, "status": status, "outcome": outcome}
    return {name: str(value) for name, value in told.items() if value is not None}


Chosen = Annotated[dict[str, str], Depends(chosen)]
