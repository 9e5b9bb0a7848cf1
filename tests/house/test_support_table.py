"""The table of support says no more than what is proved."""

import json

from nanny_ops.machine.packages.catalogue import LEAVES
from tests.house.support_table import RECORD, ROWS, main, render
from tests.integration.test_apt_releases import RELEASES

DEBIAN = {"bullseye": "Debian 11", "bookworm": "Debian 12", "trixie": "Debian 13"}


def test_the_page_is_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_every_script_has_its_row() -> None:
    assert {script for *_, script in ROWS} == {leaf.script for leaf in LEAVES}


def test_only_releases_that_tests_run_on_are_called_tested() -> None:
    proofs = {one["manager"]: one for one in json.loads(RECORD.read_text())}
    assert proofs["apt"]["on"] == [DEBIAN[suite] for suite in RELEASES]
    tested = [line for line in render().splitlines() if line.endswith("| distribution tested |")]
    assert [line.split("|")[1].strip() for line in tested] == ["Debian"]
