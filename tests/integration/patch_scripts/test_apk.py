"""The apk script under busybox ash and the other shells, on recorded words of apk: no Debian suite has the program."""

from pathlib import Path

import pytest

from tests.integration.patch_scripts.replay import System, compare, told

GOLDEN = Path(__file__).parents[2] / "golden/packages/apk-3.20"
SHELLS = [["busybox", "ash"], ["dash"], ["bash"]]


@pytest.fixture
def alpine(tmp_path):
    system = System(tmp_path, GOLDEN, ("apk",))
    (system.root / "lib/apk/db").mkdir(parents=True)
    (system.root / "lib/apk/db/installed").write_bytes((GOLDEN / "installed").read_bytes())
    (system.root / "etc/apk").mkdir()
    (system.root / "etc/apk/world").write_text("curl\nnginx=1.26.1-r0\npy3-pip@edge\n")
    return system


@pytest.mark.rows("C2")
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
def test_a_dry_run_under_each_shell(alpine, shell):
    done = alpine.patch(shell, "apk", "--dry-run")
    compare(GOLDEN / "dry-run.json", done)
    assert all("--cache-dir" in call for call in alpine.calls if "--version" not in call)
    assert not [call for call in alpine.calls if " upgrade" in call and "--simulate" not in call]


@pytest.mark.rows("C1")
def test_an_exclusion_names_what_to_upgrade_and_holds_nothing(alpine):
    done = alpine.patch(["busybox", "ash"], "apk", "--dry-run", "--exclude=py3-pip")
    compare(GOLDEN / "exclude.json", done)
    assert [call for call in alpine.calls if "--simulate" in call][-1].split()[-4:] == [
        *("curl", "libcrypto3", "libcurl", "libssl3"),
    ]
    assert (alpine.root / "etc/apk/world").read_text() == "curl\nnginx=1.26.1-r0\npy3-pip@edge\n"


def test_what_does_not_come_is_told(alpine):
    said = told(alpine.patch(["busybox", "ash"], "apk", "--only=curl"))
    assert (said["code"], said["packages"]) == (4, [])  # this apk claims success and changes nothing
    assert {one["name"]: one["why"] for one in said["notes"] if one["kind"] == "left"}["curl"] == "not_upgradable"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--security-only"], "do not say which updates concern security"),
        (["--conffiles=hold-back"], "does not tell beforehand"),
    ],
)
@pytest.mark.rows("F17")
def test_what_alpine_cannot_tell_is_refused(alpine, words, sentence):
    done = alpine.patch(["busybox", "ash"], "apk", *words)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (2, b"[]")
    assert sentence in done.stderr.decode()


@pytest.mark.rows("F4")
def test_a_half_installed_package_is_found(alpine):
    file = alpine.root / "lib/apk/db/installed"
    file.write_text(file.read_text().replace("P:curl\n", "P:curl\nf:fs\n"))
    done = alpine.patch(["busybox", "ash"], "apk", "--dry-run")
    assert told(done)["code"] == 6
    assert "half-installed packages: curl" in done.stderr.decode()


@pytest.mark.rows("F17")
def test_an_index_that_does_not_answer_is_told(alpine):
    answers = (alpine.case / "answers").read_text().replace("0 update apk", "1 update-missed apk")
    (alpine.case / "answers").write_text(answers)
    said = told(alpine.patch(["busybox", "ash"], "apk", "--dry-run"))
    assert said["code"] == 4
    assert {"kind": "not_refreshed", "repository": "https://dl-cdn.alpinelinux.org/alpine/v3.20/main"} in said["notes"]
