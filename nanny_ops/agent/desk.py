"""One order's way to ask the control plane, and to write down how far it is."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Literal
from urllib.parse import quote

from nanny_ops.agent.equipment import Equipment
from nanny_ops.agent.order import Deferred, Order, Refused, State, Withdrawn
from nanny_ops.agent.spool import Spool
from nanny_ops.errors import NannyError, Rejected, SpoolError, Unreachable, ValidationFailed
from nanny_ops.protocol.clock import parse_stamp
from nanny_ops.protocol.operation import Ack, AckAnswer, Outcome, Renew, Status

log = logging.getLogger(__name__)
#: Answers to a question after which the order is dropped, if they come with the control plane's own word for it;
#: whatever a proxy in between says, the order waits.
_GONE = frozenset({403, 404, 409, 410, 422})
#: The answer that says to wait, and for how many seconds unless it says so.
_LOCKED, _WAIT = 423, 15.0
#: Seconds between two words to a control plane that gives no leases.
_INTERVAL = 30.0
#: How often a lease is asked for that has lapsed by the time its answer is here.
_TRIES = 3


def make_claim() -> str:
    """Return a claim that nobody else makes."""
    return secrets.token_hex(16)


class Desk:
    """What :class:`nanny_ops.agent.order.Desk` promises."""

    def __init__(
        self,
        order: Order,
        equipment: Equipment,
        spool: Spool,
        cancelled: asyncio.Event,
        make_claim: Callable[[], str] = make_claim,
    ) -> None:
        """Take the order, and where to ask and write."""
        self.order, self.cancelled = order, cancelled
        self._spool, self._make_claim = spool, make_claim
        self._client, self._now, self._sleep = equipment.client, equipment.now, equipment.sleep
        self._path = f"/api/operations/{quote(order.id, safe='')}"
        #: What people should know while the order is carried out, such as that its script is silent.
        self._remark = ""
        #: How long the lease lasts; 0 before that was told.
        self._seconds = 0

    async def acknowledge(self) -> None:
        """Tell that the order is written down. Raises Withdrawn, Refused."""
        self._check()
        await self._ask("delivered")
        self._spool.move(self.order.id, State.ACKED)

    async def begin(self) -> None:
        """Ask to begin, as often as it takes until a lease is here that lasts. Raises Withdrawn, Deferred, Refused."""
        if not self.order.claim:  # whoever has asked before is not sure to have been refused, and must ask again
            self._check()
            self.adopt(self._make_claim())
        if self.order.state is not State.STARTED:
            self._spool.move(self.order.id, State.BEGINNING)
        for _ in range(_TRIES):
            asked = self._now()
            answer = await self._ask("running")
            self._keep(answer)
            self._amend(answer.exclude)
            late = self._seconds and (self._now() - asked).total_seconds() >= self._seconds
            if not late and not self.cancelled.is_set():
                return
        if self.cancelled.is_set():
            raise Withdrawn("Cancelled before it began.")
        raise Unreachable("The lease has lapsed each time its answer came.")

    def adopt(self, claim: str) -> None:
        """Write the claim down. Raises SpoolError."""
        self._spool.claim(self.order.id, claim)
        self.order = replace(self.order, claim=claim, lease=0)

    def started(self) -> None:
        """Write down that the job was begun; a spool that cannot be written is borne."""
        try:
            self._spool.move(self.order.id, State.STARTED)
        except SpoolError as wrong:  # the job's own directory says the same
            log.error("event=not_written operation=%s reason=%r", self.order.id, wrong.message)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Renew the lease beside the block; no failure of that ends the block."""
        renewing = asyncio.create_task(self._renew_on(), name=f"lease-{self.order.id}")
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
        if not renewing.cancelled():
            renewing.result()

    async def remark(self, sentence: str) -> None:
        """Tell at once what people should know now; a word that is lost is said again with the next renewal."""
        if sentence != self._remark:
            self._remark = sentence
            log.info("event=remark operation=%s remark=%r", self.order.id, sentence[:300])
            await self._word()

    async def _renew_on(self) -> None:
        if self._seconds:
            await self._sleep(self._seconds / 3)
        while True:
            answer = await self._word()
            if answer is not None and not answer.proceed:
                if answer.status is Status.CANCELLED:
                    self.cancelled.set()
                return
            await self._sleep(self._seconds / 3 if self._seconds else _INTERVAL)

    async def _word(self) -> AckAnswer | None:
        """Say once that the order is worked on; None when nobody can say whether that is wanted."""
        order = self.order
        word: tuple[str, object] = "/renew", Renew(lease=order.lease, remark=self._remark)
        if not order.lease:  # the answer was lost, or the control plane gives none
            word = "/ack", Ack(state="running", claim=order.claim)
        try:
            answer = (await self._client.request("POST", self._path + word[0], body=word[1], tries=1)).read(AckAnswer)
            self._keep(answer)
        except NannyError as wrong:
            log.info("event=not_renewed operation=%s reason=%r", order.id, wrong.message)
            return None
        return answer

    def _keep(self, answer: AckAnswer) -> None:
        self._seconds = answer.lease_seconds
        if answer.lease and answer.lease != self.order.lease:
            self._spool.claim(self.order.id, self.order.claim, answer.lease)
            self.order = replace(self.order, lease=answer.lease)

    def _amend(self, exclude: list[str] | None) -> None:
        """Leave from now on what the answer names: exceptions may have come or gone since the order was placed."""
        if exclude is not None and exclude != self.order.record.get("exclude", []):
            record = {**self.order.record, "exclude": exclude}
            self._spool.amend(self.order.id, record)
            self.order = replace(self.order, record=record)
            log.info("event=order_amended operation=%s exclude=%s", self.order.id, ",".join(exclude))

    async def _ask(self, state: Literal["delivered", "running"]) -> AckAnswer:
        begins = state == "running"
        body = Ack(state=state, claim=self.order.claim if begins else "", amends=begins)
        try:
            answer = (await self._client.request("POST", f"{self._path}/ack", body=body)).read(AckAnswer)
        except Rejected as wrong:
            said = wrong.details
            if said.get("status") == _LOCKED and said.get("error"):
                raise Deferred(wrong.message, said.get("retry_after") or _WAIT) from wrong
            if said.get("status") not in _GONE or not said.get("error"):
                raise
            raise Withdrawn(wrong.message) from wrong
        if not answer.proceed:
            raise Withdrawn(f"The control plane says {answer.status}.")
        return answer

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Withdrawn("Cancelled before it began.")
        expires_at = self.order.record.get("expires_at")
        try:
            if expires_at and self._now() >= parse_stamp(str(expires_at)):
                raise Withdrawn(f"Expired at {expires_at}, before it began.")
        except ValidationFailed as wrong:
            raise Refused(Outcome.REFUSED, wrong.message) from wrong
