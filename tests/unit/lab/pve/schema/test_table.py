"""Looking calls up by path."""

import pytest

from nanny_ops.lab.pve.schema.table import table


def test_parts_of_a_path_are_named() -> None:
    found = table("8.4").find("GET", "/nodes/pve1/lxc/101/config")
    assert found is not None
    assert found.parts == {"node": "pve1", "vmid": "101"}
    assert (found.described.proxyto, found.described.protected) == ("node", False)


@pytest.mark.rows("PVE-05", "PVE-10")
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nosuch"), ("DELETE", "/version"), ("POST", "/nodes/pve1/lxc/101/exec")]
)
def test_what_is_not_there(method: str, path: str) -> None:
    assert table("8.4").find(method, path) is None


def test_a_release_has_its_own_calls() -> None:
    assert "GET /cluster/bulk-action" in table("9.2").calls
    assert "GET /cluster/bulk-action" not in table("8.4").calls
