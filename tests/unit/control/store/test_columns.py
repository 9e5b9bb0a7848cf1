"""What declarations of tables are made of."""

from nanny_ops.control.store.columns import instants


def test_instants_may_be_absent() -> None:
    assert [(column.name, column.nullable) for column in instants("from_at", "to_at")] == [
        ("from_at", True),
        ("to_at", True),
    ]
