"""What the declarations of tables are made of."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String

#: SQLite counts up by itself only in a column of exactly INTEGER.
Sequence = BigInteger().with_variant(Integer, "sqlite")
Instant = BigInteger
Id = String(64)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def team() -> "Column[str]":
    """Return the column that says whose a row is."""
    return Column("team_id", Id, ForeignKey("teams.id"), nullable=False)


def instants(*names: str) -> "list[Column[int]]":
    """Return columns for instants that may not have come."""
    return [Column(name, Instant) for name in names]
