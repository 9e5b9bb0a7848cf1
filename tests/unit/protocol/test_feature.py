"""Every feature says what needs it, and this release's agent announces known ones."""

from nanny_ops.agent.feature import ANNOUNCED
from nanny_ops.protocol import feature
from nanny_ops.protocol.feature import FEATURES


def test_the_agent_announces_features_that_orders_ask_for() -> None:
    assert set(ANNOUNCED) <= FEATURES.keys()
    words = {value for name, value in vars(feature).items() if name.isupper() and isinstance(value, str)}
    assert words == FEATURES.keys()
