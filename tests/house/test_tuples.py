"""Whoever adds a leaf adds a line to its tuple; nothing is discovered by magic."""

from pathlib import Path

import pytest

from tests.house.listing import LISTINGS, Listing, leaves, listed


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.folder)
def test_every_leaf_is_in_its_tuple(listing: Listing) -> None:
    there, named = leaves(listing), listed(listing)
    if named is None:
        assert not there, (
            f"nanny_ops/{listing.folder} has {sorted(there)}, but no {listing.tuple_name} in {listing.homes}"
        )
        return
    forgotten = sorted(there - named)
    assert not forgotten, f"{listing.tuple_name} lacks a line for {forgotten}"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package with one listed and one forgotten leaf."""
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "one.py").write_text("class One: ...\n")
    (tmp_path / "things" / "two.py").write_text("class Two: ...\n")
    (tmp_path / "app.py").write_text("from pkg.things.one import One\nTHINGS: tuple = (One(),)\n")
    return tmp_path


def test_a_forgotten_leaf_is_named(package: Path) -> None:
    listing = Listing("things", "THINGS", ("app.py",))
    assert leaves(listing, package) == {"one", "two"}
    assert listed(listing, package) == {"one"}


def test_a_missing_tuple_is_not_an_empty_one(package: Path) -> None:
    assert listed(Listing("things", "OTHER", ("app.py",)), package) is None


def test_only_marked_modules_are_leaves(package: Path) -> None:
    (package / "things" / "two.py").write_text("router = object()\n")
    assert leaves(Listing("things", "THINGS", ("app.py",), leaf_mark="router"), package) == {"two"}
