"""The check of parameters, with sentences as recorded."""

from typing import Any

import pytest

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.schema.parameter import Value, _python, verify
from nanny_ops.lab.pve.schema.table import table

PRIVILEGES = frozenset({"VM.Audit"})


def errors(call: str, release: str = "8.4", **given: Value) -> dict[str, str]:
    try:
        verify(table(release).calls[call].parameters, given, PRIVILEGES)
    except Refusal as refusal:
        return dict(refusal.errors or {})
    return {}


CONFIG = "PUT /nodes/{node}/lxc/{vmid}/config"
GUEST = {"node": "pve1", "vmid": "103"}


@pytest.mark.rows("PVE-01", "PVE-13")
@pytest.mark.parametrize(
    ("call", "given", "wrong"),
    [
        (
            "GET /cluster/resources",
            {"type": "foo"},
            {"type": "value 'foo' does not have a value in the enumeration 'vm, storage, node, sdn'"},
        ),
        (
            "GET /nodes/{node}/lxc/{vmid}/config",
            {"node": "pve1", "vmid": "abc"},
            {"vmid": "type check ('integer') failed - got 'abc'"},
        ),
        (
            "GET /nodes/{node}/lxc/{vmid}/config",
            {"node": "pve1", "vmid": "5"},
            {"vmid": "invalid format - value does not look like a valid VM ID\n"},
        ),
        (
            "GET /nodes/{node}/tasks",
            {"node": "pve1", "errors": "maybe"},
            {"errors": "type check ('boolean') failed - got 'maybe'"},
        ),
        (
            CONFIG,
            GUEST | {"memory": "8", "tags": "bad!tag"},
            {
                "memory": "value must have a minimum value of 16",
                "tags": "invalid format - invalid characters in tag\n",
            },
        ),
        (
            "POST /nodes/{node}/lxc/{vmid}/snapshot",
            GUEST,
            {"snapname": "property is missing and it is not optional"},
        ),
        (
            "POST /nodes/{node}/lxc/{vmid}/snapshot",
            GUEST | {"snapname": "1bad"},
            {"snapname": "invalid format - invalid configuration ID '1bad'\n"},
        ),
        (
            "GET /nodes/{node}/lxc/{vmid}/config",
            GUEST | {"frob": "1"},
            {"frob": "property is not defined in schema and the schema does not allow additional properties"},
        ),
        (
            "POST /access/vncticket",
            {"authid": "x", "vncticket": "y", "path": "/", "privs": "x"},
            {"privs": "invalid format - invalid privilege 'x'\n"},
        ),
        (CONFIG, GUEST | {"memory": "64", "net3": "name=eth3,bridge=vmbr0", "tags": "a;b,c"}, {}),
    ],
)
def test_sentences(call: str, given: dict[str, Any], wrong: dict[str, str]) -> None:
    assert errors(call, **given) == wrong


def test_a_property_string_is_looked_into() -> None:
    assert "net0" in errors(CONFIG, **GUEST, net0="bridge=vmbr0,name=eth0,frob=1")
    assert "net0" in errors(CONFIG, **GUEST, net0="bridge=vmbr0")
    assert errors(CONFIG, **GUEST, rootfs="local:103/vm-103-disk-0.raw,size=4G") == {}


def test_booleans_and_lists_get_one_form() -> None:
    found = verify({"a": {"type": "boolean"}, "b": {"type": "array"}}, {"a": "Yes", "b": "one"}, PRIVILEGES)
    assert found == {"a": "1", "b": ["one"]}


@pytest.mark.parametrize("release", ["8.4", "9.2"])
def test_every_pattern_of_the_schema_can_be_used(release: str) -> None:
    import re

    for call in table(release).calls.values():
        for known in call.parameters.values():
            re.compile(_python(known.get("pattern", "")))
