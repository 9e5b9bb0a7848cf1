"""What the control plane can be told: by flags, by the environment, by a TOML file, in this order of precedence."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from nanny_ops.errors import SettingsError

PREFIX = "NANNY_"
#: Variables with this beginning belong to the agent.
AGENT_PREFIX = "NANNY_AGENT_"
#: Variables of people's commands: where the control plane is, and who they are there.
PEOPLE = frozenset({"NANNY_URL", "NANNY_TOKEN"})
DEFAULT_FILE = Path("/etc/nanny-ops/control.toml")
#: Credential that systemd hands over (LoadCredential= in the unit) -> the setting that it is for.
CREDENTIALS = {"nanny-ops.database-url": "database_url", "nanny-ops.secret-key": "secret_key"}


class Settings(BaseModel):
    """Every setting of the control plane; the descriptions are the documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Field(
        Path("/var/lib/nanny-ops"), description="Directory of the database, the keys and uploaded results."
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL address (postgresql://...); empty means SQLite in the data directory."
    )
    secret_key: SecretStr = Field(
        SecretStr(""), description="Key that signs tokens; empty means a key file made in the data directory."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 lets the system choose.")
    tls_cert: Path | None = Field(None, description="Certificate chain in PEM; needs tls_key.")
    tls_key: Path | None = Field(None, description="Private key in PEM; needs tls_cert.")
    behind_proxy: bool = Field(
        False, description="A reverse proxy on this machine ends TLS; its forwarding headers are believed."
    )
    public_url: str = Field("", description="Address that people and agents use; shown as verification_uri.")
    rate_limits: Literal["on", "off"] = Field("on", description="Switches request limits; off is for benchmarks.")
    log_format: Literal["console", "json"] = Field("console", description="Shape of the log on stderr.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity logged.")
    result_cap_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="Largest upload of results, in bytes; larger ones get 413."
    )
    metrics_retention_hours: int = Field(48, ge=1, description="Hours that raw metrics are kept.")
    event_retention_hours: int = Field(720, ge=1, description="Hours that events are kept for replay.")
    output_retention_days: int = Field(
        90, ge=0, description="Days that what scripts printed is kept after the end of an operation; 0 keeps it."
    )
    operation_retention_days: int = Field(
        730, ge=0, description="Days that ended operations and batches are kept, audit log apart; 0 keeps them."
    )
    survey_hours: int = Field(
        24, ge=0, description="Hours between two looks at what waits for a host or guest, by a dry run; 0 looks never."
    )
    patch_node_limit: int = Field(4, ge=1, description="Patches that run at once on one node and its guests.")
    patch_storage_limit: int = Field(
        4, ge=1, description="Patches that run at once on guests of one storage, of those that are to be protected."
    )
    patch_cluster_limit: int = Field(16, ge=1, description="Patches that run at once in one cluster.")
    snapshot_keep: int = Field(
        1, ge=0, le=100, description="Our snapshots of a guest that stay after a patch, where its order does not say."
    )
    snapshot_max_age_hours: int = Field(
        72, ge=0, le=8760, description="Hours after which they go, where the order of the patch does not say."
    )
    snapshot_prune: Literal["on", "off"] = Field(
        "on", description="Orders the removal of snapshots whose time is over; off leaves that to people."
    )
    patch_rest_failures: int = Field(
        3, ge=1, description="Technical failures in a row after which a node's orders of batches wait."
    )
    patch_rest_seconds: int = Field(900, ge=1, description="Seconds that they wait before one of them is tried.")
    backup_dir: Path = Field(Path("/var/backups/nanny-ops"), description="Directory of the backups.")
    backup_keep: int = Field(14, ge=1, description="Backups that are kept; the oldest ones go.")
    playbook_dir: Path | None = Field(
        None, description="Directory of the site's own playbooks; NAME.meta.yml beside NAME.yml allows one."
    )
    playbook_ssh_key_file: Path | None = Field(None, description="File of the SSH key that playbooks are run with.")
    playbook_vault_password_file: Path | None = Field(
        None, description="File of the password of Ansible's vault, for playbooks."
    )
    playbook_known_hosts_file: Path | None = Field(
        None, description="File of the host keys that playbooks believe; without it, the user's own."
    )
    playbook_url: str = Field("", description="Address at which playbooks ask this control plane; empty: public_url.")
    playbook_ca_file: Path | None = Field(
        None, description="File of the certificates in PEM by which playbooks check that address."
    )
    playbook_remote_user: str = Field(
        "", pattern=r"[a-z_][a-z0-9_-]{0,31}|", description="User that playbooks sign in as, unless they say so."
    )
    playbook_parallel: int = Field(2, ge=1, description="Runs of playbooks at once; others wait.")
    playbook_forks: int = Field(5, ge=1, le=500, description="Hosts on which one run works at once.")
    playbook_timeout_seconds: int = Field(
        3600, ge=1, le=86_400, description="Seconds that a run may take, unless its playbook or its order says so."
    )
    playbook_memory_mb: int = Field(
        2048, ge=256, description="MiB of address space that each process of a run may have."
    )
    playbook_check_hours: int = Field(
        24, ge=1, description="Hours for which a check of a playbook allows a run that changes."
    )
    playbook_keep_days: int = Field(30, ge=1, description="Days that ended runs of playbooks are kept.")
    play_report_days: int = Field(
        90, ge=0, description="Days that reports of plays are kept, 10,000 of a team at most; 0 keeps those."
    )
    playbook_keep_runs: int = Field(200, ge=1, description="Ended runs of playbooks that are kept at most.")

    @property
    def address(self) -> str:
        """Return the address that people use, without a slash at its end."""
        given = self.public_url.rstrip("/")
        scheme = "https" if self.tls_cert else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return given or f"{scheme}://{host}:{self.port}"


@dataclass(frozen=True)
class Setting:
    """One row of the documentation's table."""

    name: str
    env: str
    key: str
    kind: str
    default: str
    help: str


def _row(name: str) -> Setting:
    field = Settings.model_fields[name]
    kind = getattr(field.annotation, "__name__", str(field.annotation)).replace("SecretStr", "secret")
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return Setting(
        name, PREFIX + name.upper(), name, kind, "" if default is None else str(default), field.description or ""
    )


#: The table from which the documentation is made.
SETTINGS: tuple[Setting, ...] = tuple(_row(name) for name in Settings.model_fields)


def load(environ: Mapping[str, str], flags: Mapping[str, Any], file: Path | None = None) -> Settings:
    """Read all sources once and check them. Raises SettingsError that names the nearest valid setting."""
    values = {**_from_systemd(environ), **_from_file(file or _default_file(environ)), **_from_environment(environ)}
    values.update({key: value for key, value in flags.items() if value is not None})
    try:
        settings = Settings.model_validate(values)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        raise SettingsError(f"Setting '{first['loc'][0] if first['loc'] else ''}': {first['msg']}.") from None
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError("tls_cert and tls_key go together; give both or neither.")
    return settings


def _default_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("NANNY_CONFIG")
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _from_systemd(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the credentials of the unit; they count where nothing else is said."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    found = [(Path(folder) / name, key) for name, key in CREDENTIALS.items()] if folder else []
    return {key: _secret_from("CREDENTIALS_DIRECTORY", str(file)) for file, key in found if file.exists()}


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        values = tomllib.loads(file.read_text())
    except OSError as wrong:
        raise SettingsError(f"Cannot read {file}: {wrong.strerror}.") from wrong
    except tomllib.TOMLDecodeError as wrong:
        raise SettingsError(f"{file} is not valid TOML: {wrong}.") from wrong
    for key in values:
        _known(key, f"{file}: ", Settings.model_fields)
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    names = [PREFIX + name.upper() for name in Settings.model_fields]
    names += [name + "_FILE" for name in names] + ["NANNY_CONFIG"]
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name.startswith(AGENT_PREFIX) or name in PEOPLE | {"NANNY_CONFIG"}:
            continue
        _known(name, "Environment: ", names)
        key = name.removeprefix(PREFIX).lower()
        if key not in Settings.model_fields:
            key, value = key.removesuffix("_file"), _secret_from(name, value)
        values[key] = value
    return values


def _secret_from(name: str, file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as wrong:
        raise SettingsError(f"{name}: cannot read {file}: {wrong.strerror}.") from wrong


def _known(name: str, where: str, names: Any) -> None:
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "; docs/settings.md lists all settings."
    raise SettingsError(f"{where}there is no setting '{name}'{hint}")
