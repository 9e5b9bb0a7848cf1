"""Configurations: kept while nothing says that they have changed."""

from typing import Any

from nanny_ops.errors import ProxmoxGone, ProxmoxUnreachable
from nanny_ops.machine.proxmox.configs import TURNS, UNREAD, Configs
from tests.fakes.proxmox import refused

ROW = {"type": "lxc", "vmid": 101, "node": "n", "status": "running", "maxmem": 5}


def get(_node: str) -> Any:
    return lambda path, **parameters: (path, parameters)


def asked(configs: Configs, row: dict[str, Any], cycle: int = 1, touched: frozenset[int] = frozenset()) -> bool:
    return bool(configs.calls([row], get, cycle, touched))


def known(answer: Any) -> Configs:
    configs = Configs()
    configs.take([ROW], {("lxc", 101): {"hostname": "h", "memory": 64}}, 1000.0)
    configs.take([ROW], {("lxc", 101): answer}, 2000.0)
    return configs


def test_what_is_active_is_asked_for_and_not_what_is_pending() -> None:
    call = Configs().calls([ROW], get, 1, frozenset())["lxc", 101]
    assert call() == ("nodes/n/lxc/101/config", {"current": 1})


def test_a_changed_row_a_task_and_its_turn_make_it_due() -> None:
    configs = known({"hostname": "h"})
    assert not asked(configs, ROW)
    assert asked(configs, {**ROW, "maxmem": 6})
    assert not asked(configs, {**ROW, "uptime": 6, "cpu": 0.5})
    assert asked(configs, ROW, touched=frozenset({101}))
    assert [cycle for cycle in range(TURNS) if asked(configs, ROW, cycle)] == [101 % TURNS]


def test_beside_a_failure_the_old_one_is_stale_and_is_asked_for_again() -> None:
    configs = known(ProxmoxUnreachable("away."))
    conf, _, line = configs.of("lxc", 101)
    assert (conf, line.state, line.at) == ({"hostname": "h", "memory": 64}, "stale", 1000.0)
    assert asked(configs, ROW)


def test_what_may_no_longer_be_read_is_no_longer_told() -> None:
    conf, _, line = known(refused(403, "Permission check failed (/vms/101, VM.Audit)")).of("lxc", 101)
    assert (conf, line.state, line.privilege) == (None, "forbidden", "VM.Audit")


def test_a_guest_that_has_gone_is_unknown() -> None:
    assert known(ProxmoxGone()).of("lxc", 101) == (None, None, UNREAD)
    configs = known({"hostname": "h"})
    configs.keep_only(set())
    assert configs.of("lxc", 101)[2] is UNREAD


def test_secrets_of_a_configuration_are_not_even_kept() -> None:
    configs = known({"hostname": "h", "cipassword": "secret", "args": "-x", "lxc": [["lxc.x", "y"]]})
    assert configs.of("lxc", 101)[0] == {"hostname": "h"}
