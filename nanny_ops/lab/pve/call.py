"""One understood call: who asks for what, with which parameters; and how its answer differs from plain ``data``."""

from dataclasses import dataclass, field
from typing import Any

from nanny_ops.lab.pve.refusal import wrong_parameters
from nanny_ops.lab.pve.schema.parameter import Value
from nanny_ops.lab.pve.schema.table import Described
from nanny_ops.lab.pve.state.access import Caller
from nanny_ops.lab.pve.state.guest import Kind


@dataclass(frozen=True)
class Call:
    """One call, its parameters verified by the schema; those of the path are among them.

    ``answering`` is the node whose port was asked; :attr:`node` the one in the path, which does the work.
    """

    described: Described
    caller: Caller
    given: dict[str, Value]
    answering: str
    now: float

    @property
    def node(self) -> str:
        """Return the node in the path."""
        return self.text("node")

    @property
    def kind(self) -> Kind:
        """Return the kind of guest in the path."""
        return "lxc" if self.described.path.startswith("/nodes/{node}/lxc") else "qemu"

    @property
    def vmid(self) -> int:
        """Return the guest in the path."""
        return self.number("vmid")

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as text."""
        value = self.given.get(name, default)
        return ",".join(value) if isinstance(value, list) else value

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number; the schema has made sure that it is one."""
        return int(self.text(name, str(default)))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        return self.text(name, "1" if default else "0") == "1"

    def words(self, name: str) -> list[str]:
        """Return a list parameter."""
        value = self.given.get(name, [])
        return value if isinstance(value, list) else [value]

    def wrong(self, **errors: str) -> Exception:
        """Return the refusal of parameters that only the call itself can tell to be wrong."""
        return wrong_parameters(errors)


@dataclass(frozen=True)
class Body:
    """An answer with more than ``data`` in its body, such as ``total`` beside a page of rows."""

    data: Any
    beside: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """An answer that is no JSON of the API at all: bytes, with their type and further headers."""

    content: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()
