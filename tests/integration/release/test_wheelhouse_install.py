"""A wheelhouse that was built is installed by its own installer, once, and not when it is damaged."""

import fcntl
import json
import shutil
import stat
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from release.collection import PLACE
from release.product import AGENT
from release.wheel import MACHINES, PYTHONS, architecture
from release.wheelhouse import build

MINE = f"{sys.version_info.major}.{sys.version_info.minor}"
pytestmark = [
    pytest.mark.skipif(MINE not in PYTHONS, reason=f"Wheelhouses are not made for Python {MINE}."),
    pytest.mark.timeout(600),
]
#: Seconds: installing takes eight of processor time, and a machine may have thirty others to do.
DEADLINE = 300
EPOCH = 1_760_000_000
VERSION = "9.0.0"
#: The agent's wheels, since they are few, with the collection that the control plane's wheelhouse carries.
PRODUCT = replace(AGENT, collection=True)
#: Asks what is installed for the playbook, for all that lie beside it, and for the environment of a run.
ASK = """
import json
from nanny_ops.control.playbooks.catalogue import Catalogue
from nanny_ops.control.playbooks.folder import Order
from nanny_ops.control.playbooks.runner import environment
found = Catalogue(None, 60).find("rollout_agents").path
order = Order(run_id="", playbook="", check=True, timeout=60, memory=512, forks=1, ansible_home="ansible")
print(json.dumps([[str(path) for path in found.parent.glob("*[!a].yml")], environment(order)]))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheelhouse")
    built = build(VERSION, EPOCH, place, MACHINES[architecture()], product=PRODUCT)
    shutil.unpack_archive(built, place / "house", filter="data")
    return place / "house"


def install(house: Path, prefix: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    argv = [house / "install.sh", "--prefix", prefix, "--python", sys.executable, *options]
    environ = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE, env=environ, check=False)


def version(prefix: Path) -> str:
    asked = [prefix / "bin/nanny-agent", "--version"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


@pytest.fixture(scope="module")
def installed(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("installed") / "prefix with space"
    for old in ("8.0.0", "8.1.0"):
        (prefix / "versions" / old / "bin").mkdir(parents=True)
        (prefix / "versions" / old / "manifest.json").write_text("{}")
    (prefix / "current").symlink_to("versions/8.1.0")
    (prefix / "versions" / VERSION / "lib").mkdir(parents=True)  # half a version, as after a loss of power
    (prefix / "trial").mkdir()
    (prefix / "trial/to").write_text("8.1.0\n")
    done = install(unpacked, prefix)
    assert done.returncode == 0, done.stderr
    return prefix


def test_a_version_is_installed_beside_the_one_before_and_older_ones_go(unpacked: Path, installed: Path) -> None:
    for _ in range(2):
        assert version(installed) == f"nanny-agent {VERSION}"
        assert sorted(path.name for path in (installed / "versions").iterdir()) == ["8.1.0", VERSION]
        done = install(unpacked, installed)
        assert done.returncode == 0, done.stderr
    assert "9.0.0 on the machine while this one was on trial" in (installed / "trial/returned").read_text()


def test_playbooks_that_ship_find_the_roles_that_ship(installed: Path, tmp_path: Path) -> None:
    ansible = {"PYTHONPATH": sysconfig.get_path("purelib")}  # without the project, which lies elsewhere
    argv = [installed / "versions" / VERSION / "bin/python", "-P", "-c", ASK]  # as programs have it in their first line
    asked = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=ansible, cwd=tmp_path, check=False)
    assert asked.returncode == 0, asked.stderr
    playbooks, environment = json.loads(asked.stdout)
    assert {"rollout_agents.yml", "uninstall.yml"} <= {Path(path).name for path in playbooks}
    assert all(Path(path).is_relative_to(installed / "versions" / VERSION) for path in playbooks)
    assert environment["ANSIBLE_COLLECTIONS_PATH"].startswith(f"{installed}/versions/{VERSION}/ansible/collections:")
    check = [Path(sys.executable).with_name("ansible-playbook"), "--syntax-check", *playbooks]
    checked = subprocess.run(
        check, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("playbook: ") == len(playbooks)


def test_nobody_else_writes_the_collection_and_what_is_otherwise_is_named(unpacked: Path, installed: Path) -> None:
    collection = installed / "versions" / VERSION / PLACE
    modes = [path.stat().st_mode for path in (collection, *collection.rglob("*"))]
    assert all(mode & 0o044 == 0o044 and not mode & (stat.S_IWGRP | stat.S_IWOTH) for mode in modes)
    assert install(unpacked, installed, "--verify").stdout == ""
    changed, gone, extra = (collection / name for name in ("README.md", "MANIFEST.json", "plugins/modules/extra.py"))
    with changed.open("a") as file:
        file.write("more")
    gone.unlink()
    extra.touch()
    done = install(unpacked, installed, "--verify")
    assert (done.returncode, done.stdout.splitlines()) == (1, sorted(map(str, (changed, gone, extra))))


def test_what_was_installed_is_removed(unpacked: Path, installed: Path, tmp_path: Path) -> None:
    prefix = shutil.copytree(installed, tmp_path / "prefix", symlinks=True)
    for left in ("start", "failed.json", ".start.new", ".failed.json.new", ".current.new"):  # by updates, some killed
        (prefix / left).write_text("")
    for left in (".staging", ".trial.new"):
        (prefix / left / "tree").mkdir(parents=True)
    done = install(unpacked, prefix, "--remove")
    assert done.returncode == 0, done.stderr
    assert not prefix.exists()


def test_two_installations_do_not_meet(unpacked: Path, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = install(unpacked, tmp_path)
    assert done.returncode == 1
    assert "another version is being installed" in done.stderr


def test_what_was_damaged_on_its_way_is_not_installed(unpacked: Path, tmp_path: Path) -> None:
    house = tmp_path / "house"
    shutil.copytree(unpacked, house)
    wheel = next(house.glob("wheels/psutil-*"))
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    done = install(house, tmp_path / "prefix")
    assert done.returncode == 1
    assert f"{wheel} is not what the manifest says" in done.stderr
    assert not (tmp_path / "prefix").exists()


def test_a_python_without_wheels_is_refused_by_name(unpacked: Path, tmp_path: Path) -> None:
    house = tmp_path / "house"
    shutil.copytree(unpacked, house)
    told = (house / "manifest.json").read_text()
    (house / "manifest.json").write_text(told.replace(f'"{MINE}"', '"3.99"'))
    done = install(house, tmp_path / "prefix")
    assert done.returncode == 1
    assert "no Python that these wheels are made for" in done.stderr


@pytest.mark.parametrize("words", [["--prefix"], ["--prefix", "relative"], ["--surprise"]])
def test_wrong_words_are_refused(unpacked: Path, words: list[str]) -> None:
    argv = [unpacked / "install.sh", *words]
    assert subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode in (1, 2)
