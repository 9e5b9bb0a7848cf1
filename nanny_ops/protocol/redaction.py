"""Secrets in what scripts print: each byte of one becomes a star, so that places in the text stay the same.

It knows passwords in URLs, values behind words such as ``password=`` and ``token:``, Authorization headers, API tokens
of Proxmox VE and our own. What has no such sign cannot be known for a secret.
"""

import re

_BEHIND = rb"""(?:["']?\s{0,4}=\s{0,4}["']?|["']?\s{0,4}:\s{1,4}["']?|["']\s{0,4}:\s{0,4}["'])"""
_NAMED = rb"(?:passwords?|passwd|passphrase|secrets?|tokens?|api[_-]?keys?|access[_-]?keys?)"
#: The first group stays, the second is the secret.
SIGNS = (
    re.compile(rb"(://[^\s/:@]{0,255}:)([^\s/@]{1,255})(?=@)"),
    re.compile(rb"(\bauthorization\s{0,4}[:=]\s{0,4}(?:bearer|basic)\s{1,4})(\S{1,4096})", re.IGNORECASE),
    re.compile(rb"(PVEAPIToken=[^\s=]{1,255}=)(\S{1,255})"),
    re.compile(rb"(\b)(n(?:sk|op)_[A-Za-z0-9_-]{16,512})"),
    re.compile(rb"((?<!PVEAPI)" + _NAMED + _BEHIND + rb""")([^\s"',;&]{1,512})""", re.IGNORECASE),
)
#: Bytes of a line that has not ended which are looked at together with what follows.
LONGEST_LINE = 4096


def masked(text: bytes) -> bytes:
    """Return a text of the same length in which what looks like a secret is stars."""
    for sign in SIGNS:
        text = sign.sub(lambda found: found[1] + b"*" * len(found[2]), text)
    return text


def masked_end(text: bytes, size: int) -> bytes:
    """Return the last ``size`` bytes, masked by what stands in front of them, too."""
    return masked(text[-size - LONGEST_LINE :])[-size:]


class Redactor:
    """Masks a text that comes in pieces cut anywhere; what it gives back is behind by the end of a line at most."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece and return what is certain by now."""
        text = self._held + piece
        cut = text.rfind(b"\n") + 1 or max(0, len(text) - LONGEST_LINE)
        if len(text) - cut > LONGEST_LINE:
            cut = len(text) - LONGEST_LINE
        self._held = text[cut:]
        return masked(text[:cut])

    def flush(self) -> bytes:
        """Return the rest."""
        held, self._held = self._held, b""
        return masked(held)
