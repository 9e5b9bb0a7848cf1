"""What a fresh guest holds; the real one's making is an integration test."""

from pathlib import Path

from nanny_ops.lab.apt_repository import INSTALLED, OFFERED
from nanny_ops.lab.demo_guest import STAND_INS, make_simulated, repository_in
from nanny_ops.lab.simulated import SimulatedGuest


def test_a_simulated_guest_claims_the_packages_of_a_real_one(tmp_path: Path) -> None:
    guest = SimulatedGuest(tmp_path, 103)
    make_simulated(guest, "ct")
    rows = {package.name: package for package in guest.packages()}
    assert {name: row.installed for name, row in rows.items()} == {deb.name: deb.version for deb in INSTALLED}
    assert {name: row.candidate for name, row in rows.items()} == {deb.name: deb.version for deb in OFFERED}
    assert [name for name, row in rows.items() if row.security] == ["nanny-demo-tls"]


def test_every_stand_in_says_that_it_is_simulated() -> None:
    for path in STAND_INS.iterdir():
        assert path.read_text().startswith("#!/bin/sh\n# SIMULATED ")


def test_the_repository_lies_inside_the_guest() -> None:
    assert repository_in(Path("/x/rootfs")) == Path("/x/rootfs/srv/nanny-repo")
