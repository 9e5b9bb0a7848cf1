"""serve refuses what would send secrets readable, and says what is wrong with an address."""

import resource
import socket
from pathlib import Path

import pytest

from nanny_ops.cli.serve import allow_open_files, bind, refuse_open_bind
from nanny_ops.control.settings import Settings
from nanny_ops.errors import SettingsError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    refuse_open_bind(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "ops.example.com"])
def test_other_addresses_need_tls_or_a_proxy(host: str) -> None:
    with pytest.raises(SettingsError, match="--tls-cert"):
        refuse_open_bind(Settings(host=host))
    refuse_open_bind(Settings(host=host, behind_proxy=True))
    refuse_open_bind(Settings(host=host, tls_cert=Path("c"), tls_key=Path("k")))


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port}"):
            bind(Settings(port=port))


def test_a_thousand_streams_fit_under_the_limit_of_open_files() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
