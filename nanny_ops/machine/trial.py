"""A version on trial: a folder ``PREFIX/trial`` that the starter can read without any Python.

``to`` and ``from`` name versions, ``boots`` counts the starts since the switch, ``order`` tells of the update.
``returned`` or ``confirmed`` end the trial; whoever has told what it came to removes the folder.
"""

import json
import shutil
from importlib import resources
from pathlib import Path

from nanny_ops.machine.kept_file import sync_folder
from nanny_ops.machine.update_verbs import SwitchUpdate, UpdatePhase, UpdateState
from nanny_ops.machine.versions import Versions, read_json, write

TRIAL, START, FAILED = "trial", "start", "failed.json"
#: Releases that are remembered as failed.
MOST_FAILED = 16
#: Where the starter lies in the package.
SOURCE = "start.sh"


def equip(versions: Versions) -> None:
    """Put this version's starter beside the versions: the one that is known to work counts the next one's starts."""
    write(versions.prefix / START, (resources.files("nanny_ops") / "machine" / SOURCE).read_text())
    (versions.prefix / START).chmod(0o755)


def begin(versions: Versions, order: SwitchUpdate, to: str) -> None:
    """Write down that a version is on trial; the switch comes after. Raises OSError."""
    folder, new = versions.prefix / TRIAL, versions.prefix / f".{TRIAL}.new"
    for old in (folder, new):
        shutil.rmtree(old, ignore_errors=True)
    new.mkdir()
    new.chmod(0o755)
    told = {"order_id": order.order_id, "claim": order.claim, "sha256": order.sha256}
    for name, text in {"to": to, "from": versions.current, "boots": "0", "order": json.dumps(told)}.items():
        write(new / name, text + "\n")
    new.rename(folder)
    sync_folder(versions.prefix)


def look(versions: Versions) -> UpdateState:
    """Return how the trial stands. Raises MachineError."""
    folder = versions.prefix / TRIAL
    told = read_json(folder / "order")
    phase = UpdatePhase.TRIAL if told else UpdatePhase.NONE
    for ended in (UpdatePhase.RETURNED, UpdatePhase.CONFIRMED):
        phase = ended if told and (folder / ended).exists() else phase
    return UpdateState(
        phase=phase,
        order_id=str(told.get("order_id", "")),
        claim=str(told.get("claim", "")),
        sha256=str(told.get("sha256", "")),
        target=_line(folder / "to"),
        reason=_line(folder / "returned"),
        current=versions.current,
        installed=versions.installed(),
        failed=failed(versions),
    )


def confirm(versions: Versions) -> None:
    """End the trial well. Raises OSError."""
    write(versions.prefix / TRIAL / UpdatePhase.CONFIRMED, "\n")


def give_back(versions: Versions, reason: str) -> None:
    """Return to the version before. Raises OSError, MachineError."""
    folder = versions.prefix / TRIAL
    versions.switch(_line(folder / "from"))
    write(folder / UpdatePhase.RETURNED, reason + "\n")


def end(versions: Versions) -> None:
    """Forget the trial."""
    shutil.rmtree(versions.prefix / TRIAL, ignore_errors=True)


def failed(versions: Versions) -> list[str]:
    """Return the SHA-256 of releases that have failed here, oldest first."""
    return [str(one) for one in read_json(versions.prefix / FAILED).get("sha256", [])]


def remember(versions: Versions, sha256: str) -> None:
    """Refuse a release from now on. Raises OSError."""
    kept = [*(one for one in failed(versions) if one != sha256), sha256]
    write(versions.prefix / FAILED, json.dumps({"sha256": kept[-MOST_FAILED:]}) + "\n")


def forgive(versions: Versions, sha256: str) -> None:
    """Do not refuse a release any more: it has worked. Raises OSError."""
    kept = [one for one in failed(versions) if one != sha256]
    if kept != failed(versions):
        write(versions.prefix / FAILED, json.dumps({"sha256": kept}) + "\n")


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
