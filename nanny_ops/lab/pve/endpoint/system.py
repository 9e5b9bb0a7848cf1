"""The calls about a node as a machine: time, names, hardware, subscription, its report."""

import hashlib
from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.endpoint.access import NOTHING
from nanny_ops.lab.pve.endpoint.network import DOMAIN
from nanny_ops.lab.pve.state import software

PRICES = "https://www.proxmox.com/en/proxmox-virtual-environment/pricing"
#: Device number, class, what it is: the virtual devices that every pretended node has.
_PCI = (
    ("0x1045", "0xffff00", "Virtio memory balloon"),
    ("0x1042", "0x018000", "Virtio block device"),
    ("0x1041", "0x020000", "Virtio network device"),
    ("0x1044", "0xffff00", "Virtio RNG"),
    ("0x1053", "0x078000", "Virtio socket"),
)


def time(api: Api, call: Call) -> Any:
    """Answer with a node's time and its zone."""
    now = int(call.now)
    return {"time": now, "localtime": now, "timezone": api.cluster.nodes[call.node].timezone}


def hosts(api: Api, call: Call) -> Any:
    """Answer with a node's table of names."""
    node = api.cluster.nodes[call.node]
    text = f"127.0.0.1 localhost.localdomain localhost\n{node.ip} {node.name}.{DOMAIN} {node.name}\n"
    return {"data": text, "digest": hashlib.sha1(text.encode()).hexdigest()}


def settings(_api: Api, _call: Call) -> Any:
    """Answer with a node's own settings: there are none."""
    return {}


def subscription(api: Api, call: Call) -> Any:
    """Answer with a node's subscription."""
    node = api.cluster.nodes[call.node]
    serverid = hashlib.md5(node.name.encode()).hexdigest().upper()
    found: Row = {"status": node.subscription, "serverid": serverid if api.cluster.release == "8.4" else None}
    if node.subscription == "notfound":
        return found | {"message": "There is no subscription key", "url": PRICES}
    return found | {"level": "c", "productname": "Proxmox VE Community Subscription 1 CPU", "sockets": 1, "url": PRICES}


def pci(_api: Api, _call: Call) -> Any:
    """Answer with the PCI devices of a node."""
    return [
        {
            "id": f"0000:00:{number:02x}.0",
            "class": kind,
            "device": device,
            "device_name": name,
            "vendor": "0x1af4",
            "vendor_name": "Red Hat, Inc.",
            "subsystem_device": device,
            "subsystem_vendor": "0x1af4",
            "subsystem_vendor_name": "Red Hat, Inc.",
            "iommugroup": -1,
        }
        for number, (device, kind, name) in enumerate(_PCI, 1)
    ]


def nothing(_api: Api, _call: Call) -> Any:
    """Answer that there is nothing of that kind."""
    return []


def processors(api: Api, _call: Call) -> Any:
    """Answer with the models of processors that machines can have."""
    known = software.processors(api.cluster.release)
    return api.shuffled([{"name": name, "vendor": vendor, "custom": 0} for name, vendor in known])


def machines(api: Api, _call: Call) -> Any:
    """Answer with the types of machines."""
    known = software.machines(api.cluster.release)
    return [{"id": name, "type": kind, "version": version} for name, kind, version in known]


def report(api: Api, call: Call) -> Any:
    """Answer with what a node reports to whoever helps it, as one text."""
    node = api.cluster.nodes[call.node]
    lines = ["==== general system info ====", f"# hostname\n{node.name}", "# pveversion --verbose"]
    lines += [f"{package.name}: {package.version}" for package in software.packages(api.cluster.release)]
    return "\n\n".join(lines) + "\n"


def firewall(_api: Api, _call: Call) -> Any:
    """Answer with the firewall's settings: none are made."""
    return {"digest": NOTHING}


def replications(api: Api, call: Call) -> Any:
    """Answer with how the replications of a node's guests stand, as far as the caller may see the guests."""
    cluster = api.cluster
    rows = []
    for job in cluster.replications.values():
        guest = cluster.guests.get(job.vmid)
        if guest is None or guest.node != call.node or not call.caller.may(f"/vms/{job.vmid}", "VM.Audit"):
            continue
        row: Row = {
            "id": job.job_id,
            "guest": job.vmid,
            "jobnum": job.number,
            "type": "local",
            "vmtype": guest.kind,
            "source": guest.node,
            "target": job.target,
            "schedule": job.schedule,
            "last_sync": job.last_sync,
            "last_try": job.last_try,
            "next_sync": job.next_sync,
            "fail_count": job.fail_count,
            "duration": job.duration,
        }
        rows.append(row | ({"error": job.error} if job.error else {}) | ({} if job.enabled else {"disable": 1}))
    return rows


_NODE = "/nodes/{node}"
ROUTES = (
    Route("GET", f"{_NODE}/time", time),
    Route("GET", f"{_NODE}/hosts", hosts),
    Route("GET", f"{_NODE}/config", settings),
    Route("GET", f"{_NODE}/subscription", subscription),
    Route("GET", f"{_NODE}/hardware/pci", pci),
    Route("GET", f"{_NODE}/hardware/usb", nothing),
    Route("GET", f"{_NODE}/aplinfo", nothing),
    Route("GET", f"{_NODE}/capabilities/qemu/cpu", processors),
    Route("GET", f"{_NODE}/capabilities/qemu/machines", machines),
    Route("GET", f"{_NODE}/report", report),
    Route("GET", f"{_NODE}/firewall/options", firewall),
    Route("GET", f"{_NODE}/firewall/rules", nothing),
    Route("GET", f"{_NODE}/replication", replications),
)
