"""``nanny-ops lab``: a pretended Proxmox VE cluster in the foreground, and cleaning up after one that was killed."""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import typer

from nanny_ops.lab import leftover, lxc, systemd_machine
from nanny_ops.lab.fleet import LabPlan, containers_of
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.lab import Lab
from nanny_ops.lab.trouble import USAGE, parse

app = typer.Typer(no_args_is_help=True, help="A pretended Proxmox VE cluster with real containers in it.")

#: Real containers unless told otherwise, where they are possible.
DEFAULT_REAL = 2


class _Interrupted(BaseException):
    """A person or a supervisor ends the lab while it is being opened."""


@app.command()
def up(
    nodes: int = typer.Option(3, help="How many nodes."),
    guests: int = typer.Option(12, help="How many guests; two thirds are containers."),
    version: str = typer.Option("8.4", help="Which Proxmox VE to be: 8.4 or 9.2."),
    seed: int = typer.Option(1, help="The same seed gives the same cluster."),
    real_containers: int = typer.Option(
        -1, help="How many containers are real; by default 2 where LXC and root are there, else 0."
    ),
    fault: list[str] = typer.Option(
        [],
        metavar="NAME[=VALUE]",
        help=f"What is wrong with it, once for each: {USAGE}. Some take paths: slow=250@/cluster/.* is one.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON line when ready, and nothing else on stdout."),
    mirror: str = typer.Option("", help="A Debian mirror, by default the one that apt is configured with."),
) -> None:
    """Open a lab and keep it until Ctrl-C or SIGTERM; then nothing of it is left."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    cache = cache_dir(dict(os.environ))
    leftover.purge(cache)
    real = _how_many_real(real_containers, guests)
    plan = LabPlan(nodes, guests, real, version, seed)
    for text in fault:
        parse(text)
    try:
        with (
            tempfile.TemporaryDirectory(prefix=leftover.SCRATCH, ignore_cleanup_errors=True) as directory,
            Lab(plan, Path(directory), cache, mirror) as lab,
        ):
            lab.cause(*fault)
            print(json.dumps(lab.announcement()) if as_json else _for_a_person(lab), flush=True)
            while True:
                signal.pause()
    except _Interrupted:
        sys.exit(0)


@app.command()
def down() -> None:
    """Remove what killed labs have left behind; a lab that still runs is ended by Ctrl-C in its own terminal."""
    cache = cache_dir(dict(os.environ))
    for lab_id in leftover.purge(cache):
        print(f"removed what lab {lab_id} had left")
    for name in systemd_machine.remove_abandoned():
        print(f"removed what machine {name} had left")
    for record in leftover.records(cache):
        print(f"lab {record.lab_id} runs as process {record.pid}")


def _interrupt(*_: object) -> None:
    """End the lab once; a second signal must not disturb the cleaning up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Interrupted


def _how_many_real(wanted: int, guests: int) -> int:
    if wanted >= 0:
        return wanted
    missing = lxc.missing()
    for sentence in missing:
        print(f"lab: containers are SIMULATED: {sentence}", file=sys.stderr)
    return 0 if missing else min(DEFAULT_REAL, containers_of(guests))


def _for_a_person(lab: Lab) -> str:
    found = lab.announcement()
    lines = [f"Proxmox VE {lab.plan.version} (pretended) at {found['url']}", f"  CA     {found['ca_file']}"]
    lines.append(f"  token  {found['token_id']}={found['token_secret']}")
    lines += [f"  node   {node['name']}  {node['url']}  pct in {node['bin_dir']}" for node in found["nodes"]]
    lines += [f"  guest  {g['vmid']}  {g['kind']:5}{g['node']:8}{g['name']:12}{g['behind']}" for g in found["guests"]]
    return "\n".join([*lines, "Ctrl-C ends it."])


if __name__ == "__main__":
    app()
