"""Many calls at once: bounded, ended in time, each error where it belongs."""

import threading
import time

import pytest

from nanny_ops.errors import ProxmoxError, ProxmoxGone, ProxmoxUnreachable
from nanny_ops.machine.proxmox.gather import gather

SOON = 30.0


def until(seconds: float) -> float:
    return time.monotonic() + seconds


def fail(wrong: Exception) -> None:
    raise wrong


def test_results_and_errors_come_under_their_keys() -> None:
    found = gather({1: lambda: "one", 2: lambda: fail(ProxmoxGone("gone."))}, until(SOON))
    assert found[1] == "one"
    assert isinstance(found[2], ProxmoxGone)
    assert gather({}, until(SOON)) == {}


def test_it_ends_in_time_and_begins_nothing_afterwards() -> None:
    gate, begun = threading.Event(), []

    def hang() -> None:
        begun.append(1)
        gate.wait(SOON)

    found = gather(dict.fromkeys(range(10), hang), until(0.2), workers=2)
    assert all(isinstance(one, ProxmoxUnreachable) for one in found.values())
    gate.set()
    time.sleep(0.05)
    assert len(begun) == 2


def test_never_more_at_once_than_allowed() -> None:
    now, most, lock = [0], [0], threading.Lock()

    def call() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.002)
        with lock:
            now[0] -= 1

    gather(dict.fromkeys(range(30), call), until(SOON), workers=3)
    assert 1 <= most[0] <= 3


def test_a_mistake_of_ours_is_not_swallowed() -> None:
    with pytest.raises(KeyError):
        gather({1: lambda: fail(KeyError("x")), 2: lambda: fail(ProxmoxError("y"))}, until(SOON))
