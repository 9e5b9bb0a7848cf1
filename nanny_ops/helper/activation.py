"""The socket that systemd listens on and hands over when it starts this process (sd_listen_fds(3), by hand)."""

import socket
from collections.abc import MutableMapping

from nanny_ops.errors import SettingsError

#: The number of the first file that is handed over.
FIRST = 3


def listener(environ: MutableMapping[str, str], pid: int, first: int = FIRST) -> socket.socket:
    """Return the socket and take its words out of the environment, which jobs inherit. Raises SettingsError."""
    named, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if named != str(pid) or count != "1":
        raise SettingsError("The helper is started by its socket: systemctl start nanny-agent-helper.socket")
    try:
        found = socket.socket(fileno=first)
    except OSError as wrong:
        raise SettingsError(f"The file handed over is no socket: {wrong.strerror}.") from wrong
    if (found.family, found.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or not _listens(found):
        found.close()
        raise SettingsError("The socket handed over is no unix stream socket that listens.")
    found.set_inheritable(False)
    return found


def _listens(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
