"""Guests drawn up from a few words, with the settings that Proxmox VE's own forms would give them."""

from nanny_ops.lab.pve.state.guest import Conf, Guest, Kind, sorted_tags


def draft(
    vmid: int,
    kind: Kind,
    node: str,
    name: str,
    *,
    cores: int = 1,
    memory: int = 512,
    swap: int = 512,
    disk: int = 4,
    tags: tuple[str, ...] = (),
    address: str = "",
    mac: str = "BC:24:11:00:00:01",
    storage: str = "local",
    real: bool = False,
    **settings: str | int,
) -> Guest:
    """Return a guest; ``memory`` and ``swap`` in MiB, ``disk`` in GiB, ``settings`` as the API has them."""
    size = f"{disk}G"
    if kind == "lxc":
        conf = _container(vmid, name, cores, memory, swap, _net(mac, address), f"{storage}:{vmid}", size)
    else:
        conf = _machine(vmid, name, cores, memory, mac, f"{storage}:{vmid}", size)
    if tags:
        conf["tags"] = sorted_tags(";".join(tags))
    return Guest(vmid, kind, node, conf | settings, real=real)


def _net(mac: str, address: str) -> str:
    where = f"gw=10.88.0.1,hwaddr={mac},ip={address}/24" if address else f"hwaddr={mac},ip=dhcp"
    return f"name=eth0,bridge=vmbr0,{where},type=veth"


def _container(vmid: int, name: str, cores: int, memory: int, swap: int, net: str, place: str, size: str) -> Conf:
    return {
        "arch": "amd64",
        "cores": cores,
        "features": "nesting=1",
        "hostname": name,
        "memory": memory,
        "net0": net,
        "ostype": "debian",
        "rootfs": f"{place}/vm-{vmid}-disk-0.raw,size={size}",
        "swap": swap,
        "unprivileged": 1,
    }


def _machine(vmid: int, name: str, cores: int, memory: int, mac: str, place: str, size: str) -> Conf:
    return {
        "agent": "1",
        "boot": "order=scsi0",
        "cores": cores,
        "memory": str(memory),
        "name": name,
        "net0": f"virtio={mac},bridge=vmbr0",
        "ostype": "l26",
        "scsi0": f"{place}/vm-{vmid}-disk-0.qcow2,size={size}",
        "scsihw": "virtio-scsi-pci",
        "sockets": 1,
    }
