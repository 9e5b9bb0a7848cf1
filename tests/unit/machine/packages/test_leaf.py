"""A leaf is plain, comparable data."""

from nanny_ops.machine.packages.leaf import Leaf


def test_leaves_compare_by_value():
    values = {"name": "a", "script": "a.sh", "program": "a", "distributions": frozenset({"x"})}
    assert Leaf(**values) == Leaf(**values)
