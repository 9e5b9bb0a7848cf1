"""The API by token, against a TLS server that answers as Proxmox VE does."""

import hashlib
import json
import ssl
import threading
import urllib.parse
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from nanny_ops.errors import (
    ProxmoxError,
    ProxmoxForbidden,
    ProxmoxGone,
    ProxmoxUnauthorized,
    ProxmoxUnreachable,
)
from nanny_ops.machine.proxmox.client import Client, translate
from nanny_ops.machine.verbs import ProxmoxAccess

SECRET = "11111111-2222-3333-4444-555555555555"
TOKEN = f"agent@pve!mon={SECRET}"


class Answers(BaseHTTPRequestHandler):
    """Answer by path; the reason phrase carries the error, as there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.removeprefix("/api2/json/")
        if self.headers["Authorization"] != f"PVEAPIToken={TOKEN}":
            self.answer(401, "Authentication failed!", b"")
        elif path == "version":
            self.answer(200, "OK", json.dumps({"data": {"version": "9.2.11"}}).encode())
        elif path == "query?type=vm":
            self.answer(200, "OK", b'{"data":["vm"]}')
        elif path == "forbidden":
            self.answer(403, "Permission check failed (/vms/103, VM.Audit)", b'{"data":null}')
        elif path == "gone":
            self.answer(500, "Configuration file 'nodes/pve1/lxc/999.conf' does not exist", b'{"data":null}')
        elif path == "peer":
            self.answer(595, "No route to host", b"")
        elif path == "moved":
            self.answer(302, "Found", b"", Location="https://elsewhere.example/")
        elif path == "page":
            self.answer(200, "OK", b"<html>a proxy</html>")
        elif path == "slow":
            self.server.gate.wait(5)
        else:
            self.answer(501, f"Method 'GET /{path}' not implemented", b'{"data":null}')

    def do_POST(self):
        """Tell what arrived."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        told = [self.command, self.path.removeprefix("/api2/json/"), urllib.parse.parse_qsl(body)]
        if self.path.endswith("refused"):
            self.answer(500, "CT is locked (backup)", b'{"data":null}')
        else:
            self.answer(200, "OK", json.dumps({"data": told}).encode())

    do_PUT = do_DELETE = do_POST  # noqa: N815 - the names that the base class looks up

    def answer(self, status, reason, body, **headers):
        self.send_response(status, reason)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority):
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    running = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    running.gate = threading.Event()
    running.handle_error = lambda *_: None
    pem = certificate.cert_chain_pems[0].bytes().decode()
    running.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.gate.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def access(server, authority, tmp_path):
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return ProxmoxAccess(url=f"https://127.0.0.1:{server.server_port}", token=TOKEN, ca_file=str(ca_file))


def ask(access, path="version", **parameters):
    with Client(access) as client:
        return client.get(path, **parameters)


def test_the_certificate_of_whoever_answers_is_known(access, server):
    with Client(access) as client:
        assert client.peer == ""
        client.get("version")
        assert len(client.peer) == 64


def test_a_ca_file_is_enough(access):
    assert ask(access) == {"version": "9.2.11"}
    assert ask(access, "query", type="vm") == ["vm"]


def test_changes_carry_their_parameters(access):
    with Client(access) as client:
        assert client.post("nodes/a/qemu/1/agent/exec", command=["echo", "a b"], **{"input-data": "x"}) == [
            "POST",
            "nodes/a/qemu/1/agent/exec",
            [["command", "echo"], ["command", "a b"], ["input-data", "x"]],
        ]
        assert client.put("config", memory=512) == ["PUT", "config", [["memory", "512"]]]
        assert client.delete("tasks/x", purge=1) == ["DELETE", "tasks/x?purge=1", []]


@pytest.mark.rows("PVE-38")
def test_a_refusal_keeps_status_and_reason(access):
    with Client(access) as client, pytest.raises(ProxmoxError) as refused:
        client.post("refused")
    assert refused.value.details == {"status": 500, "reason": "CT is locked (backup)", "lock": "backup"}


@pytest.mark.parametrize("colons", [False, True])
def test_a_fingerprint_is_enough(access, server, colons):
    plain = server.fingerprint
    written = ":".join(plain[i : i + 2] for i in range(0, 64, 2)).upper() if colons else plain
    assert ask(replace(access, ca_file="", fingerprint=written)) == {"version": "9.2.11"}


def test_the_environment_cannot_overrule_what_was_configured(access, server, monkeypatch, tmp_path):
    # The environment is what is under test here.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert ask(access) == {"version": "9.2.11"}
    assert ask(replace(access, ca_file="", fingerprint=server.fingerprint)) == {"version": "9.2.11"}


@pytest.mark.parametrize("trust", [{"ca_file": ""}, {"ca_file": "", "fingerprint": "ab" * 32}])
def test_another_certificate_is_refused_with_the_fix(access, trust):
    with pytest.raises(ProxmoxUnreachable, match=r"fingerprint|CA"):
        ask(replace(access, **trust))


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("forbidden", ProxmoxForbidden, r"lacks VM.Audit on /vms/103"),
        ("gone", ProxmoxGone, "no such guest"),
        ("peer", ProxmoxUnreachable, "No route to host"),
        ("moved", ProxmoxUnreachable, "elsewhere"),
        ("page", ProxmoxUnreachable, "not the Proxmox VE API"),
        ("nonsense", ProxmoxError, "not implemented"),
    ],
)
def test_errors_are_named(access, path, error, words):
    with pytest.raises(error, match=words) as caught:
        ask(access, path)
    assert type(caught.value) is error
    assert SECRET not in str(caught.value)


def test_a_wrong_secret_is_named_without_being_shown(access):
    with pytest.raises(ProxmoxUnauthorized, match="agent@pve!mon") as caught:
        ask(replace(access, token="agent@pve!mon=wrong-secret"))
    assert "wrong-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_slow_answer_has_a_deadline(access):
    with pytest.raises(ProxmoxUnreachable, match="in time"):
        ask(replace(access, timeout_seconds=0.3), "slow")


def test_nobody_there(access):
    with pytest.raises(ProxmoxUnreachable, match="cannot be reached"):
        ask(replace(access, url="https://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"token": "agent@pve!mon:secret"}, ProxmoxUnauthorized),
        ({"token": ""}, ProxmoxUnauthorized),
        ({"url": "http://127.0.0.1:8006"}, ProxmoxUnreachable),
        ({"url": "127.0.0.1:8006"}, ProxmoxUnreachable),
        ({"ca_file": "/no/such/file.pem"}, ProxmoxUnreachable),
        ({"fingerprint": "abc"}, ProxmoxUnreachable),
    ],
)
def test_access_that_cannot_work_is_refused_at_once(access, change, error):
    with pytest.raises(error):
        Client(replace(access, **change))


def test_access_does_not_show_its_token(access):
    assert SECRET not in repr(access)


def test_forbidden_names_what_to_grant():
    wrong = translate(403, "Permission check failed (/, Sys.Audit)", "cluster/status", "a@pve!t", "n:8006")
    assert (wrong.details["privilege"], wrong.details["path"]) == ("Sys.Audit", "/")
    assert "pveum acl modify / --users a@pve --roles PVEAuditor" in wrong.message
    assert "privsep 1" in wrong.message
    assert "--tokens a@pve!t" in wrong.message
