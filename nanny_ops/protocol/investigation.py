"""Questions about an ill machine, and the answer that an agent cannot look into it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

Priority = Literal["low", "medium", "high"]


@dataclass(frozen=True, kw_only=True)
class InvestigationRequest:
    """A person or an agent asks for an investigation."""

    agent_id: Annotated[str, MinLen(1), MaxLen(64)]
    issue: Annotated[str, MinLen(10), MaxLen(2000)]
    priority: Priority = "medium"


@dataclass(frozen=True, kw_only=True)
class InvestigationRecord:
    """The order as it travels to the agent."""

    id: str
    agent_id: str
    user_prompt: str
    status: str
    priority: Priority
    created_at: str


@dataclass(frozen=True, kw_only=True)
class Investigation:
    """The answer to create and get."""

    id: str
    agent_id: str
    issue: str
    user_prompt: str
    status: str
    outcome: str | None
    reason: str
    priority: Priority
    created_at: str
    updated_at: str
    resolution: str | None


@dataclass(frozen=True, kw_only=True)
class InvestigationReport:
    """An agent says how an investigation ended; declining is ``failed`` with the outcome ``unsupported``."""

    status: Literal["failed"] = "failed"
    outcome: Literal["unsupported", "refused", "agent_error"] = "unsupported"
    reason: Annotated[str, MaxLen(2000)] = ""
