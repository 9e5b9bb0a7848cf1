"""A script of an order, fetched and found to be what was promised, allowed and signed."""

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import quote

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.order import Refused
from nanny_ops.agent.trust import Trust
from nanny_ops.errors import ForeignHost, Rejected, TooLarge
from nanny_ops.machine.policy import Policy
from nanny_ops.machine.verbs import KeySignature
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch import ScriptDigest


@dataclass(frozen=True, kw_only=True)
class Script:
    """One verified script; without signatures nobody signs scripts here."""

    content: bytes
    sha256: str
    signatures: list[KeySignature]


@dataclass(frozen=True)
class Scripts:
    """Fetches scripts from the control plane and judges them."""

    client: ApiClient
    trust: Trust
    policy: Policy

    async def fetch(self, script_id: str, script_url: str, *, mode: str, target: str) -> Script:
        """Return a script that may run on a target. Raises Refused with the outcome's word, Unreachable."""
        content = await self._fetch(script_id, script_url)
        sha256 = hashlib.sha256(content).hexdigest()
        if forbidden := self.policy.refuses(mode=mode, target=target, sha256=sha256):
            raise Refused(Outcome.REFUSED, forbidden)
        return Script(content=content, sha256=sha256, signatures=await self.trust.check(script_id, sha256))

    async def _fetch(self, script_id: str, script_url: str) -> bytes:
        try:
            script = (await self.client.request("GET", script_url)).body
            answer = await self.client.request("GET", f"/api/patches/{quote(script_id, safe='')}/sha256")
            promised = answer.read(ScriptDigest).sha256.strip().lower()
        except ForeignHost as wrong:
            raise Refused(Outcome.REFUSED, wrong.message) from wrong
        except (Rejected, TooLarge) as wrong:
            if wrong.details.get("status") == 401:
                raise
            unknown = wrong.details.get("status") in {404, 410}
            raise Refused(Outcome.SCRIPT_UNKNOWN if unknown else Outcome.REFUSED, wrong.message) from wrong
        found = hashlib.sha256(script).hexdigest()
        if not hmac.compare_digest(found.encode(), promised.encode()):
            sentence = f"The script's SHA-256 is {found}, the control plane promised {promised[:64]}; it was not run."
            raise Refused(Outcome.CHECKSUM_MISMATCH, sentence)
        return script
