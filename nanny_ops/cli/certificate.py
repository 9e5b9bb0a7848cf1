"""The control plane's own certificate, signed by an authority that lies on its machine."""

import grp
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from nanny_ops.cli.table import AsJson, show_one
from nanny_ops.control.services import certificate as service
from nanny_ops.control.services.certificate import Pair
from nanny_ops.errors import MachineError, SettingsError
from nanny_ops.machine.run import run
from nanny_ops.protocol.clock import now

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A certificate by an authority of one's own.")
DIRECTORY = Path("/etc/nanny-ops/tls")
#: Mode of the key that the service reads.
GROUP_READS = 0o640
#: Seconds for a restart of the control plane, which lets requests end.
RESTART_DEADLINE = 120.0


@app.callback()
def certificate() -> None:
    """Look after the control plane's own certificate."""


@app.command("make")
def make(
    name: Annotated[list[str] | None, typer.Option("--name", help="Host name or address; repeatable.")] = None,
    directory: Annotated[Path, typer.Option("--directory", help="Where authority and certificate lie.")] = DIRECTORY,
    group: Annotated[str, typer.Option("--group", help="Group that may read the certificate's key.")] = "nanny-ops",
    restart: Annotated[str, typer.Option("--restart", help="Unit to restart where something was made.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be made.")] = False,
) -> None:
    """Make authority and certificate where they are missing, end within a month or are for other names than given."""
    made = Shelf(directory, group).renew(name or [], now(), only_tell=dry_run)
    typer.echo("\n".join(made) or "Nothing to do.")
    if made and restart and not dry_run:
        done = run(["systemctl", "try-restart", restart], timeout=RESTART_DEADLINE)
        if done.exit_code != 0:
            raise MachineError(f"{restart} was not restarted: {done.stderr.decode(errors='replace').strip()}")


@app.command("show")
def show(
    directory: Annotated[Path, typer.Option("--directory", help="Where authority and certificate lie.")] = DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show the certificate, also one that was made elsewhere, and in JSON the authority beside it."""
    try:
        told = service.describe((directory / "cert.pem").read_bytes())
    except OSError as wrong:
        raise SettingsError(f"Cannot read {wrong.filename}: {wrong.strerror}.") from wrong
    authority = directory / "ca.pem"
    known = authority.read_text() if authority.exists() else ""
    show_one({**told, **({"authority": known} if as_json else {})}, as_json=as_json)


@dataclass(frozen=True)
class Shelf:
    """A directory with an authority (``ca.pem``, ``ca-key.pem``) and its certificate (``cert.pem``, ``key.pem``)."""

    directory: Path
    #: May read ``key.pem``; one that is not there leaves it to the owner alone.
    group: str

    def renew(self, names: Sequence[str], at: datetime, *, only_tell: bool = False) -> list[str]:
        """Make what has to be made and tell it; without names those of the present certificate stay.

        Raises SettingsError, ValidationFailed.
        """
        told: list[str] = []
        authority = self._read("ca.pem", "ca-key.pem")
        if authority is None and (self.directory / "ca.pem").exists():
            raise SettingsError(
                f"{self.directory}/ca-key.pem is missing. Bring it back; or remove ca.pem for a new authority, which "
                "all agents must then be told of."
            )
        if authority is None:
            authority = service.make_authority(at)
            told.append("A new authority is made; whoever trusts this control plane needs its ca.pem.")
            if not only_tell:
                self._write("ca-key.pem", authority.key, 0o600)
                self._write("ca.pem", authority.certificate, 0o644)
        wrong = self._trouble(authority, names, at)
        if wrong:
            told.append(f"The certificate is made anew: {wrong}.")
            if not only_tell:
                present = self._read("cert.pem", "key.pem")
                fresh = service.issue(authority, names or service.names_of(present.certificate if present else b""), at)
                self._write("key.pem", fresh.key, GROUP_READS)
                self._write("cert.pem", fresh.certificate, 0o644)
        return told

    def _trouble(self, authority: Pair, names: Sequence[str], at: datetime) -> str:
        present = self._read("cert.pem", "key.pem")
        if present is None:
            if not names:
                raise SettingsError(f"There is no certificate in {self.directory} yet; say --name.")
            return "there is none yet"
        if not service.matches(present):
            return "its key is another one's"
        wanted = names or service.names_of(present.certificate)
        return service.what_is_wrong(authority.certificate, present.certificate, wanted, at)

    def _read(self, certificate: str, key: str) -> Pair | None:
        try:
            return Pair((self.directory / certificate).read_bytes(), (self.directory / key).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as wrong:
            raise SettingsError(f"Cannot read {wrong.filename}: {wrong.strerror}.") from wrong

    def _write(self, name: str, content: bytes, mode: int) -> None:
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = self.directory / f".{name}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
            if mode == GROUP_READS and os.geteuid() == 0:
                os.fchown(out.fileno(), -1, self._gid())
            os.fchmod(out.fileno(), mode)
        fresh.replace(self.directory / name)

    def _gid(self) -> int:
        try:
            return grp.getgrnam(self.group).gr_gid
        except KeyError:
            raise SettingsError(f"There is no group '{self.group}'; say --group.") from None
