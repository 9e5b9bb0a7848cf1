"""Releases of the agent: one archive with everything to install, named by its version and its checksum.

An archive is a tar file with ``manifest.json``, ``requirements.txt`` (every line with its hashes) and ``wheels/``.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from nanny_ops.errors import ValidationFailed

#: What every manifest calls itself.
NAME = "nanny-agent"
MANIFEST, REQUIREMENTS, WHEELS = "manifest.json", "requirements.txt", "wheels"
#: Bytes of an archive, of its manifest, and of all that is in it; entries in it.
ARCHIVE_CAP, MANIFEST_CAP, CONTENT_CAP, MOST_ENTRIES = 128 * 2**20, 2**20, 512 * 2**20, 2000
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.!+_-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release as people see it."""

    id: str
    version: str
    sha256: str
    #: Bytes of the archive.
    size: int
    created_by: str
    created_at: str


def is_version(text: str) -> bool:
    """Tell whether a text can be a version, and so the beginning of a folder's name."""
    return bool(_VERSION.fullmatch(text))


def identifier(version: str, sha256: str) -> str:
    """Return the id of a release, which names this very archive for ever."""
    return f"{NAME}-{re.sub('[^0-9A-Za-z._-]', '-', version)}-{sha256[:16]}"


def read_manifest(content: bytes) -> str:
    """Return the version that a manifest tells. Raises ValidationFailed."""
    try:
        told: Any = json.loads(content)
    except (ValueError, RecursionError) as wrong:
        raise ValidationFailed(f"{MANIFEST} is not JSON: {wrong}", field=MANIFEST) from wrong
    if not isinstance(told, dict) or told.get("name") != NAME:
        raise ValidationFailed(f"{MANIFEST} is not that of {NAME}.", field=MANIFEST)
    version = told.get("version")
    if not isinstance(version, str) or not is_version(version):
        raise ValidationFailed(f"{MANIFEST} names no version.", field=MANIFEST)
    return version
