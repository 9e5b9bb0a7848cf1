"""``./run molecule``: play scenarios of Molecule one after the other, and end with a table of them.

``./run molecule agent -- --destroy never`` hands what follows ``--`` to ``molecule test``. Another command of
Molecule takes the place of ``test`` by ``--command``: ``./run molecule agent --command converge``.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nanny_ops.errors import NannyError, SettingsError
from nanny_ops.lab import systemd_machine
from nanny_ops.lab.child import show
from nanny_ops.lab.yard_keeper import OWNER, sweep

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "molecule"
#: Commands that leave the machines up for a person to look at, until ``destroy``.
LASTING = ("create", "prepare", "converge", "idempotence", "verify", "side-effect", "login", "list", "check")
COMMANDS = ("test", "destroy", "cleanup", "syntax", "reset", *LASTING)
#: Seconds for a scenario, images that have to be built included.
DEADLINE = 3600.0
#: What an interrupted program ends with.
INTERRUPTED = 130


@dataclass(frozen=True)
class Played:
    """How a scenario ended, and the seconds that it took."""

    name: str
    exit_code: int
    seconds: float

    def __str__(self) -> str:
        """Return its line of the table."""
        how = "passed" if self.exit_code == 0 else f"FAILED ({self.exit_code})"
        return f"{self.name:<24} {how:<12} {self.seconds:7.1f} s"


def names(folder: Path = FOLDER) -> list[str]:
    """Return the scenarios that there are."""
    return sorted(path.parent.name for path in folder.glob("*/molecule.yml"))


def chosen(wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """Return the scenarios to play, all where none is named. Raises SettingsError."""
    for name in wanted:
        if name not in there:
            raise SettingsError(f"There is no scenario '{name}'; there is: {', '.join(there)}.")
    return list(wanted or there)


def environment(environ: Mapping[str, str], command: str, options: Sequence[str] = ()) -> dict[str, str]:
    """Return what Molecule is told: where programs lie, and with whom the machines are to end."""
    path = f"{Path(sys.executable).parent}:{environ.get('PATH', '/usr/bin:/bin')}"
    own = {"PATH": path, "MOLECULE_PROJECT_DIRECTORY": str(ROOT), "LC_ALL": "C.UTF-8"}
    own["MOLECULE_COMMAND_BORDERS"] = "false"  # which break long lines
    if command not in LASTING and "never" not in options:
        own[OWNER] = str(os.getpid())
    return {**environ, **own}


def play(
    scenarios: Sequence[str], run: Callable[[str], int], clock: Callable[[], float] = time.monotonic
) -> list[Played]:
    """Play scenarios in turn, also after one that failed."""
    played = []
    for name in scenarios:
        began = clock()
        code = run(name)
        played.append(Played(name, code, clock() - began))
    return played


def conduct(command: str, options: Sequence[str], environ: Mapping[str, str]) -> Callable[[str], int]:
    """Return what has Molecule carry out a command on a scenario, and destroy what it was at when interrupted."""
    program = str(Path(sys.executable).parent / "molecule")

    def run(name: str) -> int:
        try:
            return show([program, command, "--scenario-name", name, *options], environ, DEADLINE)
        except KeyboardInterrupt:
            if command == "test":
                show([program, "destroy", "--scenario-name", name], environ, DEADLINE)
            raise

    return run


def _interrupt(*_signal: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Play what the command line names, print the table and return the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    cut = given.index("--") if "--" in given else len(given)
    about = f"Play scenarios of Molecule: {', '.join(names())}; all of them where none is named."
    parser = argparse.ArgumentParser(prog="./run molecule", description=about)
    parser.add_argument("scenario", nargs="*", help="Which to play.")
    parser.add_argument("--command", choices=COMMANDS, default="test", help="What Molecule is to do; by default test.")
    options = parser.parse_args(given[:cut])
    signal.signal(signal.SIGTERM, _interrupt)
    further = given[cut + 1 :]
    try:
        scenarios = chosen(options.scenario, names())
        environ = environment(os.environ, options.command, further)
        played = play(scenarios, conduct(options.command, further, environ))
    except NannyError as wrong:
        print(f"./run molecule: {wrong}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\n./run molecule: interrupted.", file=sys.stderr)
        return INTERRUPTED
    finally:
        if not systemd_machine.missing():
            sweep()
    print("", *played, sep="\n", flush=True)
    return max((one.exit_code for one in played), default=0)


if __name__ == "__main__":
    sys.exit(main())
