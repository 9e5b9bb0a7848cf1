"""The command ``nanny-agent-helper``: started by its socket as root, ends when nobody asks.

Exit codes: 0 nobody asked any more, 2 a setting or the start is wrong.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path

import nanny_ops
from nanny_ops.errors import NannyError, SettingsError
from nanny_ops.helper import owned
from nanny_ops.helper.activation import listener
from nanny_ops.helper.catalogue import Catalogue
from nanny_ops.helper.deeds import Deeds
from nanny_ops.helper.judge import Judge
from nanny_ops.helper.keyring import Keyring
from nanny_ops.helper.ledger import Ledger
from nanny_ops.helper.peer import allowed
from nanny_ops.helper.prunes import Prunes
from nanny_ops.helper.reboots import Reboots
from nanny_ops.helper.server import Server
from nanny_ops.helper.settings import DEFAULT_FILE, load
from nanny_ops.machine import pinned_keys, versions
from nanny_ops.machine.job import FOLDER
from nanny_ops.machine.procedure import access
from nanny_ops.protocol.clock import now

log = logging.getLogger(__name__)
#: Seconds before a helper that cannot start ends: its socket starts the next at once for as long as somebody waits.
DAMPING = 5.0


def build_parser() -> argparse.ArgumentParser:
    """Return the command line; everything else stands in a file that only root may write."""
    text = "The privileged helper of nanny-agent; its socket starts it."
    parser = argparse.ArgumentParser(prog="nanny-agent-helper", description=text, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nanny-agent-helper {nanny_ops.__version__}")
    parser.add_argument("--config", metavar="FILE", type=Path, help=f"File of settings, instead of {DEFAULT_FILE}.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until idle and return the exit code."""
    options = build_parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level="INFO", format="%(levelname)s %(name)s %(message)s")
    os.umask(0o077)
    try:
        serve(options.config, os.environ)
    except NannyError as wrong:
        log.error("event=not_started reason=%r", wrong.message)
        return 2
    return 0


def serve(config: Path | None, environ: MutableMapping[str, str], pause: Callable[[float], None] = time.sleep) -> None:
    """Put the parts together and serve until idle. Raises SettingsError."""
    with listener(environ, os.getpid()) as socket:
        try:
            settings = load(config)
            user = allowed(settings.user)
            owned.make_folder(settings.state_dir)
        except SettingsError:
            pause(DAMPING)
            raise
        keyring = Keyring(settings.trusted_keys_file, settings.state_dir / pinned_keys.NAME, now)
        judge = Judge(settings.policy_file, keyring, now)
        access.write(settings.state_dir / FOLDER, settings.proxmox)
        jobs_dir, ledger = settings.state_dir / FOLDER, Ledger(settings.state_dir / "begun")
        deeds, reboots = Deeds(jobs_dir, judge, ledger, user.gid), Reboots(jobs_dir, judge, ledger)
        catalogue = Catalogue(judge, deeds, reboots, Prunes(jobs_dir, judge, ledger), user.uid)
        Server(socket, catalogue.do, user.permits, idle=settings.idle_seconds, replaced=versions.replaced).serve()
