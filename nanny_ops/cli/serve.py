"""Run the control plane."""

import gc
import ipaddress
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from nanny_ops.control.app import configure_logging, create_app
from nanny_ops.control.settings import Settings, load
from nanny_ops.errors import NannyError, SettingsError

app = typer.Typer(add_completion=False)
#: Seconds that running requests get at the end; streams are closed at once and come back elsewhere.
GRACE = 20


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 lets the system choose.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain in PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key in PEM.")] = None,
    behind_proxy: Annotated[
        bool | None, typer.Option("--behind-proxy", help="A reverse proxy on this machine ends TLS.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file to read instead of /etc/nanny-ops/control.toml.")
    ] = None,
) -> None:
    """Run the control plane until SIGTERM or Ctrl-C; streams are drained, requests finished."""
    flags = {"host": host, "port": port, "tls_cert": tls_cert, "tls_key": tls_key, "behind_proxy": behind_proxy}
    settings = load(os.environ, flags, config)
    refuse_open_bind(settings)
    configure_logging(settings)
    allow_open_files()
    listener = bind(settings)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    sys.stderr.write(f"nanny-ops listens on {settings.host} port {settings.port}\n")
    app = create_app(settings)
    Server(uvicorn_config(app, settings)).run(sockets=[listener])
    if app.state.control.phase == "failed":
        raise NannyError("The control plane cannot start; the log above says why.")


def allow_open_files() -> None:
    """Raise the soft limit of open files to the hard one: each agent holds a stream, and 1,024 is the usual default."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def refuse_open_bind(settings: Settings) -> None:
    """Raise SettingsError for an address others can reach when nothing encrypts what they send."""
    if settings.tls_cert or settings.behind_proxy or _is_loopback(settings.host):
        return
    raise SettingsError(
        f"Will not listen on {settings.host} in plain text: passwords and tokens would travel readable. "
        "Give --tls-cert and --tls-key, or --behind-proxy if a reverse proxy on this machine ends TLS, "
        "or listen on 127.0.0.1."
    )


def bind(settings: Settings) -> socket.socket:
    """Open the listening socket. Raises SettingsError where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as wrong:
        listener.close()
        raise SettingsError(f"Cannot listen on {settings.host} port {settings.port}: {wrong.strerror}.") from wrong
    return listener


def uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn runs the app; its access log stays off, since addresses may carry codes."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips="127.0.0.1,::1",
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        loop="uvloop",
        http="httptools",
        ws="none",
        backlog=4096,
    )


class Server(uvicorn.Server):
    """Closes the event streams before it waits for connections to end; they would never end by themselves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and take what lives as long as the process out of the collector's sight.

        A full collection over all modules stops every request for about 100 ms, once a second under load.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def on_tick(self, counter: int) -> bool:
        """End also when the store could not be opened: a service manager must see that, not a lasting 503."""
        app = self.config.app
        failed = isinstance(app, FastAPI) and app.state.control.phase == "failed"
        return await super().on_tick(counter) or failed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then end."""
        app = self.config.app
        if isinstance(app, FastAPI):
            if app.state.control.phase != "failed":
                app.state.control.phase = "draining"
            app.state.control.streams.close_all()
        await super().shutdown(sockets)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
