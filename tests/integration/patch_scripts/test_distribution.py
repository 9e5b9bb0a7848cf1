"""Each distribution, by what its os-release says, is taken by the script that is sent there, not by its neighbour."""

import json
from pathlib import Path

import pytest

from nanny_ops.machine.run import run
from nanny_ops.patch_scripts.assembled import assembled, scripts
from nanny_ops.patch_scripts.distribution import SERVED, script_for

RECORDED = json.loads((Path(__file__).parents[2] / "recorded/os-release.json").read_text())
#: What a script needs to find before it reads on; none of them tells anything, so each script ends soon after.
PROGRAMS = ("apt-get", "apt", "apt-mark", "apt-config", "dpkg-query", "dnf", "yum", "zypper", "pacman", "apk", "rpm")
#: Another script that might take what is served by this one; both are asked.
NEIGHBOURS = {"dnf": "yum.sh", "yum": "dnf.sh", "apk": "apt.sh", "pacman": "apk.sh", "zypper": "dnf.sh"}


def system(folder: Path, release: dict[str, str]) -> dict[str, str]:
    """Lay a root with nothing but os-release; return the environment in which a script takes it for the machine."""
    (folder / "root/etc").mkdir(parents=True)
    lines = {"ID": release["id"], "ID_LIKE": release["like"], "VERSION_ID": release["version"]}
    text = "".join(f'{key}="{value}"\n' for key, value in lines.items() if value)
    (folder / "root/etc/os-release").write_text(text)
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        (folder / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / "bin" / name).chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "NANNY_ROOT": str(folder / "root"), "NANNY_LOCK_PAUSE": "0"}


@pytest.mark.rows("C2")
@pytest.mark.parametrize("release", RECORDED, ids=lambda one: f"{one['id']} {one['version']}".strip())
def test_it_is_taken_by_the_script_that_is_sent(tmp_path: Path, release: dict[str, str]) -> None:
    sent, _ = script_for([f"{release['id']}:{release['version']}", *release["like"].split()])
    assert sent == release["script"]
    environment = system(tmp_path, release)
    takes = set()
    for script in sorted({f"{sent or 'apt'}.sh", NEIGHBOURS.get(sent, "dnf.sh")}):
        (tmp_path / script).write_bytes(assembled(script))
        done = run(["dash", str(tmp_path / script), "--dry-run", "--lock-timeout=0"], timeout=60, env=environment)
        if done.exit_code == 3:
            assert f"this system calls itself '{release['id']}' {release['version']}; this" in done.stderr.decode()
        else:
            takes.add(script.removesuffix(".sh"))
            assert done.exit_code == 100, done.stderr.decode()
    assert takes == ({sent} if sent else set())


def test_an_image_that_is_replaced_as_a_whole_is_left_alone(tmp_path: Path) -> None:
    environment = system(tmp_path, {"id": "fedora", "like": "", "version": "41"})
    (tmp_path / "root/run").mkdir()
    (tmp_path / "root/run/ostree-booted").touch()
    (tmp_path / "dnf.sh").write_bytes(assembled("dnf.sh"))
    done = run(["dash", str(tmp_path / "dnf.sh"), "--dry-run"], timeout=60, env=environment)
    assert (done.exit_code, b"rpm-ostree" in done.stderr) == (3, True)


def test_each_script_serves_somebody_and_no_word_has_two() -> None:
    scripts_of = {name: script for script, words in SERVED.items() for name in words}
    assert set(SERVED) == {script.removesuffix(".sh") for script in scripts()}
    assert {one["script"] for one in RECORDED} == {*SERVED, ""}
    assert len(scripts_of) == sum(len(words) for words in SERVED.values())
