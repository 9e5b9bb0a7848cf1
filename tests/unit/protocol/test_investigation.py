"""An investigation asks a question of sensible length; an agent may only decline."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.investigation import InvestigationReport, InvestigationRequest

REQUEST = TypeAdapter(InvestigationRequest)


def test_priority_is_medium_unless_said() -> None:
    assert REQUEST.validate_python({"agent_id": "agent-1", "issue": "PostgreSQL is slow"}).priority == "medium"


@pytest.mark.parametrize(
    "change", [{"issue": "x" * 9}, {"issue": "x" * 2001}, {"priority": "urgent"}, {"agent_id": ""}]
)
def test_a_question_out_of_bounds_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        REQUEST.validate_python({"agent_id": "agent-1", "issue": "PostgreSQL is slow"} | change)


def test_declining_is_a_failure_with_its_reason() -> None:
    report = InvestigationReport(reason="no tools here")
    assert (report.status, report.outcome) == ("failed", "unsupported")
    with pytest.raises(ValidationError):
        TypeAdapter(InvestigationReport).validate_python({"status": "completed"})
