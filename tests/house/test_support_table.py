"""The table of support says no more than what is proved."""

import json

from nanny_ops.patch_scripts.assembled import scripts
from tests.house.support_table import RECORD, RELEASES, ROWS, main, render
from tests.integration.test_apt_releases import RELEASES as TESTED

DEBIAN = {"bullseye": "Debian 11", "bookworm": "Debian 12", "trixie": "Debian 13"}


def test_the_page_is_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_every_script_has_its_row() -> None:
    assert {script for *_, script, _ in ROWS} == set(scripts())


def test_only_releases_that_tests_run_on_are_called_tested() -> None:
    proofs = {one["manager"]: one for one in json.loads(RECORD.read_text())}
    assert proofs["apt"]["on"] == [DEBIAN[suite] for suite in TESTED]
    tested = [line for line in render().splitlines() if line.endswith("| distribution tested |")]
    assert [line.split("|")[1].strip() for line in tested] == ["Debian"]


def test_every_release_that_is_named_has_a_fixture_that_its_script_takes() -> None:
    recorded = {
        (one["id"], one["version"].partition(".")[0], one["script"]) for one in json.loads(RELEASES.read_text())
    }
    for name, releases, _, script, identities in ROWS:
        majors = [word.partition(".")[0] for word in releases.split(", ")]
        for identity in identities:
            mine = {major for of, major, by in recorded if (of, f"{by}.sh") == (identity, script)}
            assert mine, name
            assert not majors[0].isdigit() or identity == "sles" or mine >= set(majors) - {"3"}, (name, identity)
