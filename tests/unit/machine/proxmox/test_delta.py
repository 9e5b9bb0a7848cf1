"""Only what has arrived counts as told."""

from nanny_ops.machine.proxmox.delta import Delta


def told(delta: Delta, acknowledged: int, **bodies: int) -> list[str]:
    delta.begin(acknowledged)
    return [key for key, value in bodies.items() if delta.changed(key, {"x": value, "uptime": object.__hash__(delta)})]


def test_what_did_not_arrive_is_told_again() -> None:
    delta = Delta()
    assert told(delta, 0, a=1, b=1) == ["a", "b"]
    assert told(delta, 0, a=1, b=1) == ["a", "b"]
    assert told(delta, delta.serial, a=1, b=2) == ["b"]
    assert told(delta, 2, a=1, b=2) == ["b"]
    assert told(delta, delta.serial, a=1, b=2) == []
    assert told(delta, 0, a=1, b=2) == ["a", "b"]


def test_a_guest_that_was_away_is_told_again() -> None:
    delta = Delta()
    told(delta, 0, a=1, b=1)
    told(delta, delta.serial, a=1)
    assert told(delta, delta.serial, a=1, b=1) == ["b"]


def test_uptime_is_no_news() -> None:
    delta = Delta()
    delta.begin(0)
    assert delta.changed("a", {"x": 1, "uptime": 1})
    delta.begin(delta.serial)
    assert not delta.changed("a", {"x": 1, "uptime": 2})
