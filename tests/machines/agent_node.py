"""A whole machine on which the agent is installed and runs under the units of ``packaging/``."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanny_ops.lab.apt_repository import MOUNTED_AT, demo_repository, source_lines
from nanny_ops.lab.deb import Deb, build
from nanny_ops.lab.systemd_machine import SystemdMachine

#: Where the image of a container lies in a machine, and where its lab does: in memory, for a layer cannot lie on
#: another one. After a restart of the machine it is gone.
GUEST_IMAGE, LAB = "/srv/guest", "/run/lab"
#: Where the lab's own code lies in a machine: no package has it.
CODE = "/srv/code"
PYTHON = "/opt/nanny-agent/bin/python"
VMID = 101
#: Seconds for dpkg, which compiles, and for anything that is waited for.
INSTALL, PATIENCE = 180.0, 60.0

CREATE = """
import sys
from pathlib import Path
from nanny_ops.lab.lxc import Container
container = Container(f"lab-{sys.argv[3]}", Path(sys.argv[1]) / "lxc")
if not container.rootfs.is_dir():
    container.create(Path(sys.argv[2]), f"ct{sys.argv[3]}")
container.start()
"""
BY_CODE = ["env", f"PYTHONPATH={CODE}", f"PYTHONPYCACHEPREFIX={LAB}/compiled", PYTHON]
PCT = f"""#!/bin/sh
exec {" ".join(BY_CODE)} -m nanny_ops.lab.pct {LAB} pve1 lab "$@"
"""
CONF = "arch: amd64\nhostname: ct101\nmemory: 512\nrootfs: local:101/vm-101-disk-0.raw,size=4G\nunprivileged: 0\n"


@dataclass
class AgentNode:
    """One machine; ``package`` is the agent's."""

    machine: SystemdMachine
    package: Path
    scratch: Path

    def install(self) -> None:
        """Install the agent's package; nothing is started but the helper's socket."""
        self.machine.put(self.package, "/root/agent.deb")
        self.machine.must("dpkg", "--install", "/root/agent.deb", timeout=INSTALL)

    def sh(self, command: str, timeout: float = PATIENCE) -> str:
        """Run a shell as root and return what it says; fail where it does."""
        return self.machine.must("sh", "-c", command, timeout=timeout)

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file that belongs to root."""
        done = self.machine.run(["sh", "-c", 'cat >"$1" && chmod "$2" "$1"', "sh", path, mode], stdin=text.encode())
        assert done.exit_code == 0, done

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.machine.must("systemctl", "show", unit, f"--property={name}", "--value").strip()

    def pid(self, unit: str = "nanny-agent.service") -> int:
        """Return the number inside the machine of a unit's main process, 0 when it has none."""
        return int(self.show(unit, "MainPID"))

    def journal(self, unit: str) -> str:
        """Return all that a unit has said, also one that is gone."""
        return self.machine.must("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def wait(self, true: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait until something holds; ``what`` names it in the message of a failure."""
        ends = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < ends, f"not within {seconds:.0f} s: {what}\n{self.told()}"
            time.sleep(0.2)

    def told(self) -> str:
        """Return the ends of the journals, for the message of a failure."""
        return "\n".join(self.journal(f"nanny-agent{more}")[-3000:] for more in (".service", "-helper.service"))

    def offer_packages(self, *further: Deb, installed: Deb) -> None:
        """Install the demo packages and another, and offer newer ones by a repository that is the only one."""
        building = self.scratch / "repository"
        repository = demo_repository(building)
        repository.add(*further)
        build(installed, building / "installed")
        self.machine.put(building / "installed", "/root/installed")
        self.sh("rm -rf /etc/apt/sources.list.d && mkdir -p /etc/apt/sources.list.d")
        self.machine.put(repository.directory, MOUNTED_AT)
        self.write("/etc/apt/sources.list.d/demo.list", source_lines())
        self.sh("dpkg --install /root/installed/*.deb")

    def start_container(self) -> None:
        """Start a real container and have ``pct`` know it."""
        self.sh(f"mkdir -p {LAB}/nodes/pve1/lxc {LAB}/lxc")
        self.write(f"{LAB}/nodes/pve1/lxc/{VMID}.conf", CONF)
        self.write("/usr/bin/pct", PCT, "755")
        done = self.machine.run([*BY_CODE, "-c", CREATE, LAB, GUEST_IMAGE, str(VMID)])
        assert done.exit_code == 0, done

    def version(self, package: str, *, inside: bool = False) -> str:
        """Return the installed version of a package, on the machine or in its container."""
        before = f"pct exec {VMID} -- " if inside else ""
        return self.sh(f"{before}dpkg-query --show --showformat='${{Version}}' {package}").strip()

    def token(self) -> dict[str, Any]:
        """Return the agent's identity."""
        found: dict[str, Any] = json.loads(self.sh("cat /var/lib/nannyagent/token.json"))
        return found
