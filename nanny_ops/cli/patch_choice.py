"""Words of ``nanny-ops patch run`` as fields of an order: which targets, hooks, probes."""

import re
import shlex
from collections.abc import Iterable
from typing import Any

from nanny_ops.errors import SettingsError

RANGE = re.compile(r"\d+-\d+")
FAILURES = ("must-succeed", "ignore", "always")
PROBES = "unit:NAME, tcp:[HOST:]PORT, http:URL, http:URL=STATUS, command:WORDS, load:MOST or services"


def words(given: Iterable[str] | None) -> list[str]:
    """Return what an option that may be repeated, or hold commas, says."""
    return [word.strip() for text in given or () for word in text.split(",") if word.strip()]


def numbers(given: Iterable[str] | None) -> dict[str, Any]:
    """Return ``vmids`` and ``ranges`` of texts such as ``100`` and ``100-120``. Raises SettingsError."""
    found: dict[str, Any] = {"vmids": [], "ranges": []}
    for word in words(given):
        if RANGE.fullmatch(word):
            found["ranges"].append(word)
        elif word.isdecimal():
            found["vmids"].append(int(word))
        else:
            raise SettingsError(f"'{word}' is no guest's number and no range; write 100 or 100-120.")
    return {name: value for name, value in found.items() if value}


def hook(stage: str, text: str) -> dict[str, Any]:
    """Read ``SCRIPT`` or ``SCRIPT:ignore``. Raises SettingsError."""
    script, colon, failure = text.partition(":")
    if colon and failure not in FAILURES:
        raise SettingsError(f"'{text}': behind the colon stands one of {', '.join(FAILURES)}.")
    return {"stage": stage, "script_id": script, "on_failure": failure or "must-succeed"}


def probe(text: str) -> dict[str, Any]:
    """Read one probe. Raises SettingsError."""
    kind, _, rest = text.partition(":")
    try:
        match kind:
            case "unit":
                return {"kind": kind, "unit": rest}
            case "tcp":
                host, _, port = rest.rpartition(":")
                return {"kind": kind, "host": host, "port": int(port)}
            case "http":
                url, status = _with_status(rest)
                return {"kind": kind, "url": url, **({"status": status} if status else {})}
            case "command":
                return {"kind": kind, "argv": shlex.split(rest)}
            case "load":
                return {"kind": kind, "most": float(rest)}
            case "services":
                return {"kind": kind}
    except ValueError:
        raise SettingsError(f"'{text}' is no probe; write {PROBES}.") from None
    raise SettingsError(f"'{text}' is no probe; write {PROBES}.")


def _with_status(text: str) -> tuple[str, int]:
    url, equals, status = text.rpartition("=")
    return (url, int(status)) if equals and re.fullmatch(r"[1-5]\d\d", status) else (text, 0)
