"""What the agent can be told: one table, read from flags, environment, a TOML file and defaults, in this order."""

import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from nanny_ops.errors import SettingsError
from nanny_ops.protocol.token import AGENT_PREFIX

Kind = Literal["url", "path", "text", "secret", "seconds", "count", "digest", "level"]
DEFAULT_FILE = Path("/etc/nanny-ops/agent.toml")
PREFIX = "NANNY_AGENT_"
CONFIG_ENV = PREFIX + "CONFIG"
LEVELS = ("debug", "info", "warning", "error")
#: Where systemd puts the secrets that a unit loads (systemd.exec(5)), and what ours are called there.
CREDENTIALS_ENV, CREDENTIAL = "CREDENTIALS_DIRECTORY", "nanny-agent."
#: Bytes read from a secret's file, at most.
SECRET_CAP = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the table; ``name`` is the field of :class:`Settings`, ``key`` the TOML key."""

    name: str
    env: str
    kind: Kind
    default: Any
    help: str
    #: Smallest and largest value of a number.
    bounds: tuple[int, int] = (0, 0)

    @property
    def key(self) -> str:
        """Return the TOML key."""
        return self.name

    @property
    def secret(self) -> bool:
        """Tell whether the value must never be shown."""
        return self.kind == "secret"

    @property
    def flag(self) -> str:
        """Return the command line flag; empty for a secret, which has no place in an argument list."""
        return "" if self.secret else "--" + self.name.replace("_", "-")


def _row(name: str, kind: Kind, default: Any, text: str, bounds: tuple[int, int] = (0, 0)) -> Setting:
    return Setting(name=name, env=PREFIX + name.upper(), kind=kind, default=default, help=text, bounds=bounds)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="url",
        env="NANNYAPI_URL",
        kind="url",
        default="",
        help="Address of the control plane; https, or http for a loopback address only.",
    ),
    _row("state_dir", "path", "/var/lib/nannyagent", "Directory of the token, the spool and the jobs."),
    _row("token_path", "path", "", "File of the tokens; empty means token.json in the state directory."),
    _row("token", "secret", "", "Static token nsk_... of this agent, instead of registering."),
    _row("token_file", "path", "", "File that holds the static token; a new one in it is taken without a restart."),
    _row("ca_file", "path", "", "File of PEM certificates that sign the control plane's certificate."),
    _row("pin_sha256", "digest", "", "SHA-256 of the control plane's own certificate, in hex."),
    _row("enrollment_token", "secret", "", "Token to register with instead of asking a person."),
    _row("enrollment_token_file", "path", "", "File that holds the enrolment token."),
    _row("pve_url", "url", "", "Address of a Proxmox VE API; empty on a node means the node itself."),
    _row("pve_token", "secret", "", "API token of Proxmox VE, written user@realm!name=secret."),
    _row("pve_token_file", "path", "", "File that holds the API token of Proxmox VE."),
    _row("pve_fingerprint", "digest", "", "SHA-256 of the Proxmox VE certificate, in hex."),
    _row("pve_ca_file", "path", "", "File of PEM certificates that sign the Proxmox VE certificate."),
    _row("pmxcfs_root", "path", "/etc/pve", "Where the cluster file system of Proxmox VE is mounted."),
    _row("metrics_interval", "seconds", 30, "Seconds between two readings of the host.", (5, 86_400)),
    _row("proxmox_interval", "seconds", 300, "Seconds between two readings of Proxmox VE.", (30, 86_400)),
    _row("pull_interval", "seconds", 120, "Seconds between two questions for open orders.", (5, 3600)),
    _row(
        "helper_socket",
        "path",
        "",
        "Socket of the privileged helper; empty means that the agent itself begins jobs, and is root.",
    ),
    _row(
        "policy_file",
        "path",
        "",
        "File of the local policy, which the control plane cannot widen; empty means /etc/nanny-ops/policy.toml.",
    ),
    _row(
        "trusted_keys_file",
        "path",
        "",
        "File of the keys that must sign scripts; empty means /etc/nanny-ops/trusted-keys, else the pinned ones.",
    ),
    _row("log_level", "level", "info", "Least severity that is logged: debug, info, warning or error."),
    _row("spool_metrics_cap", "count", 20_000, "Readings kept while the control plane is away.", (1, 1_000_000)),
)
_ROWS = {row.name: row for row in SETTINGS}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings as the rest of the agent sees them; intervals in seconds, digests as bare lower-case hex."""

    url: str
    state_dir: Path
    token_path: Path
    token: str = field(repr=False)
    token_file: str
    ca_file: str
    pin_sha256: str
    enrollment_token: str = field(repr=False)
    enrollment_token_file: str
    pve_url: str
    pve_token: str = field(repr=False)
    pve_fingerprint: str
    pve_ca_file: str
    pmxcfs_root: Path
    metrics_interval: int
    proxmox_interval: int
    pull_interval: int
    helper_socket: str
    policy_file: str
    trusted_keys_file: str
    log_level: str
    spool_metrics_cap: int


def enrollment_token(settings: Settings) -> str:
    """Return the enrolment token, or an empty text; its file is read here, since it may be gone once it has served.

    Raises SettingsError.
    """
    if settings.enrollment_token_file:
        return _read_secret("enrollment_token_file", Path(settings.enrollment_token_file))
    return settings.enrollment_token


def static_token(settings: Settings) -> str:
    """Return the static token as its setting or its file gives it now; empty where neither is set.

    Raises SettingsError.
    """
    token = _read_secret("token_file", Path(settings.token_file)) if settings.token_file else settings.token
    if token and not (token.startswith(AGENT_PREFIX) and token.isascii() and token.isprintable() and " " not in token):
        named = _label(_ROWS["token_file" if settings.token_file else "token"])
        raise SettingsError(
            f"{named} holds no agent's token; 'nanny-ops token add --agent' makes one, {AGENT_PREFIX}..."
        )
    return token


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the known word most like ``word``."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{found[0]}'?" if found else "."


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address never leaves this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(
    flags: Mapping[str, str], environ: Mapping[str, str], default_file: Path = DEFAULT_FILE, *, needs_url: bool = True
) -> Settings:
    """Read every source and return checked settings; ``flags`` may hold ``config``. Raises SettingsError."""
    named = flags.get("config") or environ.get(CONFIG_ENV, "")
    layers = (
        {name: str(value) for name, value in flags.items() if name != "config"},
        _from_environment(environ),
        _from_file(Path(named) if named else default_file, must_exist=bool(named)),
        _from_credentials(environ.get(CREDENTIALS_ENV, "")),
    )
    raw = {row.name: next((layer[row.name] for layer in layers if row.name in layer), row.default) for row in SETTINGS}
    values = {row.name: _CHECKS[row.kind](row, raw[row.name]) for row in SETTINGS}
    if needs_url and not values["url"]:
        raise SettingsError("NANNYAPI_URL is not set; it is the address of the control plane.")
    return _assemble(values, layers)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    by_env = {row.env: row.name for row in SETTINGS}
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in by_env and variable != CONFIG_ENV:
            raise SettingsError(f"{variable} is not a setting{nearest(variable, [*by_env, CONFIG_ENV])}")
    return {name: environ[env] for env, name in by_env.items() if environ.get(env)}


def _from_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise SettingsError(f"The settings file {path} does not exist.") from None
        return {}
    except (OSError, ValueError) as wrong:
        raise SettingsError(f"The settings file {path} cannot be read: {wrong}") from wrong
    for key in table:
        if key not in _ROWS:
            raise SettingsError(f"'{key}' in {path} is not a setting{nearest(key, _ROWS)}")
    return table


def _from_credentials(directory: str) -> dict[str, Any]:
    """Return the files of secrets that systemd has handed over; every other source is asked first."""
    files = {
        f"{row.name}_file": f"{directory}/{CREDENTIAL}{row.name.replace('_', '-')}" for row in SETTINGS if row.secret
    }
    return {name: file for name, file in files.items() if directory and Path(file).exists()}


def _assemble(values: dict[str, Any], layers: Iterable[Mapping[str, Any]]) -> Settings:
    token_file = values.pop("pve_token_file")
    if token_file and not _outranks(layers, "pve_token", "pve_token_file"):
        values["pve_token"] = _read_secret("pve_token_file", Path(token_file))
    for plain, file in (("enrollment_token", "enrollment_token_file"), ("token", "token_file")):
        if values[file] and _outranks(layers, plain, file):
            values[file] = ""
    values["state_dir"] = Path(values["state_dir"])
    values["token_path"] = Path(values["token_path"] or values["state_dir"] / "token.json")
    values["pmxcfs_root"] = Path(values["pmxcfs_root"])
    return Settings(**values)


def _outranks(layers: Iterable[Mapping[str, Any]], plain: str, file: str) -> bool:
    for layer in layers:
        if plain in layer and file in layer:
            raise SettingsError(f"{_label(_ROWS[plain])} and {_label(_ROWS[file])} are both set; keep one.")
        if plain in layer or file in layer:
            return plain in layer
    return False


def _read_secret(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_CAP).decode("utf-8").strip()
    except (OSError, ValueError) as wrong:
        raise SettingsError(f"{_label(_ROWS[name])} cannot be read: {wrong}") from wrong
    if not text:
        raise SettingsError(f"{_label(_ROWS[name])} names an empty file, {path}.")
    return text


def _label(row: Setting) -> str:
    return f"{row.env} ({row.key})"


def _text(row: Setting, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{_label(row)} must be a text.")
    return value.strip()


def _number(row: Setting, value: Any) -> int:
    low, high = row.bounds
    written = value if isinstance(value, str) else str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,12}", written.strip()) or not low <= int(written) <= high:
        raise SettingsError(f"{_label(row)} must be a whole number from {low} to {high}, not '{value}'.")
    return int(written)


def _digest(row: Setting, value: Any) -> str:
    digest = _text(row, value).replace(":", "").lower()
    if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise SettingsError(f"{_label(row)} must be 64 hex digits, with or without colons.")
    return digest


def _level(row: Setting, value: Any) -> str:
    level = _text(row, value).lower()
    if level not in LEVELS:
        raise SettingsError(f"{_label(row)} must be one of {', '.join(LEVELS)}, not '{value}'.")
    return level


def _url(row: Setting, value: Any) -> str:
    url = _text(row, value).rstrip("/")
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as wrong:
        raise SettingsError(f"{_label(row)} is not an address: {wrong}.") from wrong
    if parts.scheme not in {"http", "https"} or not host or re.search(r"\s", url):
        raise SettingsError(f"{_label(row)} must look like https://name:port.")
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(f"{_label(row)} must hold no user, password, query or fragment.")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(f"{_label(row)} uses http for {host}; http is allowed for loopback addresses only.")
    return url


_CHECKS: dict[Kind, Callable[[Setting, Any], Any]] = {
    "url": _url,
    "path": _text,
    "text": _text,
    "secret": _text,
    "seconds": _number,
    "count": _number,
    "digest": _digest,
    "level": _level,
}
