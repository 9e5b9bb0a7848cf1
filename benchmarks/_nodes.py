"""Many nodes in one machine: each is a port of its sshd, a name, and files of its own where the agent keeps anything.

What is real: SSH, Python and the agent's program in a Debian machine, its settings, its enrolment. What is not: the
programs were installed once for all, and no daemon runs, since systemd is told to be offline.
"""

from collections.abc import Sequence
from pathlib import Path

from nanny_ops.lab.systemd_machine import SystemdMachine

#: The first port of a node, and how many may try to sign in at once.
FIRST, STARTUPS = 2201, 200
#: Ports of one sshd, which opens 16 at the most.
PORTS = 16
#: What each node has of its own.
OWN = ("etc/nanny-ops", "etc/credstore", "var/lib/nannyagent", "var/lib/nanny-agent-helper")
ENTER = f"""#!/bin/sh
# Becomes the node of the port that was asked.
node=${{SSH_CONNECTION##* }}
[ "$node" != 22 ] || exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
export SYSTEMD_OFFLINE=1
exec unshare --mount --uts /bin/sh -c '
    hostname "node$1"
    for place in {" ".join(OWN)}; do mount --bind "/nodes/$1/$place" "/$place"; done
    exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"' enter "$node"
"""
PREPARE = f"""
systemctl disable --now --quiet nanny-agent.service nanny-agent-helper.socket || true
chmod 755 /usr/local/bin/enter
cd /
for place in {" ".join(OWN)}; do [ -d "$place" ] || install -d -m 700 "$place"; done
for node in "$@"; do
    for place in {" ".join(OWN)}; do
        mkdir -p "/nodes/$node/${{place%/*}}"
        cp -a "/$place" "/nodes/$node/$place"
    done
done
systemctl restart ssh.service
"""
LISTEN = f"""
while [ "$#" -gt 0 ]; do
    first=$1 ports=
    while [ "$#" -gt 0 ] && [ "$1" -lt "$((first + {PORTS}))" ]; do ports="$ports -p $1"; shift; done
    systemd-run --quiet --unit="nodes-$first" /usr/sbin/sshd -D -4 $ports
done
"""


def settle(machine: SystemdMachine, package: Path, count: int, place: Path) -> Sequence[int]:
    """Install the package in a machine and make nodes of it; return their ports."""
    ports = range(FIRST, FIRST + count)
    (place / "sshd").write_text(f"ForceCommand /usr/local/bin/enter\nMaxStartups {STARTUPS}\n")
    (place / "enter").write_text(ENTER)
    machine.put(package, f"/root/{package.name}")
    machine.put(place / "sshd", "/etc/ssh/sshd_config.d/nodes.conf")
    machine.put(place / "enter", "/usr/local/bin/enter")
    machine.must("dpkg", "--install", f"/root/{package.name}")
    machine.must("sh", "-euc", PREPARE + LISTEN, "sh", *map(str, ports))
    return ports
