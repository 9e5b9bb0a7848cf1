"""What the helper can be told: one table, read from one TOML file that only root may write."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanny_ops.errors import SettingsError
from nanny_ops.helper import owned
from nanny_ops.machine.procedure.access import JobAccess
from nanny_ops.machine.verbs import ProxmoxAccess

DEFAULT_FILE = Path("/etc/nanny-ops/helper.toml")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the table; ``key`` is the TOML key and the field of :class:`Settings`."""

    key: str
    kind: str
    default: str | int
    help: str


SETTINGS: tuple[Setting, ...] = (
    Setting(key="user", kind="text", default="nannyagent", help="Name or number of the user that the daemon runs as."),
    Setting(
        key="state_dir",
        kind="path",
        default="/var/lib/nanny-agent-helper",
        help="Directory of the jobs, written by root only.",
    ),
    Setting(
        key="policy_file",
        kind="path",
        default="/etc/nanny-ops/policy.toml",
        help="File of the local policy; without it only readings and dry runs are allowed.",
    ),
    Setting(
        key="trusted_keys_file",
        kind="path",
        default="/etc/nanny-ops/trusted-keys",
        help="File of the keys that must sign scripts; without it those count that root has registered.",
    ),
    Setting(
        key="pve_url",
        kind="text",
        default="https://127.0.0.1:8006",
        help="Address of this node's own API, for jobs that protect guests.",
    ),
    Setting(
        key="pve_token_file",
        kind="path",
        default="/etc/nanny-ops/pve-job-token",
        help="File of the API token for such jobs, user@realm!name=secret; without it nothing is protected.",
    ),
    Setting(key="pve_fingerprint", kind="text", default="", help="SHA-256 of that API's certificate, in hex."),
    Setting(
        key="pve_ca_file",
        kind="path",
        default="/etc/pve/pve-root-ca.pem",
        help="File of PEM certificates that sign that API's certificate, where there is no fingerprint.",
    ),
    Setting(key="idle_seconds", kind="seconds", default=60, help="Seconds without a verb until it ends, 1 to 3600."),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings as the rest of the helper sees them."""

    user: str
    state_dir: Path
    policy_file: Path
    trusted_keys_file: Path
    idle_seconds: int
    pve_url: str
    pve_token_file: Path
    pve_fingerprint: str
    pve_ca_file: Path

    @property
    def proxmox(self) -> JobAccess | None:
        """Return how jobs reach Proxmox VE, None without a token. Raises SettingsError."""
        if not self.pve_token_file.exists():
            return None
        owned.demand(self.pve_token_file)
        if self.pve_token_file.stat().st_mode & 0o077:
            raise SettingsError(f"{self.pve_token_file} holds a token; only root may read it (chmod 600).")
        token = self.pve_token_file.read_text("utf-8", "replace").strip()
        ca_file = "" if self.pve_fingerprint else str(self.pve_ca_file)
        found = ProxmoxAccess(url=self.pve_url, token=token, ca_file=ca_file, fingerprint=self.pve_fingerprint)
        return JobAccess(access=found)


def load(path: Path | None) -> Settings:
    """Read the file, or without one the default file where it is there. Raises SettingsError."""
    table = _table(path or DEFAULT_FILE, must_exist=path is not None)
    rows = {row.key: row for row in SETTINGS}
    for key in table:
        if key not in rows:
            raise SettingsError(f"'{key}' is not a setting of the helper; use {', '.join(rows)}.")
    return Settings(**{key: _read(row, table.get(key, row.default)) for key, row in rows.items()})


def _table(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not must_exist and not path.exists():
        return {}
    owned.demand(path)
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as wrong:
        raise SettingsError(f"The settings file {path} cannot be read: {wrong}") from wrong


def _read(row: Setting, value: Any) -> Any:
    if row.kind == "seconds":
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 3600:
            raise SettingsError(f"'{row.key}' must be a whole number from 1 to 3600.")
        return value
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise SettingsError(f"'{row.key}' must be a text.")
    if row.kind != "path":
        return str(value)
    if not str(value).startswith("/"):
        raise SettingsError(f"'{row.key}' must be a whole path, from / on.")
    return Path(str(value))
