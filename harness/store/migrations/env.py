"""Alembic's entry: runs the migrations on the connection that `harness.store.migrate` passes in."""

from alembic import context

from harness.store.tables import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,
    user_module_prefix="",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
