"""Who is at the other end of a unix socket, by the kernel's word (SO_PEERCRED), and who may be."""

import pwd
import socket
import struct
from dataclasses import dataclass

from nanny_ops.errors import SettingsError

_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Peer:
    """The process that connected, as it was when it did."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Allowed:
    """The one user whose verbs are carried out, besides root, who needs no helper; ``gid`` may read outputs."""

    uid: int
    gid: int

    def permits(self, peer: Peer) -> bool:
        """Tell whether a peer may ask."""
        return peer.uid in (0, self.uid)


def peer_of(connection: socket.socket) -> Peer:
    """Return who connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(raw))


def allowed(user: str) -> Allowed:
    """Return who may ask, by name or number. Raises SettingsError for a user that is not there."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError as wrong:
        raise SettingsError(f"The user '{user}' of the daemon is not known on this machine.") from wrong
    return Allowed(entry.pw_uid, entry.pw_gid)
