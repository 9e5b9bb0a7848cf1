"""Print which rows are proved; exit 1 when a row of a resolved owner is not. Run by ``./run coverage-of-spec``."""

import sys
from collections import Counter, defaultdict

from tests.spec.rows import RECORD, Row, all_rows, read_record, resolved_owners


def proofs_by_row(record: dict[str, list[str]]) -> dict[str, list[str]]:
    """Turn the record round: for each row the tests that prove it."""
    found: dict[str, list[str]] = defaultdict(list)
    for test, rows in record.items():
        for row in rows:
            found[row].append(test)
    return dict(found)


def missing_rows(rows: dict[str, Row], proofs: dict[str, list[str]], resolved: frozenset[str]) -> list[Row]:
    """Return the rows that should be proved and are not."""
    return [row for row in rows.values() if row.owner in resolved and not proofs.get(row.id)]


def report(rows: dict[str, Row], proofs: dict[str, list[str]], resolved: frozenset[str]) -> str:
    """Return the table: one line per row, then one line per owner."""
    lines = [f"{'row':<10} {'owner':<6} {'tests':>5}  what"]
    for row in rows.values():
        count = len(proofs.get(row.id, ()))
        missing = "  <- no passing test" if not count and row.owner in resolved else ""
        lines.append(f"{row.id:<10} {row.owner:<6} {count:>5}  {row.text}{missing}")
    proved = Counter(row.owner for row in rows.values() if proofs.get(row.id))
    for owner, total in sorted(Counter(row.owner for row in rows.values()).items()):
        state = "resolved" if owner in resolved else "open"
        lines.append(f"{owner}: {proved[owner]} of {total} rows proved ({state})")
    return "\n".join(lines)


def main() -> int:
    """Print the table and return the exit code."""
    if not RECORD.exists():
        print("No record of a test run; type ./run test first.", file=sys.stderr)
        return 1
    rows, proofs, resolved = all_rows(), proofs_by_row(read_record()), resolved_owners()
    print(report(rows, proofs, resolved))
    missing = missing_rows(rows, proofs, resolved)
    if missing:
        print(f"{len(missing)} rows of resolved work have no passing test.", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
