"""What pct and qm print of configurations, snapshots and figures."""

import datetime

import pytest

from nanny_ops.lab import guest_command


def test_a_configuration_is_sorted_and_its_description_encoded() -> None:
    settings = {"memory": 512, "arch": "amd64", "digest": "x", "description": "Primary database\nSecond: ä\n"}
    told = "arch: amd64\ndescription: Primary database%0ASecond%3A %C3%A4%0A\nmemory: 512\n"
    assert guest_command.shown(settings) == told


def test_what_waits_stands_below_what_is() -> None:
    rows = [
        {"key": "features", "value": "nesting=1", "pending": "nesting=1,keyctl=1"},
        {"key": "digest", "value": "x"},
        {"key": "net1", "value": "name=eth1", "delete": 1},
        {"key": "cores", "value": 2},
    ]
    told = "cur cores: 2\ncur features: nesting=1\nnew features: nesting=1,keyctl=1\ncur net1: name=eth1\ndel net1\n"
    assert guest_command.waiting(rows) == told


def test_snapshots_are_a_tree() -> None:
    made = int(datetime.datetime(2026, 11, 21, 21, 3, 25).astimezone().timestamp())
    rows = [
        {"name": "current", "parent": "s2", "description": "You are here!"},
        {"name": "s2", "parent": "s1", "snaptime": made + 8, "description": "second\nline"},
        {"name": "s1", "snaptime": made, "description": "before-patch\n"},
    ]
    assert guest_command.tree(rows) == (
        "`-> s1                          2026-11-21 21:03:25     before-patch\n"
        " `-> s2                         2026-11-21 21:03:33     second\n"
        "  `-> current                                           You are here!\n"
    )


@pytest.mark.parametrize(("text", "encoded"), [("ä", b"\xe4"), ("ä€", "ä€".encode())])
def test_text_leaves_as_perl_lets_it(text: str, encoded: bytes) -> None:
    assert guest_command.perl(text) == encoded


def test_a_verbose_status_is_plain_figures() -> None:
    current = {"status": "running", "cpu": 0.1, "cpus": 1, "ha": {"managed": 0}, "pressurecpusome": "0.1"}
    assert guest_command.status(current, verbose=False) == "status: running\n"
    assert guest_command.status(current, verbose=True) == "cpus: 1\nstatus: running\n"


def test_json_is_printed_as_perl_does() -> None:
    assert guest_command.pretty({"exited": 1, "err-data": "x\n"}) == '{\n   "err-data" : "x\\n",\n   "exited" : 1\n}\n'


def test_options_are_those_of_the_schema() -> None:
    look = guest_command.look_in_schema("8.4", "lxc")
    assert (look("set", "memory"), look("set", "net3"), look("set", "onboot"), look("set", "frob")) == (
        False,
        False,
        True,
        None,
    )
    assert look("shutdown", "forceStop") is True
