"""A ``pct`` that runs a container's programs here, in sessions of their own, as a container would keep them."""

from pathlib import Path

_PCT = """#!/bin/sh
state=%s
command=$1 id=$2
echo "$*" >>"$state/calls"
[ -f "$state/$id" ] || { echo "Configuration file 'nodes/pve1/lxc/$id.conf' does not exist" >&2; exit 2; }
case $command in
    status) echo "status: $(cat "$state/$id")" ;;
    exec)
        [ "$(cat "$state/$id")" = running ] || { echo "container '$id' not running!" >&2; exit 255; }
        shift 3
        [ -f "$state/stdin-torn" ] && { head -c 5 | setsid "$@"; exit; }
        exec 3<&0
        setsid "$@" <&3 3<&- &
        wait $! ;;
esac
"""


class FakePct:
    """The state of the pretended node: which containers it has, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.bin = folder / "bin"
        self.state.mkdir()
        self.bin.mkdir()
        pct = self.bin / "pct"
        pct.write_text(_PCT % self.state)
        pct.chmod(0o755)

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"}

    @property
    def calls(self) -> list[str]:
        return (self.state / "calls").read_text().splitlines()

    def container(self, vmid: int, status: str) -> None:
        (self.state / str(vmid)).write_text(status + "\n")

    def remove(self, vmid: int) -> None:
        (self.state / str(vmid)).unlink()

    def tear_stdin(self) -> None:
        (self.state / "stdin-torn").touch()
