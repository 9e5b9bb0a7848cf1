"""Following an order to its end."""

import time
from collections.abc import Callable
from typing import Literal

from nanny_ops.cli.client import Client
from nanny_ops.errors import Forbidden, NotFound, Unavailable
from nanny_ops.protocol.clock import now, parse_stamp
from nanny_ops.protocol.operation import ENDED, Status
from nanny_ops.protocol.patch import PatchOperation

#: Seconds between two looks.
INTERVAL = 1.0
#: Looks at an order that nobody has fetched before that is told.
LOOKS = 5
#: Seconds beyond an order's expiry after which nobody waits for its end any more.
PATIENCE = 120


class Watch:
    """Asks again and again; ``show`` gets new output, ``tell`` the order whenever its status or its reason has changed.

    ``idle`` gets an order that its agent has not fetched after some looks, once.
    """

    def __init__(
        self,
        client: Client,
        show: Callable[[bytes], None],
        tell: Callable[[PatchOperation], None],
        stream: Literal["stdout", "stderr"] = "stdout",
        sleep: Callable[[float], None] = time.sleep,
        idle: Callable[[PatchOperation], None] = lambda _operation: None,
    ) -> None:
        """Begin at the start of the output."""
        self._client, self._show, self._tell, self._sleep = client, show, tell, sleep
        self._idle, self._looks = idle, 0
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
            self._wait_is_long(operation)
            if (now() - parse_stamp(operation.expires_at)).total_seconds() > PATIENCE:
                raise Unavailable(f"{operation.id} is still {operation.status}, long after its expiry.")
            self._sleep(INTERVAL)

    def _wait_is_long(self, operation: PatchOperation) -> None:
        self._looks += 1
        if self._looks == LOOKS and operation.status == Status.PENDING:
            self._idle(operation)

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
