"""The table of calls."""

import pytest

from nanny_ops.lab.pve.routes import FAMILIES, ROUTES
from nanny_ops.lab.pve.schema.table import table


def test_no_call_is_answered_twice() -> None:
    names = [route.name for family in FAMILIES for route in family]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_only_calls_that_some_release_has_are_answered() -> None:
    known = {*table("8.4").calls, *table("9.2").calls}
    assert set(ROUTES) - known == set()


def test_every_call_says_what_it_does() -> None:
    assert [name for name, function in ROUTES.items() if not function.__doc__] == []


@pytest.mark.parametrize("release", ["8.4", "9.2"])
def test_a_directory_lists_its_children(release: str) -> None:
    assert "version" in table(release).children("/nodes/{node}")
