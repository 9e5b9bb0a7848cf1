"""A reboot of a real container, ordered, carried out by the agent through pct, and proved by its first process."""

import pytest

from nanny_ops.protocol.operation import ENDED
from tests.e2e.site import Site, until

pytestmark = pytest.mark.lxc


@pytest.mark.rows("F14")
def test_a_container_begins_anew_and_the_marks_say_so(site: Site) -> None:
    vmid = site.post.vmid
    before = site.inside(vmid, "cat", "/proc/1/stat").stdout
    order = {"agent_id": site.post.agent.id, "vmid": str(vmid), "reason": "new libc", "timeout_seconds": 120}
    until(lambda: site.operator.post("/api/reboots", json=order).status_code in (201, 409), "the agent's features")
    placed = site.operator.get("/api/reboots", params={"agent_id": site.post.agent.id}).json()["items"][0]
    address = f"/api/reboots/{placed['id']}"
    until(lambda: site.operator.get(address).json()["status"] in ENDED, "the end of the reboot", 150.0)
    found = site.operator.get(address).json()
    assert (found["status"], found["outcome"]) == ("completed", "ok"), found
    assert found["before"] != found["after"]
    assert site.inside(vmid, "cat", "/proc/1/stat").stdout != before
