"""What a removal of snapshots may be asked for."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.prune import PruneRequest, PruneResult

REQUEST, RESULT = TypeAdapter(PruneRequest), TypeAdapter(PruneResult)


@pytest.mark.parametrize("asked", [{"keep": -1}, {"older_than_hours": -1}, {"keep": "all"}, {"guest_id": "x" * 65}])
def test_ages_and_numbers_are_bounded(asked: dict[str, object]) -> None:
    assert (REQUEST.validate_python({}).keep, REQUEST.validate_python({}).older_than_hours) == (None, None)
    with pytest.raises(ValidationError):
        REQUEST.validate_python(asked)


def test_what_became_of_a_snapshot_is_one_of_five_words() -> None:
    told = {"outcome": "ok", "removals": [{"name": "nanny-1", "outcome": "removed"}]}
    assert RESULT.validate_python(told).removals[0].upid == ""
    told["removals"] = [{"name": "nanny-1", "outcome": "deleted"}]
    with pytest.raises(ValidationError):
        RESULT.validate_python(told)
