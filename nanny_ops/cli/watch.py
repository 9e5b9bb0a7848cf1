"""Following an order to its end."""

import time
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from nanny_ops.cli.client import Client
from nanny_ops.errors import Forbidden, NotFound, Unavailable
from nanny_ops.protocol.clock import now, parse_stamp
from nanny_ops.protocol.operation import ENDED, Status
from nanny_ops.protocol.patch import PatchOperation

#: Seconds between two looks.
INTERVAL = 1.0
#: Seconds beyond an order's expiry after which nobody waits for its end any more.
PATIENCE = 120


class Awaited(Protocol):
    """An order of any kind."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def status(self) -> str:
        """Where it stands."""

    @property
    def expires_at(self) -> str:
        """When it lapses."""


T = TypeVar("T", bound=Awaited)


def to_end(look: Callable[[str], T], order: T, sleep: Callable[[float], None] = time.sleep) -> T:
    """Ask again and again and return the ended order. Raises Unavailable long after its expiry."""
    while Status(order.status) not in ENDED:
        demand_patience(order)
        sleep(INTERVAL)
        order = look(order.id)
    return order


def demand_patience(order: Awaited) -> None:
    """Raise Unavailable where nobody waits any more."""
    if (now() - parse_stamp(order.expires_at)).total_seconds() > PATIENCE:
        raise Unavailable(f"{order.id} is still {order.status}, long after its expiry.")


class Watch:
    """Asks again and again; ``show`` gets new output, ``tell`` the order when its status or its reason has changed."""

    def __init__(
        self,
        client: Client,
        show: Callable[[bytes], None],
        tell: Callable[[PatchOperation], None],
        stream: Literal["stdout", "stderr"] = "stdout",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin at the start of the output."""
        self._client, self._show, self._tell, self._sleep = client, show, tell, sleep
        self._stream: Literal["stdout", "stderr"] = stream
        self._offset, self._readable = 0, True

    def to_end(self, operation: PatchOperation) -> PatchOperation:
        """Wait and return the ended order with its packages. Raises Unavailable long after its expiry."""
        self._tell(operation)
        told = (operation.status, operation.reason)
        while True:
            operation = self._client.patch(operation.id)
            self._output(operation.id)
            if (operation.status, operation.reason) != told:
                told = (operation.status, operation.reason)
                self._tell(operation)
            if Status(operation.status) in ENDED:
                return operation
            demand_patience(operation)
            self._sleep(INTERVAL)

    def _output(self, operation_id: str) -> None:
        if not self._readable:
            return
        try:
            piece = self._client.output(operation_id, self._stream, self._offset)
        except Forbidden:  # viewers may follow an order, not read what it prints
            self._readable = False
            return
        except NotFound:  # it ended before it printed anything
            return
        self._offset += len(piece)
        if piece:
            self._show(piece)
