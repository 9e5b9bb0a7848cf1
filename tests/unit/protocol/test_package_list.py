"""What a script's last JSON line means."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.protocol.package_list import parse
from nanny_ops.protocol.patch import PackageChange

NGINX = PackageChange(name="nginx", version="1.18.0-6ubuntu14.3", old_version="1.18.0-6ubuntu14.2", action="upgrade")


@pytest.mark.rows("G0-PT-03", "G0-PT-07")
def test_text_then_the_list():
    line = '[{"name":"nginx","version":"1.18.0-6ubuntu14.3","old_version":"1.18.0-6ubuntu14.2","action":"upgrade"}]'
    assert parse(f"DRY RUN: Would upgrade nginx\n{line}\n".encode()) == [NGINX]


def test_the_last_list_counts_and_text_may_follow():
    assert parse(b'[{"name":"old"}]\n[{"name":"new"}]\ndone [INFO]\n[1 of 3]\n')[0].name == "new"


def test_an_empty_list_is_a_list():
    assert parse(b"nothing\n[]\n") == []


def test_our_further_fields():
    found = parse(b'[{"name":"a","security":true,"repository":"Debian-Security:12"}]')
    assert found == [PackageChange(name="a", security=True, repository="Debian-Security:12")]


def test_the_older_shape():
    text = """Reading...
=== JSON Output (for UI parsing) ===
{ "updates_available": 1, "packages": [
  {"package": "bash", "current_version": "1", "new_version": "2"}
]}
"""
    assert parse(text.encode()) == [PackageChange(name="bash", version="2", old_version="1")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no list here",
        '{"name":"a"}',
        "[1]",
        '["nginx"]',
        '[{"version":"1"}]',
        '[{"name":""}]',
        '[{"name":7}]',
        '[{"name":"a","version":{}}]',
        '[{"name":"' + "x" * 256 + '"}]',
        '[{"name":"\\ud800"}]',
        "=== JSON Output (for UI parsing) ===\nnothing",
        '=== JSON Output (for UI parsing) ===\n{"packages": 3}',
        '=== JSON Output (for UI parsing) ===\n{"packages": [3]}',
        "[" * 100_000 + "]" * 100_000,
        "[" + ",".join(['{"name":"a"}'] * 50_001) + "]",
    ],
)
def test_garbage_is_refused(text):
    with pytest.raises(ValueError, match=r"\w+ .*\."):
        parse(text.encode())


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)
package = st.builds(
    PackageChange,
    name=names,
    version=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20),
    old_version=st.text(max_size=20, alphabet="0123456789.~:-+"),
    action=st.sampled_from(["upgrade", "install", "remove"]),
    security=st.sampled_from([None, True, False]),
    repository=names,
)
noise = st.text(st.characters(codec="utf-8", exclude_characters="[=\n"), max_size=30)


@given(before=st.lists(noise, max_size=4), packages=st.lists(package, max_size=6), after=st.lists(noise, max_size=2))
def test_every_list_comes_back_whole(before, packages, after):
    line = json.dumps([vars(each) for each in packages])
    assert parse("\n".join([*before, line, *after]).encode()) == packages


def outcome_of(data):
    try:
        return parse(data)
    except ValueError as wrong:
        return str(wrong)


@given(st.binary(max_size=300))
def test_bytes_give_packages_or_a_sentence(data):
    found = outcome_of(data)
    if isinstance(found, str):
        assert found.endswith(".")
    else:
        assert all(isinstance(each, PackageChange) for each in found)


@pytest.mark.parametrize("sign", ["\0", "\x1b", "\x9b", "\n"])
def test_control_characters_are_no_part_of_a_package(sign):
    with pytest.raises(ValueError, match="control characters"):
        parse(json.dumps([{"name": "a", "version": f"1{sign}"}]).encode())


@pytest.mark.parametrize(("told", "size"), [(12, 12), (0, 0), (-1, None), (True, None), ("12", None), (1.5, None)])
def test_a_size_is_a_number_of_bytes_or_not_known(told, size):
    assert parse(json.dumps([{"name": "a", "size": told}]).encode())[0].size == size
