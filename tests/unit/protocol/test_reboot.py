"""What a reboot may be asked for."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.reboot import RebootRequest

REQUEST = TypeAdapter(RebootRequest)


@pytest.mark.parametrize("seconds", [29, 3601, -1])
def test_the_time_is_bounded(seconds: int) -> None:
    assert REQUEST.validate_python({"agent_id": "a"}).timeout_seconds == 300
    with pytest.raises(ValidationError):
        REQUEST.validate_python({"agent_id": "a", "timeout_seconds": seconds})
