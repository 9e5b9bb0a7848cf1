"""The helper judges reboots by the owner's policy, begins each once, and none beside a job."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import DiskFull, VerbRefused
from nanny_ops.helper.judge import Judge
from nanny_ops.helper.keyring import Keyring
from nanny_ops.helper.ledger import Ledger
from nanny_ops.helper.reboots import MOST, Reboots
from nanny_ops.machine import rebooter
from nanny_ops.machine.run import Done
from nanny_ops.machine.verbs import ForgetReboot, LookReboot, RebootOrder, StartReboot

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORDER = RebootOrder(reboot_id="reboot-1", kind="lxc", vmid=101, reason="", timeout_seconds=300)


class Bench:
    """A helper's reboots over a target that counts."""

    def __init__(self, folder: Path, policy: str) -> None:
        (folder / "policy.toml").write_text(policy)
        (folder / "policy.toml").chmod(0o600)
        self.life = 0
        judge = Judge(folder / "policy.toml", Keyring(folder / "a", folder / "b", lambda: NOON), lambda: NOON)
        self.ledger = Ledger(folder / "begun")
        self.folder = folder / "reboots"
        self.reboots = Reboots(
            folder / "jobs", judge, self.ledger, mark=lambda _kind, _vmid: f"life-{self.life}", launch=self.launch
        )

    def launch(self, directory: Path, _order: RebootOrder) -> Done:
        def run(argv: list[str], **_how: Any) -> Done:
            self.life += 1
            return Done(argv=tuple(argv), exit_code=0, stdout=b"", stderr=b"")

        rebooter.ask(directory, run)
        return Done(argv=(), exit_code=0, stdout=b"", stderr=b"")

    def start(self, **more: Any) -> bool:
        return self.reboots.do(StartReboot(order=replace(ORDER, **more))).proved


ALLOWED = "operations = ['reboot']\ntargets = [101, 'host']\n"


def test_one_that_is_allowed_is_begun_once_and_never_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ALLOWED)
    assert bench.start()
    assert bench.start()
    bench.reboots.do(ForgetReboot(reboot_id="reboot-1"))
    with pytest.raises(VerbRefused, match="begun before"):
        bench.start()
    assert bench.life == 1


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        ("", "kind reboot"),
        ("operations = ['patch']", "kind reboot"),
        ("operations = ['reboot']\ntargets = [102]", "target 101"),
        ("operations = ['reboot']\ntimes = ['sat']\ntime_zone = 'UTC'", "begin now"),
        ("operations = [", "cannot be read"),
    ],
)
def test_the_owners_policy_is_asked(tmp_path: Path, policy: str, word: str) -> None:
    bench = Bench(tmp_path, policy)
    with pytest.raises(VerbRefused, match=word) as found:
        bench.start()
    assert found.value.details["outcome"] == "refused"
    assert bench.life == 0


@pytest.mark.parametrize(
    "forged",
    [
        {"kind": "host"},
        {"vmid": None},
        {"kind": "qemu; id"},
        {"kind": ""},
        {"vmid": 99},
        {"vmid": -1},
        {"timeout_seconds": 29},
        {"timeout_seconds": 3601},
        {"reason": "x" * 1025},
        {"claim": "a b"},
        {"reboot_id": "../jobs"},
        {"reboot_id": "-x"},
    ],
    ids=repr,
)
def test_a_forged_shape_is_refused(tmp_path: Path, forged: dict[str, Any]) -> None:
    bench = Bench(tmp_path, ALLOWED)
    with pytest.raises(VerbRefused):
        bench.start(**forged)
    assert (bench.life, bench.folder.exists()) == (0, False)


def test_looking_needs_no_permission_and_leaves_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "")
    for verb in (LookReboot(reboot_id="reboot-1"), ForgetReboot(reboot_id="reboot-1")):
        assert not bench.reboots.do(verb).begun
    assert not bench.folder.exists()
    assert "reboot-1" not in bench.ledger


def test_there_is_room_for_so_many(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ALLOWED)
    for number in range(MOST):
        (bench.folder / str(number)).mkdir(parents=True)
    with pytest.raises(DiskFull):
        bench.start()
