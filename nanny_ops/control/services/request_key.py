"""Idempotency-Keys: whoever makes a request once more with the same key gets what the first one made."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services.principal import Person
from nanny_ops.errors import Conflict
from nanny_ops.protocol.clock import micros

#: How long a repeated request gets what the first one made.
LIFETIME = timedelta(days=1)


@dataclass(frozen=True)
class RequestKey:
    """``name`` is what is kept of a person's key, None without one; ``digest`` is the same for equal requests."""

    name: str | None
    digest: str

    def demand_same(self, digest: str | None) -> None:
        """Raise Conflict where the key was used for another request, by its digest."""
        if digest != self.digest:
            raise Conflict("This Idempotency-Key was used for another request.")


def read(person: Person, key: str, request: Any) -> RequestKey:
    """Return a person's key for a request, which is a wire record; keys of different people never meet."""
    name = hashlib.sha256(f"{person.id}|{key}".encode()).hexdigest() if key else None
    return RequestKey(name, hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).hexdigest())


def since(now: datetime) -> int:
    """Return from which instant on a key still counts, in microseconds."""
    return micros(now - LIFETIME)
