"""The table of slower facts: each line is readable, and the recorded answers become the wire's words."""

import pytest

from nanny_ops.errors import ProxmoxError
from nanny_ops.machine.proxmox import sections
from nanny_ops.machine.proxmox.sections import Subject
from tests.fakes.proxmox import Recorded, refused

EVERY = (*sections.NODE, *sections.SHARED, *sections.GUEST, *sections.CLUSTER, sections.UNCOVERED, sections.VOTES)


def section(name: str) -> sections.Section:
    return next(one for one in EVERY if one.name == name)


def test_names_are_given_once() -> None:
    assert len({one.name for one in EVERY}) == len(EVERY)


@pytest.mark.parametrize(
    ("release", "privilege"),
    [("8.4.21", ("VM.Monitor",)), ("7.4", ("VM.Monitor",)), ("9.2.11", ("VM.GuestAgent.Audit",))],
)
def test_the_guest_agents_privilege_by_release(release: str, privilege: tuple[str, ...]) -> None:
    assert sections.in_words_of(release, ("VM.GuestAgent.Audit",)) == privilege
    assert sections.in_words_of(release, ("Sys.Audit",)) == ("Sys.Audit",)


@pytest.mark.rows("PVE-37")
@pytest.mark.parametrize("reason", ["QEMU guest agent is not running", "VM 203 is not running"])
def test_a_silent_guest_agent_is_a_finding_and_is_asked_nothing_more(reason: str) -> None:
    api = Recorded()
    path = "nodes/pve1/qemu/203/agent/get-osinfo"
    api.answers[path] = refused(500, reason, path)
    found = section("guest.agent").read(api.get, Subject("pve1", "qemu", 203, True, {"agent": "1"}))
    assert found is not None
    assert found["guest_agent"]["running"] is False
    assert "203" in found["guest_agent"]["reason"]
    assert len(api.asked) == 1


@pytest.mark.parametrize("agent", ["", "0", "enabled=0,type=virtio"])
def test_a_guest_agent_that_is_not_configured_is_not_asked(agent: str) -> None:
    api = Recorded()
    found = section("guest.agent").read(api.get, Subject("pve1", "qemu", 203, True, {"agent": agent}))
    assert found is not None
    assert (found["guest_agent"]["running"], api.asked) == (False, [])


@pytest.mark.parametrize("agent", ["1", "1,fstrim_cloned_disks=1", "enabled=1", "type=virtio,enabled=1"])
def test_a_guest_agent_that_is_configured_is_asked(agent: str) -> None:
    api = Recorded()
    found = section("guest.agent").read(api.get, Subject("pve1", "qemu", 203, True, {"agent": agent}))
    assert found is not None
    assert found["addresses"] == ["192.0.2.203"]
    assert found["guest_agent"]["os"] == "Example Linux 1"


def test_another_error_of_the_guest_agent_is_an_error() -> None:
    api = Recorded()
    api.answers["nodes/pve1/qemu/203/agent/get-osinfo"] = refused(596, "Broken pipe")
    with pytest.raises(ProxmoxError):
        section("guest.agent").read(api.get, Subject("pve1", "qemu", 203, True, {"agent": "1"}))


def test_a_backup_storage_that_is_not_active_makes_the_backups_unknown() -> None:
    api = Recorded()
    api.answers["nodes/pve1/storage?content=backup&enabled=1"][0]["active"] = 0
    with pytest.raises(ProxmoxError, match="not active"):
        section("guest.backup").read(api.get, Subject("pve1"))


@pytest.mark.rows("PVE-10")
def test_a_container_that_does_not_run_has_no_addresses_to_ask_for() -> None:
    fits = section("guest.addresses").fits
    assert [fits(Subject("n", "lxc", 1, running)) for running in (True, False)] == [True, False]
