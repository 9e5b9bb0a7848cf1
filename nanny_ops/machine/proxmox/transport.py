"""HTTPS towards one Proxmox VE API: what proxmoxer calls its session, on urllib3 with one TLS context for all.

Of the two requests libraries this is the cheaper one by half, and it can be told what matters here: one context for all
connections, a certificate by its fingerprint, no redirects, no environment, an end to every body.
"""

import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError
from urllib3.exceptions import SSLError as TlsError
from urllib3.exceptions import TimeoutError as Late

from nanny_ops.errors import ProxmoxUnreachable

#: Bytes of one answer that are read; a thousand guests are less than half a MiB.
CAP = 32 * 1024 * 1024
PIECE = 256 * 1024
#: Connections at once; a node has three workers, and people sit in front of them too.
CONNECTIONS = 16
#: A body may take this many times as long as one wait for a piece of it.
PATIENCE = 3
#: OpenSSL's numbers for certificates that are wrong only now, or only for this address.
_NOT_YET, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64


@dataclass(frozen=True)
class Answer:
    """One answer as proxmoxer reads it."""

    status_code: int
    reason: str
    content: bytes

    @property
    def text(self) -> str:
        """Return the body as text, whatever it is."""
        return self.content.decode("utf-8", "replace")


class Serializer:
    """How proxmoxer gets the data out of an answer."""

    def __init__(self, place: str) -> None:
        """Take who answers, for messages."""
        self._place = place

    def loads(self, answer: Answer) -> Any:
        """Return the data. Raises ProxmoxUnreachable for anything that is not the API's JSON."""
        try:
            return msgspec.json.decode(answer.content)["data"]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, IndexError):
            pass
        if answer.content.lstrip()[:1] == b"{":
            raise ProxmoxUnreachable(f"{self._place} sent half an answer; it is asked again in the next cycle.")
        raise ProxmoxUnreachable(f"What answers at {self._place} is not the Proxmox VE API.")

    def loads_errors(self, answer: Answer) -> Any:
        """Return what an error says of single parameters, None where it says nothing."""
        try:
            return msgspec.json.decode(answer.content).get("errors")
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
            return None


class Transport:
    """Connections to one place, reused; safe to use from many threads."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        headers: Mapping[str, str],
        context: ssl.SSLContext,
        fingerprint: str = "",
        timeout: float = 10.0,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is sent. ``timeout`` in seconds, for connecting and for each wait."""
        self.place, self._host, self._port = f"{host}:{port}", host.strip("[]"), port
        self._timeout, self._tick = timeout, tick
        #: SHA-256 of the certificate that answered first, in hex; empty before.
        self.peer = ""
        pinned = {"assert_fingerprint": fingerprint, "assert_hostname": False} if fingerprint else {}
        self._settings: dict[str, Any] = {"headers": dict(headers), "ssl_context": context, **pinned}
        self._lock, self._pool = threading.Lock(), self._connect()

    def rest(self) -> None:
        """Close idle connections, which pveproxy would drop after five seconds anyway; the next call opens new ones."""
        with self._lock:
            used, self._pool = self._pool, self._connect()
        used.close()

    def request(
        self, method: str, url: str, data: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send one request; a read whose connection was dropped is sent once more. Raises ProxmoxUnreachable."""
        target = urlsplit(url).path + ("?" + _form(params) if params else "")
        body = _form(data) if data else None
        try:
            return self._send(method, target, body)
        except ProtocolError as wrong:
            if method != "GET":
                raise self._named(wrong) from None
        except HTTPError as wrong:
            raise self._named(wrong) from None
        try:
            return self._send(method, target, body)
        except HTTPError as wrong:
            raise self._named(wrong) from None

    def _connect(self) -> urllib3.HTTPSConnectionPool:
        wait = urllib3.Timeout(connect=self._timeout, read=self._timeout)
        return urllib3.HTTPSConnectionPool(
            self._host, self._port, maxsize=CONNECTIONS, block=True, timeout=wait, retries=False, **self._settings
        )

    def _send(self, method: str, target: str, body: str | None) -> Answer:
        headers = self._settings["headers"]
        if body is not None:
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        with self._pool.urlopen(
            method, target, body=body, headers=headers, redirect=False, preload_content=False
        ) as response:
            self.peer = self.peer or _digest(response)
            if 300 <= response.status < 400:
                raise ProxmoxUnreachable(
                    f"What answers at {self.place} sends elsewhere; give the address of the API itself."
                )
            return Answer(response.status, response.reason or "", self._read(response))

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        until, pieces, size = self._tick() + PATIENCE * self._timeout, [], 0
        while piece := response.read(PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > CAP:
                raise ProxmoxUnreachable(f"{self.place} sent more than {CAP >> 20} MiB for one answer.")
            if self._tick() > until:
                raise ProxmoxUnreachable(f"{self.place} did not end its answer in time.")
        return b"".join(pieces)

    def _named(self, wrong: HTTPError) -> ProxmoxUnreachable:
        """Return what happened in a sentence that says what to do."""
        if isinstance(wrong, TlsError):
            return ProxmoxUnreachable(_tls(wrong, self.place))
        if isinstance(wrong, NewConnectionError):
            return ProxmoxUnreachable(
                f"{self.place} cannot be reached; check the address, the port (8006) and that pveproxy runs."
            )
        if isinstance(wrong, Late):
            return ProxmoxUnreachable(f"{self.place} did not answer in time; is pveproxy running there?")
        return ProxmoxUnreachable(f"{self.place} cut the connection before its answer was whole.")


def _digest(response: urllib3.BaseHTTPResponse) -> str:
    sock = getattr(response.connection, "sock", None)
    raw = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
    return hashlib.sha256(raw).hexdigest() if raw else ""


def _form(values: Mapping[str, Any]) -> str:
    plain = {key: int(value) if isinstance(value, bool) else value for key, value in values.items()}
    return urlencode(plain, doseq=True)


def _tls(wrong: TlsError, place: str) -> str:
    """Say what is wrong with a certificate, and the fix."""
    cause = wrong.args[0] if wrong.args else wrong
    code = getattr(cause, "verify_code", None)
    if code in {_NOT_YET, _EXPIRED}:
        when = "is not valid yet" if code == _NOT_YET else "has expired"
        return (
            f"The certificate of {place} {when}; compare the clocks of both machines, and if they are right renew it "
            "with 'pvecm updatecerts --force' on the node."
        )
    if code in {_OTHER_NAME, _OTHER_ADDRESS}:
        return (
            f"The certificate of {place} is for another name or address; use the node's own name, or give the "
            "certificate's SHA-256 fingerprint."
        )
    if "ingerprint" in str(wrong):
        return (
            f"The certificate of {place} has another SHA-256 fingerprint than the one given; if it was renewed, give "
            "the new fingerprint ('pvenode cert info' shows it), otherwise somebody else answers there."
        )
    return (
        f"The certificate of {place} is not trusted; give the cluster's CA (/etc/pve/pve-root-ca.pem) as ca_file, or "
        "the certificate's SHA-256 fingerprint."
    )
