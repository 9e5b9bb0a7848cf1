"""One page of a list: how it is asked for, and how the whole is told in the body and in headers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

T = TypeVar("T")
#: Rows of one page unless asked for, and at most.
USUAL, MOST = 50, 500


class Listed(BaseModel, Generic[T]):
    """A page; ``total`` counts the rows of all pages, and so does the header X-Total-Count."""

    items: list[T]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True)
class Page:
    """Which rows are wanted."""

    request: Request
    response: Response
    limit: Annotated[int, Query(ge=1, le=MOST, description="Rows of this page.")] = USUAL
    offset: Annotated[int, Query(ge=0, le=2**31, description="Rows left out before it.")] = 0

    def of(self, items: Sequence[T], total: int) -> Listed[T]:
        """Return the answer; headers tell how many rows there are, and the neighbouring pages (RFC 8288)."""
        self.response.headers["X-Total-Count"] = str(total)
        neighbours = []
        if self.offset + self.limit < total:
            neighbours.append(self._link("next", self.offset + self.limit))
        if self.offset > 0:
            neighbours.append(self._link("prev", max(0, self.offset - self.limit)))
        if neighbours:
            self.response.headers["Link"] = ", ".join(neighbours)
        return Listed(items=list(items), total=total, limit=self.limit, offset=self.offset)

    def _link(self, relation: str, offset: int) -> str:
        url = self.request.url.include_query_params(limit=self.limit, offset=offset)
        return f'<{url.path}?{url.query}>; rel="{relation}"'


Paging = Annotated[Page, Depends(Page)]
