"""The names of the recorded installation, and others in their place, so that no playback can pass."""

import re
from dataclasses import dataclass, field

NODES = ("pve1", "pve2", "pve3")
GUESTS = {
    "web1": "north",
    "db1": "ledger",
    "batch1": "mill",
    "app1": "shopfront",
    "tmpl-debian12": "mould",
    "snap1": "pond",
    "privct": "cellar",
    "win-vm": "glass",
    "linux-vm": "penguin",
    "vm-template": "cast",
    "alpine-vm": "ridge",
    "nine1": "south",
    "db9": "archive",
    "stopped9": "still",
    "tmpl9": "mould9",
    "snap9": "pond9",
    "vm9": "ridge9",
    "apict": "fresh",
}
OTHERS = {
    "pve1": "anvil",
    "pve2": "brick",
    "pve3": "cedar",
    "rigcluster": "herd",
    "production": "depot",
    "btr": "vault",
    "agent@pve": "scout@pve",
    "limited@pve": "clerk@pve",
    "disabled@pve": "ghost@pve",
    "mon": "watch",
    "nopriv": "bare",
    "RigOperator": "Keeper",
    "RigAuditVM": "Onlooker",
    "s1": "before",
    "s2": "between",
    "pre_patch_1": "early_patch",
}
#: 304 and 999 exist nowhere.
VMIDS = (101, 102, 103, 104, 105, 106, 107, 120, 121, 200, 201, 202, 203, 301, 302, 303, 304, 305, 306, 400, 999)
#: The number of a status is no guest.
_NO_STATUS = r'(?<!"status": )(?<!"status": ")'


def _vmid_moved(vmid: int) -> int:
    return vmid + 7000


@dataclass(frozen=True)
class Naming:
    """Old name -> new name; empty for the recorded names themselves."""

    names: dict[str, str] = field(default_factory=dict)
    vmids: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the patterns once."""
        words = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))
        numbers = "|".join(str(vmid) for vmid in self.vmids)
        object.__setattr__(self, "_words", re.compile(rf"(?<![\w.])(?<!\w-)(?:{words})(?!\w|-\w)"))
        object.__setattr__(
            self, "_numbers", re.compile(rf"{_NO_STATUS}(?:(?<![\w.])|(?<=tap)|(?<=veth))(?:{numbers})(?!\d)")
        )

    def text(self, text: str) -> str:
        """Return a text with every name replaced."""
        if not self.names:
            return text
        text = self._words.sub(lambda found: self.names[found[0]], text)  # type: ignore[attr-defined]
        return str(self._numbers.sub(lambda found: str(self.vmids[int(found[0])]), text))  # type: ignore[attr-defined]

    def name(self, name: str) -> str:
        """Return what a node, guest, pool, storage, user or token is called."""
        user, _, token = name.partition("!")
        whole = self.names.get(user, user)
        return f"{whole}!{self.names.get(token, token)}" if token else whole

    def vmid(self, vmid: int) -> int:
        """Return a guest's id."""
        return self.vmids.get(vmid, vmid)


RECORDED = Naming()
CHANGED = Naming({**GUESTS, **OTHERS}, {vmid: _vmid_moved(vmid) for vmid in VMIDS})
