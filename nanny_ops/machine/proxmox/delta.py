"""What has been told and has arrived: bodies that are as they were need not be told again."""

from collections.abc import Mapping
from typing import Any

import msgspec

#: Fields that change all the time and are told with the usage anyway.
_RESTLESS = {"uptime"}


class Delta:
    """One hash per object: of the body that has arrived, and of the one in the reading that is on its way."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._serial = 0
        self._arrived: dict[str, int] = {}
        self._sent: dict[str, int] = {}

    def begin(self, acknowledged: int) -> None:
        """Begin a reading; ``acknowledged`` is the serial of the last one that arrived, 0 to tell everything."""
        if acknowledged == 0:
            self._arrived = {}
        elif acknowledged == self._serial:
            self._arrived = self._sent
        self._serial, self._sent = self._serial + 1, {}

    @property
    def serial(self) -> int:
        """Return the number of the reading that is being made."""
        return self._serial

    def changed(self, key: str, body: Mapping[str, Any]) -> bool:
        """Note an object of this reading and say whether it has to be told."""
        rested = {name: value for name, value in body.items() if name not in _RESTLESS}
        self._sent[key] = hash(msgspec.json.encode(rested))
        return self._arrived.get(key) != self._sent[key]
