"""Tell systemd how a unit of Type=notify stands (sd_notify(3), by hand)."""

import logging
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)
READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
#: Seconds that PID 1 may take to make room for one word.
PATIENCE = 5.0


def tell(word: str, environ: Mapping[str, str]) -> bool:
    """Say one word; tell whether somebody wanted to hear it. What cannot be said is logged."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            speaker.settimeout(PATIENCE)
            speaker.sendto(word.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError as wrong:
        log.warning("event=systemd_deaf word=%s reason=%r", word, str(wrong))
        return False
    return True


def watchdog(environ: Mapping[str, str], pid: int) -> float:
    """Return the seconds within which systemd wants to hear :data:`ALIVE` of this process; 0 where it does not."""
    microseconds, meant = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    return int(microseconds) / 1e6 if microseconds.isdecimal() and meant == str(pid) else 0.0
