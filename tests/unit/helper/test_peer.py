"""Who asks is known from the kernel, and one user may."""

import os
import socket

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.helper.peer import Allowed, Peer, allowed, peer_of


def test_the_kernel_tells_who_it_is() -> None:
    one, two = socket.socketpair()
    with one, two:
        found = peer_of(one)
        assert (found.pid, found.uid, found.gid) == (os.getpid(), os.geteuid(), os.getegid())


@pytest.mark.parametrize(("uid", "may"), [(1000, True), (0, True), (1001, False), (65534, False), (-1, False)])
def test_one_user_and_root_may(uid: int, may: bool) -> None:
    assert Allowed(1000, 1000).permits(Peer(1, uid, 1000)) is may


def test_a_user_has_a_name_or_a_number() -> None:
    assert allowed("root") == allowed("0") == Allowed(0, 0)
    for unknown in ("no-such-user", "4294967294"):
        with pytest.raises(SettingsError, match="not known"):
            allowed(unknown)
