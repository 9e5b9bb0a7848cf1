"""Formats of parameters: for each name a pattern, and Proxmox VE's own sentence for a value that does not match."""

import re
from collections.abc import Iterable

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_IPV4 = r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
#: Loose on purpose: it only tells an address from other text.
_IPV6 = r"[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"
_CONFIG_ID = r"[a-zA-Z][\w-]+"
_DNS = rf"{_LABEL}(?:\.{_LABEL})*"

#: Format -> pattern of the whole value, sentence; ``{}`` in the sentence stands for the value.
FORMS: dict[str, tuple[str, str]] = {
    "pve-vmid": (r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID"),
    "pve-node": (_LABEL, "value does not look like a valid node name"),
    "pve-configid": (_CONFIG_ID, "invalid configuration ID '{}'"),
    "pve-storage-id": (r"[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]", "storage ID '{}' contains illegal characters"),
    "pve-tag": (r"[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*", "invalid characters in tag"),
    "pve-userid": (r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", "value '{}' does not look like a valid user name"),
    "pve-realm": (r"[A-Za-z][A-Za-z0-9.\-_]+", "value does not look like a valid realm"),
    "pve-groupid": (r"[A-Za-z0-9.\-_]+", "group name '{}' contains invalid characters"),
    "pve-roleid": (r"[A-Za-z0-9.\-_]+", "role name '{}' contains invalid characters"),
    "pve-poolid": (r"[A-Za-z0-9.\-_]+(?:/[A-Za-z0-9.\-_]+){0,2}", "pool name '{}' contains invalid characters"),
    "pve-iface": (r"[a-zA-Z][a-zA-Z0-9_]{1,20}(?:[:.]\d+)?", "invalid network interface name '{}'"),
    "dns-name": (_DNS, "value does not look like a valid DNS name"),
    "ipv4": (_IPV4, "value does not look like a valid IPv4 address"),
    "ipv6": (_IPV6, "value does not look like a valid IPv6 address"),
    "ip": (f"{_IPV4}|{_IPV6}", "value does not look like a valid IP address"),
    "address": (f"{_IPV4}|{_IPV6}|{_DNS}", "value does not look like a valid address: {}"),
    "CIDRv4": (rf"{_IPV4}/(?:[1-2]?\d|3[0-2])", "value does not look like a valid IPv4 network"),
    "mac-addr": (r"[a-fA-F0-9][02468aceACE](?::[a-fA-F0-9]{2}){5}", "value does not look like a valid unicast MAC"),
    "pve-replication-job-id": (r"[1-9][0-9]{2,8}-\d{1,9}", "invalid replication job id '{}'"),
    "pve-startup-order": (r"\S+", "unable to parse startup options"),
    "email": (r"[\w+\-~]+(?:\.[\w+\-~]+)*@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*", "value does not look like a valid email"),
    "urlencoded": (r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string: {}"),
    "pve-task-status-type": (r"ok|error|warning|unknown", "invalid status '{}'"),
    "pve-storage-content": (
        r"images|rootdir|vztmpl|iso|backup|snippets|import|none",
        "invalid content type '{}'",
    ),
    "pve-volume-id": (r"[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]:.+", "unable to parse volume ID '{}'"),
}
#: Formats that a value matches when it is empty.
MAY_BE_EMPTY = frozenset({"email-opt", "urlencoded"})
#: Words of a list stand apart by these.
SEPARATORS = re.compile(r"[,;\s\0]+")


def complaint(form: str, value: str, *, privileges: Iterable[str]) -> str:
    """Return what is wrong with a value of a format, or nothing; a format without an entry takes anything.

    ``privileges`` are those that the release knows.
    """
    if not value and form in MAY_BE_EMPTY:
        return ""
    if form.endswith("-list"):
        kind = form.removesuffix("-list")
        words = [word for word in SEPARATORS.split(value) if word]
        return next((text for word in words if (text := _word(kind, word, privileges))), "")
    return _word(form.removesuffix("-opt"), value, privileges)


def _word(form: str, word: str, privileges: Iterable[str]) -> str:
    if form == "pve-priv":
        return "" if word in privileges else f"invalid privilege '{word}'"
    pattern, sentence = FORMS.get(form, ("", ""))
    if not pattern or re.fullmatch(pattern, word):
        return ""
    return sentence.format(word)
