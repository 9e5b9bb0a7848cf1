"""Configuration files as Proxmox VE writes them."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanny_ops.machine.proxmox.conf import parse

FILE = """#Primary database
#second line%3A %C3%A4
arch: amd64
cores: 2
net0: name=eth0,bridge=vmbr0,ip=192.0.2.5/24,type=veth
lxc.cgroup2.devices.allow: c 10:200 rwm
tags: prod;web
unprivileged: 1

[pve:pending]
memory: 1024

[before]
#taken by hand
arch: amd64
cores: 1
snaptime: 1795295005

[after]
cores: 2
parent: before
snaptime: 1795295800
vmstate: local:200/vm-200-state-after.raw
"""


def test_a_container_with_snapshots_and_pending_changes() -> None:
    conf = parse(FILE)
    assert conf.current["cores"] == "2"
    assert conf.current["description"] == "Primary database\nsecond line: ä\n"
    assert conf.current["tags"] == "prod;web"
    assert "memory" not in conf.current
    assert conf.pending == {"memory": "1024"}
    assert conf.snapshots["before"] == {
        "arch": "amd64",
        "cores": "1",
        "snaptime": "1795295005",
        "description": "taken by hand\n",
    }
    assert conf.snapshots["after"]["vmstate"].endswith(".raw")


@pytest.mark.parametrize("name", ["special:cloudinit", "special:fleecing", "PVE:pending"])
def test_sections_of_proxmox_itself_are_no_snapshots(name: str) -> None:
    conf = parse(f"cores: 1\n[{name}]\ncores: 9\n")
    assert (conf.snapshots, conf.current) == ({}, {"cores": "1"})


def test_an_empty_file_is_an_empty_configuration() -> None:
    assert (parse("").current, parse("\n\n").snapshots) == ({}, {})


KEYS = st.from_regex(r"[a-z][a-z_]{0,11}[0-9]{0,3}", fullmatch=True).filter(lambda key: key != "description")
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40)
NAMES = st.from_regex(r"[a-z][a-z0-9_-]{1,20}", fullmatch=True)
LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=30), max_size=4)


def written(section: dict[str, str], description: list[str]) -> str:
    comments = "".join("#" + quote(line, safe=" ") + "\n" for line in description)
    return comments + "".join(f"{key}: {value}\n" for key, value in section.items())


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(KEYS, VALUES, max_size=6),
    LINES,
    st.dictionaries(NAMES, st.tuples(st.dictionaries(KEYS, VALUES, max_size=4), LINES), max_size=3),
)
def test_whatever_was_written_is_read(
    current: dict[str, str], text: list[str], snapshots: dict[str, tuple[dict[str, str], list[str]]]
) -> None:
    parts = [written(current, text), *(f"\n[{name}]\n{written(*one)}" for name, one in snapshots.items())]
    conf = parse("".join(parts))
    assert conf.current == {**current, **described(text)}
    assert conf.snapshots == {name: {**one, **described(lines)} for name, (one, lines) in snapshots.items()}


def described(lines: list[str]) -> dict[str, str]:
    return {"description": "".join(line + "\n" for line in lines)} if lines else {}


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    conf = parse(text)
    assert all(isinstance(value, str) for value in conf.current.values())
