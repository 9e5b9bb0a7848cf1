"""What a patch script's output means: the package list on its last JSON line."""

import json
import re
from typing import Any

from nanny_ops.protocol.patch import PackageChange

#: The line after which older scripts print one object instead of a list.
OLD_MARKER = "=== JSON Output (for UI parsing) ==="
#: More would be refused by the control plane.
MOST_PACKAGES = 50_000
#: Control characters, which drive terminals, and halves of surrogate pairs.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = {"name": 255, "version": 255, "old_version": 255, "action": 64, "repository": 255}


def parse(stdout: bytes) -> list[PackageChange]:
    """Return the packages named by the last line of ``stdout`` that is a JSON list.

    Raises ValueError, with a sentence for a person, where there is none or it is not a package list.
    """
    text = stdout.decode("utf-8", "replace")
    _, marker, rest = text.rpartition(OLD_MARKER)
    entries = _old_entries(rest) if marker else _last_list(text)
    if len(entries) > MOST_PACKAGES:
        raise ValueError(f"The script names {len(entries)} packages; at most {MOST_PACKAGES} are believed.")
    return [_package(entry) for entry in entries]


def plain(text: str) -> str:
    """Return a text that a container's own words have been taken into, fit for a terminal and for any database."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def _last_list(text: str) -> list[Any]:
    for line in reversed(text.split("\n")):
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            found = _loads(stripped)
            if isinstance(found, list):
                return found
    raise ValueError("The script's output holds no line that is a JSON list of packages.")


def _old_entries(rest: str) -> list[Any]:
    found = _loads(rest.strip())
    packages = found.get("packages") if isinstance(found, dict) else None
    if not isinstance(packages, list):
        raise ValueError(f"No JSON object with 'packages' follows '{OLD_MARKER}'.")  # noqa: TRY004  the text is wrong, no caller's type
    return [_modern(entry) for entry in packages]


def _modern(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {
        "name": entry.get("package"),
        "version": entry.get("new_version"),
        "old_version": entry.get("current_version"),
    }


def _loads(text: str) -> Any:
    """Return None for what is not JSON, or is nested so deeply that it is an attack."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _package(entry: Any) -> PackageChange:
    if not isinstance(entry, dict):
        raise ValueError("The script's list holds something that is not a package.")  # noqa: TRY004  as above
    values = {key: _field(entry, key) for key in _LONGEST}
    if not values["name"]:
        raise ValueError("The script's list holds a package without a name.")
    security = entry.get("security")
    return PackageChange(
        name=values["name"],
        version=values["version"],
        old_version=values["old_version"],
        action=values["action"] or "upgrade",
        security=security if isinstance(security, bool) else None,
        repository=values["repository"],
        size=_size(entry.get("size")),
    )


def _size(value: Any) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53
    return value if known else None


def _field(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST[key]:
        raise ValueError(f"A package's '{key}' is not a text of at most {_LONGEST[key]} characters.")
    if plain(value) != value:
        raise ValueError(f"A package's '{key}' holds control characters or is not valid Unicode.")
    return value
