"""The fixtures for other projects, used as they would use them."""

import json
import ssl
import urllib.request

import pytest

from nanny_ops.lab.lab import Lab
from nanny_ops.lab.pytest_plugin import MakeLab, make_proxmox_lab, proxmox_lab

__all__ = ["make_proxmox_lab", "proxmox_lab"]


def test_a_lab_with_a_fault(make_proxmox_lab: MakeLab) -> None:
    lab = make_proxmox_lab("status=595@/nodes/.*", nodes=1, guests=2, version="9.2")
    assert ask(lab, "/version")["release"] == "9.2"
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(lab, "/nodes/pve1/status")
    refused.value.close()
    assert (refused.value.code, refused.value.reason) == (595, "No route to host")


def ask(lab: Lab, path: str) -> dict[str, str]:
    headers = {"Authorization": f"PVEAPIToken={lab.token_id}={lab.token_secret}"}
    request = urllib.request.Request(f"{lab.nodes[0].url}/api2/json{path}", headers=headers)
    trust = ssl.create_default_context(cafile=str(lab.ca_file))
    with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
        found: dict[str, str] = json.load(answer)["data"]
    return found
