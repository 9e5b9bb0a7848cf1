"""Pages tell how many rows there are and where the neighbours lie."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from nanny_ops.control.api.page import Page


@pytest.mark.parametrize(
    ("offset", "total", "link"),
    [
        (0, 2, None),
        (0, 3, '</api/things?kind=a&limit=2&offset=2>; rel="next"'),
        (3, 4, '</api/things?kind=a&limit=2&offset=1>; rel="prev"'),
        (
            2,
            9,
            '</api/things?kind=a&limit=2&offset=4>; rel="next", </api/things?kind=a&limit=2&offset=0>; rel="prev"',
        ),
    ],
)
def test_neighbours(offset: int, total: int, link: str | None) -> None:
    scope = {"type": "http", "method": "GET", "path": "/api/things", "query_string": b"kind=a&offset=7", "headers": []}
    response = Response()
    answer = Page(Request({**scope, "server": ("h", 80)}), response, limit=2, offset=offset).of(["x"], total)
    assert (answer.items, answer.total, answer.limit, answer.offset) == (["x"], total, 2, offset)
    assert response.headers["x-total-count"] == str(total)
    assert response.headers.get("link") == link
