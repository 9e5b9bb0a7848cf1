"""Directories of the API."""

from nanny_ops.lab.pve.endpoint.index import LISTINGS
from nanny_ops.lab.pve.schema.table import table
from tests.unit.lab.pve.pretended import asking


def test_children_come_from_the_schema_and_from_the_exceptions() -> None:
    found = {row["name"] for row in asking().get("/nodes/pve1")}
    assert "status" in found
    assert "execute" not in found
    assert {"subdir": "auth-url"} in asking().get("/access/openid")


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    for path, listing in LISTINGS.items():
        known = {*table("8.4").children(path), *table("9.2").children(path)}
        assert set(listing.without) <= known, path
