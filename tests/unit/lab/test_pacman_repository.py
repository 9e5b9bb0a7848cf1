"""What pacman reads of a repository: packages with their facts, and a database with their checksums."""

import hashlib
import tarfile

from nanny_ops.lab.pacman_repository import offer
from nanny_ops.lab.ware import OFFERED


def test_the_database_tells_of_each_package_what_is_in_the_folder(tmp_path):
    offer(tmp_path, OFFERED)
    folder = tmp_path / "srv/arch"
    with tarfile.open(folder / "lab.db") as database:
        entries = {member.name for member in database.getmembers() if member.isfile()}
        file = database.extractfile("nanny-web-2.0-1/desc")
        assert file is not None
        lines = file.read().decode().splitlines()
    assert entries == {f"{ware.name}-{ware.version}-1/desc" for ware in OFFERED}
    package = folder / lines[lines.index("%FILENAME%") + 1]
    assert lines[lines.index("%SHA256SUM%") + 1] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert lines[lines.index("%DEPENDS%") + 1 :][:2] == ["nanny-lib>=2.0", "nanny-new"]


def test_a_package_names_the_file_that_an_administrator_may_change(tmp_path):
    offer(tmp_path, OFFERED[:1])
    with tarfile.open(tmp_path / "srv/arch/nanny-lib-2.0-1-any.pkg.tar.gz") as package:
        file = package.extractfile(".PKGINFO")
        assert file is not None
        assert b"backup = etc/arch/nanny-lib.conf\n" in file.read()
        assert "etc/arch/nanny-lib.conf" in package.getnames()
