"""The wares are a case that a naive upgrade gets wrong."""

from nanny_ops.lab.ware import INSTALLED, OFFERED, STUCK


def test_there_is_something_of_each_kind():
    old, new = {ware.name for ware in INSTALLED}, {ware.name for ware in OFFERED}
    assert new - old == {"nanny-new"}
    assert [ware.name for ware in OFFERED if ware.security] == ["nanny-tls"]
    assert not {need.split()[0] for need in STUCK.needs} & (old | new)
