"""What is typed becomes fields of an order, and what means nothing is refused with how to write it."""

import pytest

from nanny_ops.cli import patch_choice as choice
from nanny_ops.errors import SettingsError


def test_numbers_and_ranges_are_told_apart() -> None:
    assert choice.numbers(["100,102", "110-120"]) == {"vmids": [100, 102], "ranges": ["110-120"]}
    with pytest.raises(SettingsError, match="100-120"):
        choice.numbers(["web1"])


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("unit:nginx.service", {"unit": "nginx.service"}),
        ("tcp:5432", {"host": "", "port": 5432}),
        ("tcp:db.example.com:5432", {"host": "db.example.com", "port": 5432}),
        ("http:http://localhost:8080/up", {"url": "http://localhost:8080/up"}),
        ("http:https://a/b?c=d=204", {"url": "https://a/b?c=d", "status": 204}),
        ("command:test -e '/a b'", {"argv": ["test", "-e", "/a b"]}),
        ("load:2.5", {"most": 2.5}),
        ("services", {}),
    ],
)
def test_probes(text: str, fields: dict[str, object]) -> None:
    assert choice.probe(text) == {"kind": text.partition(":")[0], **fields}


@pytest.mark.parametrize("text", ["", "ping:a", "tcp:web", "load:x", "command:'a"])
def test_what_is_no_probe_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no probe"):
        choice.probe(text)


def test_hooks_say_what_their_failure_means() -> None:
    assert choice.hook("pre", "drain-1")["on_failure"] == "must-succeed"
    assert choice.hook("post", "tell-1:always") == {"stage": "post", "script_id": "tell-1", "on_failure": "always"}
    with pytest.raises(SettingsError):
        choice.hook("pre", "drain-1:never")
