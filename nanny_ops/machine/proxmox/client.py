"""The Proxmox VE API by token: the one file that imports proxmoxer."""

import logging
import re
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from proxmoxer import ResourceException
from proxmoxer.core import ProxmoxResource

from nanny_ops.errors import ProxmoxError, ProxmoxForbidden, ProxmoxUnauthorized, ProxmoxUnreachable
from nanny_ops.machine.proxmox.refusal import meaning
from nanny_ops.machine.proxmox.transport import Serializer, Transport
from nanny_ops.machine.verbs import ProxmoxAccess

_TOKEN = re.compile(r"(?P<user>[^!=\s]+@[^!=\s]+)!(?P<name>[^=\s]+)=(?P<secret>\S+)")
_MISSING = re.compile(r"Permission check failed \((?P<path>/[^,]*), (?P<privilege>[^)]+)\)")
_HEX = re.compile(r"[0-9a-f]{64}")
_UNAUTHORIZED, _FORBIDDEN = 401, 403
#: First of the statuses with which Proxmox VE says that another node or its own daemon did not answer.
_PROXY_FAILED = 595


# proxmoxer logs each call with its parameters, and a parameter may be a script or a file's content.
logging.getLogger("proxmoxer").setLevel(logging.WARNING)


class Client:
    """One conversation with one Proxmox VE API; close it, or use it in a ``with``."""

    def __init__(self, access: ProxmoxAccess) -> None:
        """Prepare the conversation; nothing is sent. Raises ProxmoxError for access that cannot work."""
        self.token_id, self._place = "", ""
        self._api = self._connect(access)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    @property
    def peer(self) -> str:
        """Return the SHA-256 of the certificate of whoever answers, in hex; empty before the first answer."""
        return self._transport.peer

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        self._transport.rest()

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``GET /path``. Raises the named ProxmoxErrors."""
        return self._ask("get", path, parameters)

    def post(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``POST /path``. For a task that is its UPID, and no proof that anything was done.

        A name with a dash is passed as ``**{"input-data": ...}``. Never repeated by itself: an order whose answer is
        lost may have been carried out. Raises the named ProxmoxErrors.
        """
        return self._ask("post", path, parameters)

    def put(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``PUT /path``. Raises the named ProxmoxErrors."""
        return self._ask("put", path, parameters)

    def delete(self, path: str, /, **parameters: Any) -> Any:
        """Return the data of ``DELETE /path``. Raises the named ProxmoxErrors."""
        return self._ask("delete", path, parameters)

    def _ask(self, method: str, path: str, parameters: dict[str, Any]) -> Any:
        try:
            return getattr(self._api(path), method)(**parameters)
        except ResourceException as wrong:
            raise translate(wrong.status_code, str(wrong.content), path, self.token_id, self._place) from None

    def _connect(self, access: ProxmoxAccess) -> ProxmoxResource:
        found = _TOKEN.fullmatch(access.token)
        if found is None:
            raise ProxmoxUnauthorized("The API token must have the form user@realm!name=secret.")
        url = urlsplit(access.url)
        if url.scheme != "https" or not url.hostname:
            raise ProxmoxUnreachable(f"'{access.url}' is no address of an API; write https://node:8006.")
        self.token_id = f"{found['user']}!{found['name']}"
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        self._place = f"{host}:{url.port or 8006}"
        self._transport = Transport(
            host,
            url.port or 8006,
            headers={"Authorization": f"PVEAPIToken={access.token}", "Accept": "application/json"},
            context=_context(access),
            fingerprint=_fingerprint(access),
            timeout=access.timeout_seconds,
        )
        # Not ProxmoxAPI: its own session reads proxies and CAs from the environment, makes a TLS context for each
        # connection, and loads a library that costs the daemon 3 MiB.
        return ProxmoxResource(
            base_url=f"https://{self._place}/api2/json", session=self._transport, serializer=Serializer(self._place)
        )


def translate(status: int, reason: str, path: str, token_id: str, place: str) -> ProxmoxError:
    """Return the named error for an answer of the API, with a sentence that says what to do about it.

    Its details hold the ``status`` and the ``reason`` as they came, for whoever must tell one refusal from another.
    """
    told = {"status": status, "reason": reason[:1000]}
    if status == _UNAUTHORIZED:
        return ProxmoxUnauthorized(
            f"{place} does not accept the API token {token_id}; check that it exists, has not expired and that its "
            "secret is right.",
            **told,
        )
    if status == _FORBIDDEN:
        return _forbidden(reason, path, token_id, told)
    if named := meaning(reason, path, **told):
        return named
    if status >= _PROXY_FAILED:
        sentence = f"{path}: the node behind {place} did not answer ({reason[:200]}); is it up?"
        return ProxmoxUnreachable(sentence, **told)
    return ProxmoxError(f"{path}: Proxmox VE answered {status} {reason[:300]}".strip(), **told)


def _forbidden(reason: str, path: str, token_id: str, told: dict[str, Any]) -> ProxmoxForbidden:
    found = _MISSING.search(reason)
    if found is None:
        return ProxmoxForbidden(f"The API token {token_id} may not use {path}: {reason[:300]}", **told)
    lacks = f"The API token {token_id} lacks {found['privilege']} on {found['path']}"
    hint = (
        f"grant it to the user, for instance with 'pveum acl modify / --users {token_id.partition('!')[0]} --roles "
        f"PVEAuditor', and where the token's privileges are separated (privsep 1) also with '--tokens {token_id}'."
        if found["privilege"].endswith(".Audit")
        else f"add it to a role of its own, for instance with 'pveum role modify ROLE --append --privs "
        f"{found['privilege'].partition('|')[0]}'."
    )
    return ProxmoxForbidden(f"{lacks}; {hint}", privilege=found["privilege"], path=found["path"], **told)


def _fingerprint(access: ProxmoxAccess) -> str:
    plain = access.fingerprint.replace(":", "").lower()
    if plain and not _HEX.fullmatch(plain):
        raise ProxmoxUnreachable("The fingerprint must be a SHA-256 in hex: 64 digits, colons allowed.")
    return plain


def _context(access: ProxmoxAccess) -> ssl.SSLContext:
    """Return the TLS context; a pinned certificate needs no CA, its fingerprint is compared instead."""
    if access.ca_file and not Path(access.ca_file).is_file():
        raise ProxmoxUnreachable(f"The CA file {access.ca_file} does not exist.")
    if _fingerprint(access):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=access.ca_file or None)
    except ssl.SSLError:
        raise ProxmoxUnreachable(f"The CA file {access.ca_file} holds no PEM certificate.") from None
