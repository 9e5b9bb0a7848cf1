"""Whom the agent believes, shown against a real TLS server."""

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest
import trustme

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.tls import make_context
from nanny_ops.errors import Unreachable

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def ask(authority: trustme.CA, name: str, context: ssl.SSLContext) -> int:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(served)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REPLY)
        await writer.drain()
        writer.close()

    async def no_wait(_seconds: float) -> None:
        return None

    async def go() -> int:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=served)
        async with server:
            port = server.sockets[0].getsockname()[1]
            client = ApiClient(f"https://localhost:{port}", context=context, sleep=no_wait, random=lambda: 0.5)
            try:
                return (await client.request("GET", "/", tries=1)).status
            finally:
                await client.close()

    return asyncio.run(go())


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def test_a_given_authority_is_believed_and_others_are_not(authority: trustme.CA, tmp_path: Path) -> None:
    context = make_context(ca_file(authority, tmp_path))
    assert ask(authority, "localhost", context) == 200
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        ask(trustme.CA(), "localhost", context)
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        ask(authority, "other.example", context)


def test_a_pinned_certificate_needs_no_authority_and_no_other_passes(authority: trustme.CA) -> None:
    with pytest.raises(Unreachable, match="not the pinned one"):
        ask(authority, "localhost", make_context(pin_sha256="00" * 32))

    class Once:
        """An authority that always shows the same certificate."""

        def __init__(self) -> None:
            self.cert = authority.issue_cert("other.example")

        def issue_cert(self, _name: str) -> trustme.LeafCert:
            return self.cert

    shown = Once()
    der = ssl.PEM_cert_to_DER_cert(shown.cert.cert_chain_pems[0].bytes().decode())
    pin = hashlib.sha256(der).hexdigest()
    assert ask(shown, "", make_context(pin_sha256=":".join([pin[:2], pin[2:]]).upper())) == 200


def test_a_pin_beside_an_authority_narrows_it(authority: trustme.CA, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="not the pinned one"):
        ask(authority, "localhost", make_context(ca_file(authority, tmp_path), "00" * 32))


def test_a_bad_authority_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        make_context(str(tmp_path / "none"))
