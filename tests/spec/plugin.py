"""The pytest side of the row record: collects ``rows(...)`` markers of passed tests and refuses unknown ids."""

import os

import pytest

from tests.spec.rows import all_rows, merge_record

#: Markers whose tests must not be skipped in continuous integration: a skip there would prove nothing.
NEVER_SKIPPED = ("lxc", "machine", "postgres")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note each test's rows where its reports carry them; raise UsageError for an id that no list has."""
    known = all_rows()
    for item in items:
        ids = [str(row) for marker in item.iter_markers("rows") for row in marker.args]
        unknown = sorted(set(ids) - set(known))
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: no such specification row: {', '.join(unknown)}")
        item.user_properties += [("row", row) for row in ids]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Turn a skip into a failure where continuous integration promised the real thing."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        promised = [name for name in NEVER_SKIPPED if item.get_closest_marker(name)]
        if promised:
            report.outcome = "failed"
            report.longrepr = f"skipped although CI=true promises {promised[0]}: {report.longrepr}"
    return report


class RowRecorder:
    """Gathers the reports of one run, from every worker, and writes the record at its end."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.rows: dict[str, list[str]] = {}
        self.unproved: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one phase of one test; a row is proved only if no phase failed or was skipped."""
        ids = [str(value) for key, value in report.user_properties if key == "row"]
        if ids:
            self.rows[report.nodeid] = ids
            if not report.passed:
                self.unproved.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the record, unless this run only collected."""
        if not session.config.option.collectonly:
            passed = {test: ids for test, ids in self.rows.items() if test not in self.unproved}
            merge_record(passed, set(self.rows))


def pytest_configure(config: pytest.Config) -> None:
    """Record in the process that sees every report: not in a worker."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(RowRecorder(), "row-recorder")
