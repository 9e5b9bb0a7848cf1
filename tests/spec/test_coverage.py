"""The row lists are well formed, and the coverage program tells proved from unproved."""

import json
from pathlib import Path

import pytest

from tests.spec.coverage import missing_rows, proofs_by_row, report
from tests.spec.rows import Row, all_rows, merge_record, read_record, resolved_owners

pytest_plugins = ["pytester"]

ROWS = {"X-1": Row("X-1", "A1", "one"), "X-2": Row("X-2", "A1", "two"), "X-3": Row("X-3", "later", "three")}


def test_every_resolved_owner_owns_rows() -> None:
    assert resolved_owners() <= {row.owner for row in all_rows().values()}


def test_an_unproved_row_of_resolved_work_is_missing() -> None:
    proofs = proofs_by_row({"test_a": ["X-1", "X-3"]})
    assert missing_rows(ROWS, proofs, frozenset({"A1"})) == [ROWS["X-2"]]
    assert "X-2        A1         0  two  <- no passing test" in report(ROWS, proofs, frozenset({"A1"}))


def test_rows_of_open_work_may_wait() -> None:
    assert missing_rows(ROWS, {}, frozenset()) == []


def test_a_test_that_now_fails_loses_its_proof(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "rows.json"
    merge_record({"a": ["X-1"], "b": ["X-2"]}, {"a", "b"}, file)
    merge_record({}, {"a"}, file)
    assert read_record(file) == {"b": ["X-2"]} == json.loads(file.read_text())


@pytest.fixture
def run_rows(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A small project that uses the plugin and writes its record beside itself."""
    pytester.makeini("[pytest]\nmarkers =\n  rows(*ids): x\n  lxc: x\n")
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    pytester.makeconftest(
        "import pathlib, tests.spec.plugin as plugin, tests.spec.rows as rows\n"
        "from tests.spec.plugin import *\n"
        "here = pathlib.Path(__file__).parent / 'record.json'\n"
        "plugin.merge_record = lambda passed, seen: rows.merge_record(passed, seen, here)\n"
    )
    return pytester


def test_only_passed_tests_are_recorded(run_rows: pytest.Pytester) -> None:
    run_rows.makepyfile(
        "import pytest\n"
        "@pytest.mark.rows('G0-AU-01')\ndef test_good(): pass\n"
        "@pytest.mark.rows('G0-AU-02')\ndef test_bad(): assert False\n"
        "@pytest.mark.rows('G0-AU-03')\ndef test_skipped(): pytest.skip('no')\n"
    )
    run_rows.runpytest_subprocess("-p", "no:cacheprovider")
    record = json.loads((run_rows.path / "record.json").read_text())
    assert list(record.values()) == [["G0-AU-01"]]


def test_an_unknown_row_stops_the_run(run_rows: pytest.Pytester) -> None:
    run_rows.makepyfile("import pytest\n@pytest.mark.rows('G9-XX-99')\ndef test_good(): pass\n")
    result = run_rows.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no such specification row: G9-XX-99*"])


def test_a_promised_test_may_not_be_skipped_in_ci(run_rows: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    run_rows.makepyfile("import pytest\n@pytest.mark.lxc\ndef test_real(): pytest.skip('no lxc here')\n")
    monkeypatch.setenv("CI", "false")
    run_rows.runpytest_subprocess().assert_outcomes(skipped=1)
    monkeypatch.setenv("CI", "true")
    run_rows.runpytest_subprocess().assert_outcomes(failed=1)
