"""Backup and restore of all that a control plane keeps: ``nanny-ops db backup`` and ``db restore``."""

import os
import tempfile
from datetime import datetime
from pathlib import Path

from nanny_ops import __version__
from nanny_ops.cli.serve import bind
from nanny_ops.control.app import open_database
from nanny_ops.control.services import backup as service
from nanny_ops.control.services.backup import DATA, DATABASE, Kind, Manifest
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import schema
from nanny_ops.control.store.copy import check_sqlite, copy_sqlite, postgres_environ
from nanny_ops.errors import MachineError, SettingsError
from nanny_ops.machine.run import run
from nanny_ops.protocol.clock import stamp

#: Seconds for PostgreSQL's own programs.
DEADLINE = 7200.0
#: Also what a newer release has added: it would hold on to what is replaced, and be in the way of its next upgrade.
ALL_GOES = """SET client_min_messages = warning; DO $$ DECLARE found text; BEGIN
FOR found IN SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND relispartition IS FALSE
    AND relnamespace = current_schema()::regnamespace AND relowner = current_user::regrole
LOOP EXECUTE 'DROP TABLE ' || found || ' CASCADE'; END LOOP;
FOR found IN SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND proowner = current_user::regrole
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
LOOP EXECUTE 'DROP ROUTINE ' || found || ' CASCADE'; END LOOP; END $$"""
#: Name that the file of a replaced database gets, until somebody removes it.
BEFORE = ".before-restore"


def make(settings: Settings, now: datetime) -> tuple[Path, list[Path]]:
    """Write a backup while the control plane may run, remove the oldest ones; return the new file and what went.

    Raises SettingsError, MachineError.
    """
    directory = settings.backup_dir
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=directory) as scratch:
        database = Path(scratch) / DATABASE[_kind(settings)]
        _copy(settings, database)
        told = Manifest(version=__version__, revision=_revision(settings), kind=_kind(settings), made_at=stamp(now))
        made = service.pack(directory / service.file_name(now), told, database, settings.data_dir)
    gone = service.surplus(directory, settings.backup_keep)
    for old in gone:
        old.unlink(missing_ok=True)
    return made, gone


def restore(settings: Settings, file: Path, *, force: bool) -> Manifest:
    """Put a backup in the place of what is there, which only ``force`` allows; return what it says of itself.

    Raises SettingsError where the control plane runs, or the backup is damaged or of a newer release.
    """
    bind(settings).close()  # taken where a control plane still serves
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=settings.data_dir) as scratch:
        tree = Path(scratch)
        told = service.unpack(file, tree)
        _fits(settings, told, file)
        if told.kind == "sqlite":
            _restore_sqlite(settings.data_dir, tree / DATABASE["sqlite"], force=force)
        else:
            _restore_postgres(settings, tree / DATABASE["postgresql"], force=force)
        _restore_data(settings.data_dir, tree / DATA)
    return told


def _kind(settings: Settings) -> Kind:
    return "postgresql" if settings.database_url.get_secret_value() else "sqlite"


def _copy(settings: Settings, target: Path) -> None:
    if _kind(settings) == "sqlite":
        copy_sqlite(settings.data_dir / DATABASE["sqlite"], target)
    else:
        _postgres(settings, ["pg_dump", "--format=custom", f"--file={target}"])


def _fits(settings: Settings, told: Manifest, file: Path) -> None:
    if told.kind != _kind(settings):
        raise SettingsError(f"{file} is of {told.kind}, and the settings name {_kind(settings)}.")
    if told.revision and not schema.knows(told.revision):
        raise SettingsError(f"{file} was made by release {told.version}, which is newer; install that one first.")


def _revision(settings: Settings) -> str:
    database = open_database(settings)
    try:
        return schema.current(database)
    finally:
        database.close()


def _restore_sqlite(data_dir: Path, fresh: Path, *, force: bool) -> None:
    check_sqlite(fresh)
    present = data_dir / DATABASE["sqlite"]
    if present.exists():
        if not force:
            raise SettingsError(f"{present} is there already; --force replaces it and keeps it as *{BEFORE}.")
        # By a copy, which has what lies in the log beside the file.
        kept = present.with_name(present.name + BEFORE)
        kept.unlink(missing_ok=True)
        copy_sqlite(present, kept)
    for suffix in ("-wal", "-shm"):
        present.with_name(present.name + suffix).unlink(missing_ok=True)
    fresh.replace(present)


def _restore_postgres(settings: Settings, dump: Path, *, force: bool) -> None:
    if _revision(settings) and not force:
        raise SettingsError("The database has tables already; --force replaces them and all that its user has there.")
    script = dump.with_name("postgresql.sql")
    _postgres(settings, ["pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(dump)])
    whole = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    _postgres(settings, ["psql", *whole, f"--command={ALL_GOES}", f"--file={script}"])


def _restore_data(data_dir: Path, tree: Path) -> None:
    for file in sorted(path for path in tree.rglob("*") if path.is_file()):
        target = data_dir / file.relative_to(tree)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.replace(target)


def _postgres(settings: Settings, argv: list[str]) -> None:
    told = postgres_environ(settings.database_url.get_secret_value())
    done = run(argv, timeout=DEADLINE, env={**os.environ, **told})
    if done.exit_code != 0:
        said = done.stderr.decode(errors="replace").strip()[-1000:]
        raise MachineError(f"{argv[0]} failed{' (time is over)' if done.timed_out else ''}: {said}")
