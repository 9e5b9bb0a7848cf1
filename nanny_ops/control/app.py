"""Wiring and lifespan of the control plane, nothing else."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import FastAPI

from nanny_ops import __version__
from nanny_ops.control import scheduler
from nanny_ops.control.api import DIRECT, ROUTERS, document, problem
from nanny_ops.control.api.gate import Gate
from nanny_ops.control.api.state import State
from nanny_ops.control.api.streams import Streams
from nanny_ops.control.bus import Bus
from nanny_ops.control.conductor import Conductor
from nanny_ops.control.playbooks.catalogue import Catalogue
from nanny_ops.control.playbooks.folder import Folders
from nanny_ops.control.services import script, signature
from nanny_ops.control.services.counts import Counts
from nanny_ops.control.services.keyring import Keyring, load_secret
from nanny_ops.control.services.limit import Limits
from nanny_ops.control.services.session import Sessions
from nanny_ops.control.services.signing import load_signer
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import schema
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, sqlite_url
from nanny_ops.protocol.clock import micros, now

log = structlog.get_logger()


def make_keyring(settings: Settings) -> Keyring:
    """Make the data directory (mode 0700) and return the keys of the secret in it, or of the one that is set."""
    Path(settings.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    return Keyring(load_secret(settings.data_dir, settings.secret_key.get_secret_value()))


def open_database(settings: Settings, keyring: Keyring | None = None) -> Database:
    """Return the data directory's database, or PostgreSQL's; without a keyring, with one of its own."""
    seal = (keyring or make_keyring(settings)).seal
    return Database(settings.database_url.get_secret_value() or sqlite_url(settings.data_dir), seal=seal)


def make_state(settings: Settings) -> State:
    """Connect the parts; nothing runs yet."""
    keyring = make_keyring(settings)
    database = open_database(settings, keyring)
    bus = Bus()
    database.on_commit = bus.wake
    return State(
        settings=settings,
        database=database,
        sessions=Sessions(keyring, database),
        bus=bus,
        streams=Streams(database, bus),
        limits=Limits(enabled=settings.rate_limits == "on"),
        counts=Counts(),
        signer=load_signer(settings.data_dir),
        catalogue=Catalogue(settings.playbook_dir, settings.playbook_timeout_seconds),
        folders=Folders(settings.data_dir / "playbooks"),
    )


def create_app(settings: Settings) -> FastAPI:
    """Return the control plane as an ASGI app."""
    state = make_state(settings)
    conductor = Conductor(state.database, state.folders, state.catalogue, settings, state.bus)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        opening = asyncio.create_task(_open(state, conductor))
        ticker = scheduler.make(scheduler.Ticker(state.database, state.settings, state.counts))
        opening.add_done_callback(lambda task: None if task.cancelled() or task.exception() else ticker.start())
        try:
            yield
        finally:
            state.phase = "failed" if state.phase == "failed" else "draining"
            if ticker.running:
                ticker.shutdown(wait=False)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            await conductor.stop()
            await state.streams.stop()
            await asyncio.to_thread(state.database.close)

    app = FastAPI(
        title="nanny-ops",
        version=__version__,
        summary="Patch Proxmox VE clusters safely, and find out why a guest is ill.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # the built-in pages load scripts from foreign hosts, which no node's admin should run
        redoc_url=None,
        # Read from the environment at every request otherwise; /metrics says what this process does.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.control = state
    problem.install(app)
    for router in ROUTERS:
        app.include_router(router)
    document.install(app)
    app.add_middleware(Gate, state=state, direct=DIRECT)
    return app


async def _open(state: State, conductor: Conductor) -> None:
    """Migrate, fill in what ships with the product, follow the log; requests get 503 until this is done."""
    try:
        await asyncio.to_thread(prepare, state.database)
        await asyncio.to_thread(state.database.write_now, lambda tx: signature.adopt(tx, state.signer, now()))
        state.database.start()
        await state.streams.start()
        conductor.start()
    except Exception as wrong:
        log.critical("cannot start", exc_info=wrong)
        state.phase = "failed"
        raise
    state.phase = "ready"
    log.info("ready", database="sqlite" if state.database.sqlite else "postgresql", address=state.public_url)


def prepare(database: Database) -> None:
    """Bring a database to the newest revision with everything that ships with the product."""
    schema.upgrade(database)
    database.write_now(lambda tx: teams.ensure_default(tx, micros(now())))
    database.write_now(lambda tx: script.ship(tx, now()))


def configure_logging(settings: Settings) -> None:
    """Write the log to stderr, for people or as JSON."""
    level = getattr(logging, settings.log_level.upper())
    renderer = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING)
