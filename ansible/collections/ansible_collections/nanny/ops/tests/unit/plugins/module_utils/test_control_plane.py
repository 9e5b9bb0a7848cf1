# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client repeats what may be repeated, waits as it is asked to, and says why it gives up."""

from __future__ import annotations

import io
import json
from email.message import Message
from urllib.error import HTTPError, URLError

import pytest
from ansible_collections.nanny.ops.plugins.module_utils import control_plane as module
from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlane, ControlPlaneError

URL = "https://ops.example.com:8443"


class Net:
    """Answers in order: bytes, a status with a body and a Retry-After, or an error to raise."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, url, **how):
        self.asked.append((how["method"], url, how))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)


def refusal(status, body=b"", after=None):
    headers = Message()
    if after is not None:
        headers["Retry-After"] = after
    return HTTPError(URL, status, "no", headers, io.BytesIO(body))


def plane(net, sleep=lambda seconds: None, **options):
    return ControlPlane(URL, "nop_x", transport=net, sleep=sleep, jitter=lambda: 1.0, **options)


def test_it_asks_again_after_growing_pauses():
    slept = []
    net = Net(refusal(503), URLError("reset"), refusal(500), b'{"agent_id": "a"}')
    assert plane(net, slept.append).ask("agent", agent_id="a/b") == {"agent_id": "a"}
    assert slept == [1.0, 2.0, 4.0]
    assert {url for dummy, url, dummy2 in net.asked} == {URL + "/api/agents/a%2Fb"}
    how = net.asked[0][2]
    assert how["headers"]["Authorization"] == "Bearer nop_x"
    assert (how["timeout"], how["follow_redirects"]) == (30, "none")


def test_it_waits_as_long_as_it_is_asked_to():
    slept = []
    plane(Net(refusal(429, after="7"), b"{}"), slept.append).ask("agents")
    assert slept == [8.0]


def test_it_gives_up_after_its_tries():
    net = Net(*[refusal(503) for dummy in range(5)])
    with pytest.raises(ControlPlaneError) as wrong:
        plane(net).ask("agents")
    assert (wrong.value.status, len(net.asked)) == (503, 5)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_will_not_pass_is_not_asked_again(status):
    net = Net(refusal(status))
    with pytest.raises(ControlPlaneError):
        plane(net).ask("agents")
    assert len(net.asked) == 1


@pytest.mark.parametrize(
    ("broken", "tries"),
    [(URLError("reset"), 1), (refusal(500), 1), (URLError(ConnectionRefusedError()), 2), (refusal(503), 2)],
)
def test_what_must_not_be_done_twice_is_repeated_only_if_it_was_not_done(broken, tries):
    net = Net(broken, b"{}")
    if tries == 1:
        with pytest.raises(ControlPlaneError):
            plane(net).ask("make token", body={"name": "x"})
    else:
        plane(net).ask("make token", body={"name": "x"})
    assert len(net.asked) == tries


def test_with_a_key_a_lost_answer_is_asked_for_again():
    net = Net(URLError("reset"), b"{}")
    plane(net).ask("place patch", body={"agent_id": "a"}, key="k")
    assert [how["headers"]["Idempotency-Key"] for dummy, dummy2, how in net.asked] == ["k", "k"]


@pytest.mark.parametrize(
    ("body", "said", "code"),
    [
        ({"error": {"message": "No such agent.", "code": "E_X", "details": {"a": 1}}}, "No such agent.", "E_X"),
        ({"error": "not_found", "error_description": "No such agent."}, "No such agent.", "not_found"),
        (["what"], "404", ""),
    ],
)
def test_it_tells_what_the_control_plane_said_and_what_to_do(body, said, code):
    with pytest.raises(ControlPlaneError) as wrong:
        plane(Net(refusal(404, json.dumps(body).encode()))).ask("agent", agent_id="a")
    assert said in str(wrong.value)
    assert "Look whether the name is right" in str(wrong.value)
    assert wrong.value.code == code


def test_an_answer_of_something_else_is_said():
    with pytest.raises(ControlPlaneError, match="not JSON"):
        plane(Net(b"<html>")).ask("agents")


def test_lists_are_read_page_after_page():
    pages = [{"items": [1, 2], "total": 3}, {"items": [3], "total": 3}]
    net = Net(*[json.dumps(page).encode() for page in pages])
    assert plane(net).every("patches", page=2, vmid=101, mode=None) == [1, 2, 3]
    assert [url.rpartition("?")[2] for dummy, url, dummy2 in net.asked] == [
        "vmid=101&limit=2&offset=0",
        "vmid=101&limit=2&offset=2",
    ]


def test_a_list_that_shrinks_ends():
    net = Net(b'{"items": [1], "total": 3}', b'{"items": [], "total": 3}')
    assert plane(net).every("patches", page=1) == [1]


@pytest.mark.parametrize("url", ["", "ops.example.com", "http://ops.example.com", "https://a:b@ops.example.com"])
def test_addresses_that_cannot_be_are_refused(url):
    with pytest.raises(ControlPlaneError):
        ControlPlane(url, "nop_x")


def test_what_is_in_no_catalogue_is_not_sent():
    with pytest.raises(ControlPlaneError, match="not told moon"):
        plane(Net()).ask("place patch", body={"moon": 1})
    with pytest.raises(ControlPlaneError, match="not told moon"):
        plane(Net()).ask("agents", query={"moon": 1})


@pytest.mark.parametrize(("url", "read"), [(URL, 1), ("http://127.0.0.1:8443", 0)])
def test_whom_to_trust_is_read_once_and_only_where_it_counts(monkeypatch, url, read):
    made, asked = [], []

    def make(**how):
        made.append(how)
        return "trust"

    class Net:
        def open(self, method, url, **how):
            asked.append((method, url, how["context"]))
            return io.BytesIO(b"{}")

    monkeypatch.setattr(module, "make_context", make)
    monkeypatch.setattr(module, "Request", Net)
    own = ControlPlane(url, "nop_x", ca_file="/ca.pem", validate_certs=False)
    assert own.ask("agent", agent_id="a") == own.ask("agent", agent_id="a")
    assert made == [{"cafile": "/ca.pem", "validate_certs": False}] * read
    (first, again) = asked
    assert first == again
    assert first[:2] == ("GET", url + "/api/agents/a")
