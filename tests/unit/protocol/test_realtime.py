"""The stream's numbers fit each other, and a subscription is bounded."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.realtime import CHANNELS, GUIDE_CHANNELS, HEARTBEAT, SILENCE, Connected, Subscribe


def test_two_lost_heartbeats_do_not_end_a_stream() -> None:
    assert 2 * HEARTBEAT < SILENCE


def test_there_are_the_two_channels_of_the_guide() -> None:
    assert GUIDE_CHANNELS == ("investigations", "patch_operations")
    assert CHANNELS[:2] == GUIDE_CHANNELS


def test_the_client_id_has_the_guides_spelling() -> None:
    assert TypeAdapter(Connected).dump_python(Connected(clientId="c-1")) == {"clientId": "c-1"}


@pytest.mark.parametrize("change", [{"clientId": ""}, {"subscriptions": ["x"] * 17}, {"subscriptions": ["x" * 65]}])
def test_a_subscription_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Subscribe).validate_python({"clientId": "c-1", "subscriptions": []} | change)
