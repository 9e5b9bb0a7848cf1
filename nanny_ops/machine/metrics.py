"""One reading of CPU, memory, disks and network: the one file that imports psutil."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from nanny_ops.machine import block
from nanny_ops.machine.verbs import HostFacts, MetricsReading

#: File systems that hold no data of their own, although they lie on a device.
_NOT_REAL = frozenset({"squashfs", "iso9660", "udf", "overlay", "autofs"})
_MOST_FILESYSTEMS = 1024
_GB = 1e9
_MIB = 1024 * 1024


def addresses() -> dict[str, list[str]]:
    """Return the IP addresses of each interface."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = psutil.net_if_addrs()
    return {name: [a.address.partition("%")[0] for a in each if a.family in families] for name, each in found.items()}


class Meter:
    """Reads metrics; remembers the CPU's times, so that no reading has to wait for a second one."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Take the root of the file system whose /proc/cpuinfo and /sys/block are read."""
        self._root = root
        self._idle, self._total = 0.0, 0.0

    def read(self, host: HostFacts) -> MetricsReading:
        """Return one reading; the first one's CPU usage is the mean since boot."""
        return MetricsReading(
            values={
                **_identity(host),
                **self._cpu(),
                **_memory(),
                **_disk(),
                **_network(),
                "process_count": len(psutil.pids()),
                "filesystem_info": filesystems(),
                "block_devices": block.devices(self._root),
            }
        )

    def _cpu(self) -> dict[str, Any]:
        load = psutil.getloadavg()
        return {
            "cpu_usage": self.usage(psutil.cpu_times()._asdict()),
            "cpu_cores": psutil.cpu_count() or 0,
            "cpu_model": cpu_model(self._root),
            "load_avg_1": round(load[0], 2),
            "load_avg_5": round(load[1], 2),
            "load_avg_15": round(load[2], 2),
        }

    def usage(self, times: Mapping[str, float]) -> float:
        """Return the percent of time since the last call in which the CPUs were busy; ``times`` are seconds."""
        # The kernel counts a guest's time in user and nice as well.
        total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        idle = times["idle"] + times.get("iowait", 0.0)
        passed, idled = total - self._total, idle - self._idle
        self._total, self._idle = total, idle
        return round(min(100.0, max(0.0, 100.0 * (1.0 - idled / passed))), 1) if passed > 0 else 0.0


def cpu_model(root: Path = Path("/")) -> str:
    """Return the processor's name, empty on machines that do not tell."""
    text = (root / "proc/cpuinfo").read_text("utf-8", "replace") if (root / "proc/cpuinfo").exists() else ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()[:255]
    return ""


def filesystems() -> list[dict[str, Any]]:
    """Return the file systems that hold data, each device once, by mount point."""
    parts = [part for part in psutil.disk_partitions() if part.fstype not in _NOT_REAL]
    if not any(part.mountpoint == "/" for part in parts):
        parts += [part for part in psutil.disk_partitions(all=True) if part.mountpoint == "/"][-1:]
    found: dict[str, dict[str, Any]] = {}
    for part in sorted(parts, key=lambda part: (len(part.mountpoint), part.mountpoint)):
        entry = _filesystem(part.device, part.mountpoint, part.fstype)
        if entry is not None and not Path(part.mountpoint).is_file():
            found.setdefault(part.device, entry)
    return sorted(found.values(), key=lambda entry: str(entry["mountpoint"]))[:_MOST_FILESYSTEMS]


def _filesystem(device: str, mountpoint: str, kind: str) -> dict[str, Any] | None:
    try:
        usage = psutil.disk_usage(mountpoint)
    except OSError:  # unmounted meanwhile, or out of our reach
        return None
    return {
        "device": device[:255],
        "mountpoint": mountpoint,
        "type": kind,
        "fstype": kind,
        "total": usage.total,
        "used": usage.used,
        "free": usage.free,
        "usage": usage.percent,
        "usage_percent": usage.percent,
    }


def _identity(host: HostFacts) -> dict[str, Any]:
    return {
        "hostname": host.hostname,
        "platform": host.platform,
        "platform_family": host.platform_family,
        "platform_version": host.platform_version,
        "kernel_version": host.kernel_version,
        "kernel_arch": host.kernel_arch,
        "os": host.os_type,
        "ip_address": host.primary_ip,
        "all_ips": host.all_ips,
        "location": "unknown",
    }


def _memory() -> dict[str, Any]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "memory_usage": round(memory.used / _MIB, 1),
        "memory_total": memory.total,
        "memory_used": memory.used,
        "memory_free": memory.free,
        "memory_available": memory.available,
        "swap_total": swap.total,
        "swap_used": swap.used,
        "swap_free": swap.free,
    }


def _disk() -> dict[str, Any]:
    root = psutil.disk_usage("/")
    return {"disk_usage": root.percent, "disk_total": root.total, "disk_used": root.used, "disk_free": root.free}


def _network() -> dict[str, Any]:
    counters = psutil.net_io_counters(pernic=True).items()
    real = [counter for name, counter in counters if name != "lo"]
    return {
        "network_in_gb": round(sum(counter.bytes_recv for counter in real) / _GB, 6),
        "network_out_gb": round(sum(counter.bytes_sent for counter in real) / _GB, 6),
    }
