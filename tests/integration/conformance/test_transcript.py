"""Every recorded run of ``pct``, ``qm``, ``pvesh``, ``pvecm`` and ``pveversion`` that a stand-in supports is like it.

The runs of a series follow each other on one lab. What came between them (runs of a shell, files of the machine) is
made up for in ``BEFORE``; what cannot be alike stands in ``UNLIKE`` with its reason, and counts as not equal.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.lab import Lab
from nanny_ops.machine.run import run
from tests.integration.conformance.rig_lab import opened
from tests.integration.conformance.transcript import Transcript, differ, transcripts
from tests.lab_fixtures import need_real_containers

pytestmark = pytest.mark.lxc

#: Series -> how many of its runs a stand-in supports at least, and how many are equal at least.
SERIES = {
    "pct_query_exec": (69, 62),
    "pct_query_exec-9.2": (67, 62),
    "pct_mutate": (114, 110),
    "pct_round3": (62, 57),
    "no_quorum": (9, 9),
}
#: The containers on which programs run: real ones.
REAL = {"8.4": frozenset({101, 102}), "9.2": frozenset({301, 302})}
#: What root had in its environment.
ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "linux"}
CONTENT = "what the recorded container holds, or has been given by the kernel"
BRIDGE = "the lab has no bridges"
UNLIKE = {
    **dict.fromkeys(("exec_opts", "exec_apt_update", "exec_apt_sim", "exec_systemctl", "exec_osrelease"), CONTENT),
    **dict.fromkeys(("exec_uidmap101", "exec_uidmap301", "exec_in_priv306", "exec_in_priv107"), CONTENT),
    **dict.fromkeys(("set_net_down", "start_badbridge", "set_bridge_missing_hot", "config_after_badhot"), BRIDGE),
    "qm_guest_cmd": CONTENT,
    "pvesh_update": CONTENT,
    "pct_round3/check_running_mem": "a container of the lab has no limit to its memory",
    "set_hot_mp": "the recorded machine could not do it",
    "set_del_mp": "what could not be done cannot be undone",
}


def _first(lab: Lab) -> None:
    """Make the rig what it was when the first series were recorded."""
    lab.stop(106)
    lab.cluster.guests[106].snapshots.clear()
    lab.cluster.update(106, parent=None)
    lab.cluster.update(103, tags=None, rootfs="local:103/vm-103-disk-0.raw,size=1G")


BEFORE: dict[tuple[str, str], Callable[[Lab], None]] = {
    ("pct_query_exec", "list"): _first,
    ("pct_mutate", "push_ok"): _first,
    ("pct_mutate", "stop_103"): lambda lab: lab.start(103),
    ("pct_mutate", "check_running_mem"): lambda lab: lab.stop(101),
    ("pct_mutate", "status_badbridge"): lambda lab: lab.stop(103),
    ("pct_mutate", "snap_dir_raw"): lambda lab: lab.cluster.update(101, template=1),
    ("pct_mutate", "list_mounted"): lambda lab: lab.cluster.update(103, lock="mounted"),
    ("pct_round3", "pvesh_get_json"): lambda lab: lab.migrate(101, "pve2"),
    ("no_quorum", "nq_list"): lambda lab: lab.cluster.set_online("pve2", online=False),
}


@pytest.mark.rows("PVE-21", "PVE-22", "PVE-23", "PVE-25", "PVE-26", "PVE-27", "PVE-28", "PVE-30", "PVE-35", "PVE-37")
@pytest.mark.parametrize("series", SERIES)
def test_runs_are_as_recorded(series: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    need_real_containers()
    runs = [found for found in transcripts() if found.series == series]
    files = tmp_path_factory.mktemp("files")
    equal, unlike, wrong = 0, [], {}
    with opened(runs[0].release, tmp_path_factory.mktemp("lab"), cache_dir({}), REAL[runs[0].release]) as lab:
        for recorded in runs:
            BEFORE.get((series, recorded.name), lambda _lab: None)(lab)
            if not recorded.supported:
                continue
            found = compare(lab, recorded, files)
            if {recorded.name, f"{series}/{recorded.name}"} & UNLIKE.keys():
                unlike.append(recorded.name)
            elif found:
                wrong[recorded.name] = found
            else:
                equal += 1
    supported = equal + len(unlike) + len(wrong)
    told = f"{len(runs)} runs, supported {supported}, equal {equal}, unlike by nature {len(unlike)}"
    sys.stdout.write(f"{series}: {told}\n")
    assert not wrong, "\n".join([told, *(f"{name}: {why}" for name, why in wrong.items())])
    assert supported >= SERIES[series][0], told
    assert equal >= SERIES[series][1], told


def compare(lab: Lab, recorded: Transcript, files: Path) -> list[str]:
    """Make a recorded run on a lab and return how it differs."""
    program = lab.nodes[0].bin_dir / recorded.argv[0]
    words = [_here(word, files) for word in recorded.argv[1:]]
    done = run(
        [str(program), *words], timeout=60, stdin=recorded.stdin.encode() if recorded.stdin else None, env=ENVIRON
    )
    said = [
        stream.decode("utf-8", "backslashreplace").replace(str(files), "/tmp") for stream in (done.stdout, done.stderr)
    ]
    return differ(recorded, done.exit_code, *said)


def _here(word: str, files: Path) -> str:
    """Return a word of a command line with the recorded machine's scratch files in a directory of our own."""
    for name in ("p.txt", "big.bin"):
        (files / name).write_text("payload\n")
    scratch = word.startswith("/tmp/") and not word.startswith("/tmp/nosuch")
    return str(files / Path(word).name) if scratch else word
