"""How alembic reaches the store's tables; run by nanny_ops.control.store.schema, never by hand."""

from alembic import context

from nanny_ops.control.store.proxmox_tables import clusters

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=clusters.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
