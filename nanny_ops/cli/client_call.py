"""How the client's calls reach the control plane: what each noun's calls are written with."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import IO, Any, TypeVar
from urllib.parse import quote

T = TypeVar("T")


class Calls(ABC):
    """The base of each noun's calls; :class:`nanny_ops.cli.client.Client` is all of them, and says how one is sent."""

    @abstractmethod
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
    ) -> Any: ...

    @abstractmethod
    def _every(self, path: str, filters: Mapping[str, str], limit: int) -> Iterator[dict[str, Any]]: ...

    @abstractmethod
    def _record(self, kind: type[T], values: Mapping[str, Any]) -> T: ...


def segment(text: str) -> str:
    """Return a text as one part of a path, in which nothing leads to another (RFC 3986, 3.3)."""
    return quote(text, safe="")
