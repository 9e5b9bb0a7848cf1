"""A whole lab without real containers: over HTTPS as clients see it, and gone afterwards."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from proxmoxer import ProxmoxAPI, ResourceException

from nanny_ops.errors import SettingsError
from nanny_ops.lab import lxc
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, Lab
from nanny_ops.machine.run import run
from tests.lab_fixtures import simulated_lab

__all__ = ["simulated_lab"]


def client(lab: Lab, node: int = 0, token: str = "") -> ProxmoxAPI:
    where = urlsplit(lab.nodes[node].url)
    user, _, name = (token or lab.token_id).partition("!")
    secret = lab.tokens[token or lab.token_id].secret
    return ProxmoxAPI(
        where.hostname, port=where.port, user=user, token_name=name, token_value=secret, verify_ssl=str(lab.ca_file)
    )


def test_each_node_says_that_it_is_the_local_one(simulated_lab: Lab) -> None:
    for index, node in enumerate(simulated_lab.nodes):
        rows = client(simulated_lab, index).cluster.status.get()
        assert [row["name"] for row in rows if row["type"] == "node" and row["local"]] == [node.name]


def test_proxmoxer_reads_the_reason_phrase(simulated_lab: Lab) -> None:
    with pytest.raises(ResourceException) as failed:
        client(simulated_lab).nodes("pve1").lxc(999).config.get()
    assert failed.value.status_code == 500
    assert failed.value.content == "Configuration file 'nodes/pve1/lxc/999.conf' does not exist"


def test_a_guest_that_moves_answers_on_its_new_node_only(simulated_lab: Lab) -> None:
    simulated_lab.migrate(104, "pve3")
    assert client(simulated_lab).nodes("pve3").lxc(104).config.get()["hostname"] == "cache1"
    with pytest.raises(ResourceException):
        client(simulated_lab).nodes("pve1").lxc(104).config.get()
    old, new = (simulated_lab.nodes[index].bin_dir / "pct" for index in (0, 2))
    assert run([str(old), "status", "104"], timeout=20).exit_code == 2
    assert run([str(new), "status", "104"], timeout=20).stdout == b"status: running\n"


def test_power_is_the_same_for_pct_and_for_the_api(simulated_lab: Lab) -> None:
    current = client(simulated_lab).nodes("pve1").lxc(107).status.current
    simulated_lab.stop(107)
    assert current.get()["status"] == "stopped"
    assert run([str(simulated_lab.nodes[0].bin_dir / "pct"), "start", "107"], timeout=20).exit_code == 0
    assert current.get()["status"] == "running"


def test_a_destroyed_guest_is_gone(simulated_lab: Lab) -> None:
    root = simulated_lab.guest(106).rootfs
    simulated_lab.destroy(106)
    assert 106 not in {row["vmid"] for row in client(simulated_lab).cluster.resources.get(type="vm")}
    assert not root.exists()


def test_the_announcement_names_everything_a_client_needs(simulated_lab: Lab) -> None:
    said = simulated_lab.announcement()
    assert {"url", "token_id", "token_secret", "ca_file", "bin_dir", "real", "nodes", "guests"} <= said.keys()
    assert said["real"] is False
    assert {guest["behind"] for guest in said["guests"]} == {"simulated", "figures"}
    assert Path(said["bin_dir"], "pct").is_file()


def test_secrets_do_not_show_in_its_text(simulated_lab: Lab) -> None:
    assert simulated_lab.tokens[ADMIN_TOKEN].secret not in repr(simulated_lab) + repr(simulated_lab.tokens)


def test_closing_leaves_nothing(tmp_path: Path) -> None:
    with Lab(LabPlan(nodes=1, guests=3, real=0), tmp_path / "lab", cache=tmp_path / "cache") as lab:
        elsewhere = (lab.home / "simulated").resolve()
        assert elsewhere.is_dir()
    lab.close()
    assert not elsewhere.exists()
    assert list((tmp_path / "lab").iterdir()) == []
    assert list((tmp_path / "cache/labs").iterdir()) == []


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(LabPlan(nodes=1, guests=3, real=0), tmp_path / "lab", cache=tmp_path / "cache")
    monkeypatch.setattr(lab.authority.__class__, "issue", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lab.open()
    assert list((tmp_path / "lab").iterdir()) == []


def test_real_containers_that_cannot_be_are_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lxc, "missing", lambda: ["Install what is missing: apt-get install lxc"])
    lab = Lab(LabPlan(), tmp_path, cache=tmp_path)
    with pytest.raises(SettingsError, match="apt-get install lxc"):
        lab.open()
    lab.close()
