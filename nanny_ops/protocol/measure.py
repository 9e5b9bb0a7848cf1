"""Bounds that the records about Proxmox VE share: no text without an end, no number that a database cannot hold."""

from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen

Name = Annotated[str, MinLen(1), MaxLen(255)]
Word = Annotated[str, MaxLen(255)]
Text = Annotated[str, MaxLen(4096)]
Count = Annotated[int, Ge(0), Le(2**31)]
Amount = Annotated[int, Ge(0), Le(2**63 - 1)]
Real = Annotated[float, Ge(0)]
#: Seconds since 1970, as Proxmox VE tells times; 0 is not known.
Moment = Annotated[int, Ge(0), Le(2**63 - 1)]
