"""The control plane's API for programs: one method per call, typed answers, named errors.

Needs httpx and nothing else, so that others may import it too.
"""

import ipaddress
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import IO, Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx

from nanny_ops.cli.answer import batch_of, exception_of, patch_of, record
from nanny_ops.cli.client_call import segment
from nanny_ops.cli.client_playbook import PlaybookCalls
from nanny_ops.cli.client_snapshot import SnapshotCalls
from nanny_ops.cli.client_update import UpdateCalls
from nanny_ops.cli.client_user import UserCalls
from nanny_ops.cli.client_watch import WatchCalls
from nanny_ops.cli.refusal import refusal
from nanny_ops.errors import (
    LoginFailed,
    NannyError,
    SettingsError,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from nanny_ops.protocol.package_exception import PackageException
from nanny_ops.protocol.patch import PatchOperation, ScriptVersion
from nanny_ops.protocol.patch_batch import PatchBatch
from nanny_ops.protocol.reboot import Reboot
from nanny_ops.protocol.signature import SigningKeyEntry

T = TypeVar("T")
TokenNoun = Literal["tokens", "enrollment-tokens"]
InventoryNoun = Literal["clusters", "nodes", "guests", "storages", "tasks"]
#: Seconds for one try: to connect, and between two pieces of an answer.
CONNECT, PIECE = 10.0, 30.0
#: Tries of a request that may be repeated without harm, and the longest pause between two, in seconds.
TRIES, LONGEST_PAUSE = 4, 8.0
#: Rows asked for at once.
PAGE = 200


class Client(UpdateCalls, SnapshotCalls, PlaybookCalls, WatchCalls, UserCalls):
    """Speaks for one person. Use it in a ``with`` statement, or call :meth:`close`."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Take the address and a token; ``transport`` replaces the network. Raises SettingsError for a bad address."""
        self.url = _checked(url)
        self._sleep, self._jitter = sleep, jitter
        loopback = is_loopback(urlsplit(self.url).hostname or "")
        verify: ssl.SSLContext | bool = ssl.create_default_context() if self.url.startswith("https:") else False
        self._http = httpx.Client(
            base_url=self.url,
            transport=transport,
            verify=verify,
            timeout=httpx.Timeout(PIECE, connect=CONNECT),
            trust_env=not loopback,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def __enter__(self) -> "Client":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def login(self, email: str, password: str) -> str:
        """Sign in and return the token. Raises LoginFailed."""
        try:
            answer = self._send("POST", "/api/auth/login", body={"email": email, "password": password})
        except Unauthorized as wrong:
            raise LoginFailed(wrong.message) from wrong
        token: str = answer.json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        return token

    def agents(self, limit: int = PAGE) -> list[dict[str, Any]]:
        """List agents by name."""
        return list(self._every("/api/agents", {}, limit))

    def agent(self, agent_id: str) -> dict[str, Any]:
        """Show how an agent is, with the policy of its machine. Raises NotFound."""
        return self._object("GET", f"/api/agents/{segment(agent_id)}")

    def revoke_agent(self, agent_id: str) -> dict[str, Any]:
        """End the trust in an agent. Raises NotFound, Forbidden."""
        return self._object("POST", f"/api/agents/{segment(agent_id)}/revoke")

    def resume_agent(self, agent_id: str) -> dict[str, Any]:
        """End the rest of an agent's node. Raises NotFound, Forbidden."""
        return self._object("POST", f"/api/agents/{segment(agent_id)}/resume")

    def add_token(self, noun: TokenNoun, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Make a token; the answer holds its secret, this once. Raises ValidationFailed, Forbidden, NotFound."""
        made: dict[str, Any] = self._send("POST", f"/api/{noun}", body=dict(asked)).json()
        return made

    def tokens(self, noun: TokenNoun, limit: int = PAGE) -> list[dict[str, Any]]:
        """List tokens, newest first."""
        return list(self._every(f"/api/{noun}", {}, limit))

    def revoke_token(self, noun: TokenNoun, token_id: str) -> dict[str, Any]:
        """End a token. Raises NotFound, Forbidden."""
        return self._object("POST", f"/api/{noun}/{segment(token_id)}/revoke")

    def audit(self, limit: int = PAGE, **filters: str) -> list[dict[str, Any]]:
        """List who did what, newest first; filters are action, actor, object, since and until. Raises Forbidden."""
        return list(self._every("/api/audit", filters, limit))

    def audit_export(self) -> Iterator[bytes]:
        """Yield every entry with its hashes as lines of JSON, oldest first, as they come. Raises Forbidden."""
        with self._http.stream("GET", "/api/audit/export") as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            yield from answer.iter_bytes()

    def upkeep(self, limit: int = PAGE, **filters: str) -> list[dict[str, Any]]:
        """List how hosts and guests are kept; filters are state, support, security and restart."""
        return list(self._every("/api/upkeep", filters, limit))

    def inventory(self, noun: InventoryNoun, limit: int = PAGE, **filters: str) -> list[dict[str, Any]]:
        """List what agents have reported of Proxmox VE; filters as in the API, empty ones do not count."""
        return list(self._every(f"/api/proxmox/{noun}", filters, limit))

    def inventory_item(self, noun: InventoryNoun, key: str) -> dict[str, Any]:
        """Show one of them with everything that was reported of it. Raises NotFound."""
        return self._object("GET", f"/api/proxmox/{noun}/{segment(key)}")

    def usage_history(
        self, noun: InventoryNoun, key: str, resolution: str = "", since: str = "", until: str = ""
    ) -> dict[str, Any]:
        """Return what a node, guest or storage used, oldest first. Raises NotFound, ValidationFailed."""
        asked = {"resolution": resolution, "since": since, "until": until}
        query = {name: value for name, value in asked.items() if value}
        path = f"/api/proxmox/{noun}/{segment(key)}/history"
        answer: dict[str, Any] = self._send("GET", path, query=query, repeatable=True).json()
        return answer

    def fleet_events(self, limit: int = PAGE, **filters: str) -> list[dict[str, Any]]:
        """List what has happened in the fleet, newest first; filters are kind, about and after (a seq)."""
        return list(self._every("/api/proxmox/events", filters, limit))

    def place_patch(self, order: Mapping[str, Any], *, key: str = "") -> PatchOperation:
        """Order a dry run or an apply; fields as in PatchRequest. With a ``key`` it may be repeated without harm."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._send("POST", "/api/patches", body=dict(order), headers=headers, repeatable=bool(key))
        return patch_of(answer.json())

    def patches(self, limit: int = PAGE, **filters: str) -> list[PatchOperation]:
        """List orders, newest first; filters are agent_id, status, outcome, vmid and mode."""
        return [patch_of(row) for row in self._every("/api/patches", filters, limit)]

    def patch(self, operation_id: str) -> PatchOperation:
        """Show an order with its package list. Raises NotFound."""
        return patch_of(self._object("GET", f"/api/patches/{segment(operation_id)}"))

    def cancel_patch(self, operation_id: str) -> PatchOperation:
        """Take an order back. Raises NotFound, Forbidden, Conflict when it has ended otherwise."""
        return patch_of(self._object("POST", f"/api/patches/{segment(operation_id)}/cancel"))

    def release_patch(self, operation_id: str) -> PatchOperation:
        """Give an ended order's target to others. Raises NotFound, Forbidden, Conflict when it has not ended."""
        return patch_of(self._object("POST", f"/api/patches/{segment(operation_id)}/release"))

    def place_batch(self, asked: Mapping[str, Any], *, key: str = "") -> PatchBatch:
        """Order a patch of all targets that fit; fields as in BatchRequest. Raises ValidationFailed, Forbidden."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._send("POST", "/api/patch-batches", body=dict(asked), headers=headers, repeatable=bool(key))
        return batch_of(answer.json())

    def batches(self, limit: int = PAGE) -> list[PatchBatch]:
        """List batches, newest first, without their targets."""
        return [batch_of(row) for row in self._every("/api/patch-batches", {}, limit)]

    def batch(self, batch_id: str) -> PatchBatch:
        """Show a batch with its targets. Raises NotFound."""
        return batch_of(self._object("GET", f"/api/patch-batches/{segment(batch_id)}"))

    def cancel_batch(self, batch_id: str) -> PatchBatch:
        """Take back what has not ended. Raises NotFound, Forbidden."""
        return batch_of(self._object("POST", f"/api/patch-batches/{segment(batch_id)}/cancel"))

    def add_exception(self, asked: Mapping[str, Any]) -> PackageException:
        """Hold a package back; fields as in ExceptionRequest. Raises ValidationFailed, Forbidden, NotFound."""
        return exception_of(self._send("POST", "/api/package-exceptions", body=dict(asked)).json())

    def exceptions(self, limit: int = PAGE, **filters: str) -> list[PackageException]:
        """List packages that are held back, newest first; the filter is active."""
        return [exception_of(row) for row in self._every("/api/package-exceptions", filters, limit)]

    def exception(self, key: str) -> PackageException:
        """Show one exception. Raises NotFound."""
        return exception_of(self._object("GET", f"/api/package-exceptions/{segment(key)}"))

    def remove_exception(self, key: str) -> PackageException:
        """End an exception. Raises NotFound, Forbidden."""
        return exception_of(self._object("DELETE", f"/api/package-exceptions/{segment(key)}"))

    def place_reboot(self, order: Mapping[str, Any], *, key: str = "") -> Reboot:
        """Order a reboot; fields as in RebootRequest. With a ``key`` it may be repeated without harm."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._send("POST", "/api/reboots", body=dict(order), headers=headers, repeatable=bool(key))
        return record(Reboot, answer.json())

    def reboots(self, limit: int = PAGE, **filters: str) -> list[Reboot]:
        """List reboots, newest first; filters are agent_id, status and outcome."""
        return [record(Reboot, row) for row in self._every("/api/reboots", filters, limit)]

    def reboot(self, reboot_id: str) -> Reboot:
        """Show a reboot. Raises NotFound."""
        return record(Reboot, self._object("GET", f"/api/reboots/{segment(reboot_id)}"))

    def cancel_reboot(self, reboot_id: str) -> Reboot:
        """Take a reboot back. Raises NotFound, Forbidden, Conflict when it was acknowledged or has ended."""
        return record(Reboot, self._object("POST", f"/api/reboots/{segment(reboot_id)}/cancel"))

    def output(self, operation_id: str, stream: Literal["stdout", "stderr"], offset: int = 0) -> bytes:
        """Return what a script printed from a byte on; while it runs, what has come so far. Raises Forbidden."""
        path = f"/api/patches/{segment(operation_id)}/{stream}"
        return self._send("GET", path, query={"offset": str(offset)}, repeatable=True).content

    def add_script(self, name: str, content: str, description: str = "") -> ScriptVersion:
        """Add a script, or find the version that is there already. Raises ValidationFailed, Forbidden."""
        body = {"name": name, "content": content, "description": description}
        return record(ScriptVersion, self._send("POST", "/api/scripts", body=body, repeatable=True).json())

    def scripts(self, limit: int = PAGE) -> list[ScriptVersion]:
        """List script versions, newest first."""
        return [record(ScriptVersion, row) for row in self._every("/api/scripts", {}, limit)]

    def script(self, script_id: str) -> ScriptVersion:
        """Show one version. Raises NotFound."""
        return record(ScriptVersion, self._object("GET", f"/api/scripts/{segment(script_id)}"))

    def script_content(self, script_id: str) -> bytes:
        """Return a script as it was added. Raises NotFound."""
        return self._send("GET", f"/api/patches/{segment(script_id)}/script", repeatable=True).content

    def sign_script(self, script_id: str, key_id: str, signature: str) -> list[str]:
        """Add a signature and return the names of all keys that have signed. Raises NotFound, ValidationFailed."""
        path = f"/api/scripts/{segment(script_id)}/signatures"
        body = {"key_id": key_id, "signature": signature}
        return [one["key_id"] for one in self._send("POST", path, body=body, repeatable=True).json()["signatures"]]

    def signing_keys(self) -> list[SigningKeyEntry]:
        """List the keys that may sign scripts, oldest first."""
        rows = self._send("GET", "/api/signing-keys", repeatable=True).json()
        return [record(SigningKeyEntry, row) for row in rows]

    def add_signing_key(self, public_key: str, name: str, team_id: str = "") -> SigningKeyEntry:
        """Enter a public key. Raises ValidationFailed, Forbidden, Conflict."""
        body = {"public_key": public_key, "name": name, "team_id": team_id}
        return record(SigningKeyEntry, self._send("POST", "/api/signing-keys", body=body, repeatable=True).json())

    def retire_signing_key(self, key_id: str) -> SigningKeyEntry:
        """End the trust in a key for ever. Raises NotFound, Forbidden, Conflict."""
        return record(SigningKeyEntry, self._object("POST", f"/api/signing-keys/{segment(key_id)}/retire"))

    def endorse_signing_key(self, key_id: str, by: str, signature: str) -> SigningKeyEntry:
        """Add one key's word for another. Raises NotFound, Forbidden, ValidationFailed."""
        path, body = f"/api/signing-keys/{segment(key_id)}/endorsements", {"key_id": by, "signature": signature}
        return record(SigningKeyEntry, self._send("POST", path, body=body, repeatable=True).json())

    def _record(self, kind: type[T], values: Mapping[str, Any]) -> T:
        return record(kind, values)

    def _object(self, method: str, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._send(method, path, repeatable=True).json()
        return answer

    def _every(self, path: str, filters: Mapping[str, str], limit: int) -> Iterator[dict[str, Any]]:
        given, offset = {name: value for name, value in filters.items() if value}, 0
        while offset < limit:
            query = {**given, "limit": str(min(PAGE, limit - offset)), "offset": str(offset)}
            page = self._send("GET", path, query=query, repeatable=True).json()
            yield from page["items"]
            offset += len(page["items"])
            if not page["items"] or offset >= page["total"]:
                return

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: IO[bytes] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> httpx.Response:
        """Send a request, again after a broken connection or 503 if it may be repeated. Raises named errors."""
        tries = TRIES if repeatable else 1
        for attempt in range(tries):
            try:
                answer = self._http.request(method, path, json=body, content=content, params=query, headers=headers)
            except httpx.TransportError as wrong:
                trouble: NannyError = Unreachable(
                    f"{self.url} cannot be reached: {str(wrong) or type(wrong).__name__}."
                )
            else:
                if answer.is_success:
                    return answer
                trouble = refusal(answer)
                if not isinstance(trouble, Unavailable):
                    break
            if attempt + 1 < tries:
                self._sleep(min(LONGEST_PAUSE, 2.0**attempt) * (0.5 + self._jitter() / 2))
        raise trouble


def is_loopback(host: str) -> bool:
    """Tell whether an address leads back to this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise SettingsError(f"'{url}' is not an address; write it as https://nanny.example.com.")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(f"Will not speak plain http to {host}: the token would travel readable; use https.")
    return url.rstrip("/")
