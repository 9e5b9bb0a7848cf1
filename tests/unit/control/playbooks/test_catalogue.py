"""Which playbooks may be run: what lies beside a meta file, under a plain name, in two directories."""

from pathlib import Path

import pytest
import yaml

from nanny_ops.control.playbooks import catalogue as catalogue_module
from nanny_ops.control.playbooks.catalogue import Catalogue, must_be_there, shipped_collections, shipped_directory
from nanny_ops.errors import Conflict, NotConfigured, NotFound, ValidationFailed
from tests.house.tree import ROOT


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A shipped and a site's directory, with a playbook each and one that is not allowed."""
    shipped, site = tmp_path / "shipped", tmp_path / "site"
    for directory, name in ((shipped, "facts"), (site, "own")):
        directory.mkdir(mode=0o755)
        (directory / f"{name}.yml").write_text("- hosts: all\n")
        (directory / f"{name}.meta.yml").write_text("argument_specs: {x: {short_description: Look}}\n")
    (site / "tasks.yml").write_text("[]\n")
    return Catalogue(site, 60, shipped)


def test_only_what_has_a_meta_file_is_allowed(catalogue: Catalogue) -> None:
    assert [(one.playbook.name, one.playbook.origin) for one in catalogue.entries()] == [
        ("facts", "shipped"),
        ("own", "site"),
    ]
    assert catalogue.find("own").playbook.description == "Look"
    assert catalogue.find("own").playbook.changes
    with pytest.raises(NotFound):
        catalogue.find("tasks")


@pytest.mark.parametrize("name", ["../site/own", "/etc/passwd", "own.yml", "OWN", "", ".", "own\0", "own\n"])
def test_no_name_leads_anywhere_else(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(NotFound):
        catalogue.find(name)


def test_a_sites_playbook_never_stands_in_for_a_shipped_one(catalogue: Catalogue) -> None:
    assert catalogue.site is not None
    for name in ("facts.yml", "facts.meta.yml"):
        (catalogue.site / name).write_text("argument_specs: {}\n")
    assert catalogue.find("facts").playbook.origin == "shipped"
    [other] = [one.playbook for one in catalogue.entries() if one.playbook.name == "facts" and one.playbook.trouble]
    assert "shipped playbook" in other.trouble


@pytest.mark.parametrize(
    ("meta", "trouble"),
    [
        ("[", "cannot be read"),
        ("[]", "no mapping"),
        ("nanny_ops: {chnages: false}", "nothing else"),
        ("nanny_ops: {timeout_seconds: 0}", "timeout_seconds"),
        ("nanny_ops: {token: [everything]}", "read, patch, enrol, admin"),
        ("nanny_ops: {files: [package]}", "takes none"),
        ("argument_specs: {x: {options: {a: {type: nope}}}}", "not known"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
    ],
)
def test_a_broken_one_is_listed_with_its_trouble_and_not_run(catalogue: Catalogue, meta: str, trouble: str) -> None:
    assert catalogue.site is not None
    (catalogue.site / "own.meta.yml").write_text(meta)
    with pytest.raises(Conflict, match=trouble):
        catalogue.find("own")


def test_what_everybody_may_write_is_not_run(catalogue: Catalogue) -> None:
    (catalogue.site or Path()).joinpath("own.yml").chmod(0o666)
    with pytest.raises(Conflict, match="Everybody"):
        catalogue.find("own")


def test_a_missing_playbook_is_told(catalogue: Catalogue) -> None:
    (catalogue.site or Path()).joinpath("own.yml").unlink()
    with pytest.raises(Conflict, match="No such file"):
        catalogue.find("own")


def test_the_digest_is_of_all_that_may_be_included(catalogue: Catalogue) -> None:
    entry = catalogue.find("own")
    before = catalogue.digest(entry)
    (entry.path.parent / ".git").mkdir()
    (entry.path.parent / ".git" / "index").write_text("x")
    assert catalogue.digest(entry) == before
    (entry.path.parent / "tasks.yml").write_text("[{}]\n")
    assert catalogue.digest(entry) != before


def test_without_ansible_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "NEEDED", ("ansible-core", "no-such-distribution"))
    with pytest.raises(NotConfigured, match=r"need no-such-distribution .* pip install 'nanny-ops\[ansible\]'"):
        must_be_there()


def test_all_that_ships_can_be_run() -> None:
    must_be_there()
    assert shipped_directory() == ROOT / "playbooks"
    assert [one.playbook.name for one in Catalogue(None, 60).entries() if one.playbook.trouble] == []


def test_roles_are_those_that_are_installed_or_those_of_a_checkout(tmp_path: Path) -> None:
    assert shipped_collections(tmp_path) == [ROOT / "ansible/collections"]
    (tmp_path / "ansible/collections/ansible_collections/nanny/ops").mkdir(parents=True)
    assert shipped_collections(tmp_path) == [tmp_path / "ansible/collections"]


def test_a_variable_names_a_file_of_the_site_and_nothing_else(catalogue: Catalogue) -> None:
    assert catalogue.site is not None
    package = catalogue.site / "packages" / "a_1.deb"
    package.parent.mkdir(mode=0o755)
    package.write_text("one")
    (package.parent / "link").symlink_to("/etc/passwd")
    (catalogue.site / "bring.yml").write_text("- hosts: all\n")
    (catalogue.site / "bring.meta.yml").write_text(
        "{argument_specs: {x: {options: {package: {}, word: {}}}}, nanny_ops: {files: [package], token: [enrol]}}"
    )
    entry, given = catalogue.find("bring"), {"package": "a_1.deb", "word": "b"}
    assert entry.playbook.token == ["enrol"]
    assert catalogue.resolved(entry, given) == {"package": str(package), "word": "b"}
    before = catalogue.digest(entry, given)
    package.write_text("two")
    assert catalogue.digest(entry, given) != before
    for wrong in ("link", "../bring.yml", "/etc/passwd", "none", ["a_1.deb"]):
        with pytest.raises(ValidationFailed, match="names no file"):
            catalogue.digest(entry, {"package": wrong})
    with pytest.raises(ValidationFailed, match="playbook_dir is not set"):
        Catalogue(None, 60, catalogue.site).digest(entry, given)


def test_what_ships_can_be_run() -> None:
    shipped = {one.playbook.name: one.playbook for one in Catalogue(None, 60).entries()}
    assert {name: one.trouble for name, one in shipped.items() if one.trouble} == {}
    assert shipped["rollout_agents"].token == ["read", "enrol"]
    assert shipped["uninstall"].changes
    assert {one.name for one in shipped["rotate_tokens"].options if one.secret} == {
        "rotate_pve_token",
        "rotate_pve_job_token",
    }


def test_no_variable_of_a_shipped_one_has_it_play_on_the_control_plane() -> None:
    files = [path for path in (ROOT / "playbooks").glob("*.yml") if path.with_suffix(".meta.yml").exists()]
    for play in [play for file in files for play in yaml.safe_load(file.read_text())]:
        assert play["hosts"] == "all" or play["hosts"][-1] == "&all", play["name"]
