"""A watchdog is fed while all loops are heard of, and not one moment longer."""

import asyncio

import pytest

from nanny_ops.agent.pulse import Pulse, feed


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_falls_silent_is_late() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    link, drain = pulse.expect("link", 10), pulse.expect("drain", 30)
    clock.now = 20
    drain()
    assert pulse.late() == ["link"]
    link()
    assert pulse.late() == []
    clock.now = 100
    assert pulse.late() == ["drain", "link"]
    pulse.rest()
    assert pulse.late() == []


def test_nothing_is_fed_while_a_loop_is_late(caplog: pytest.LogCaptureFixture) -> None:
    clock, fed = Clock(), []
    pulse = Pulse(clock)
    beat = pulse.expect("link", 10)

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        if clock.now == 20:
            beat()
        if clock.now > 40:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(feed(pulse, lambda: fed.append(clock.now), 5, sleep))
    assert fed == [0, 5, 10, 20, 25, 30]
    assert caplog.text.count("event=stuck loops=link") == 2
