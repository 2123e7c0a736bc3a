"""first tables"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("path", AutoString(), nullable=False),
        sa.Column("key", AutoString(), nullable=False),
        sa.Column("stage", AutoString(), nullable=False),
        sa.Column("spec_hash", AutoString(), nullable=False),
        sa.Column("status", AutoString(), nullable=False),
        sa.Column("reason", AutoString(), nullable=False),
        sa.Column("message", AutoString(), nullable=False),
        sa.Column("log_tail", AutoString(), nullable=False),
        sa.Column("device", AutoString(), nullable=False),
        sa.Column("started", UTCDateTime(), nullable=False),
        sa.Column("updated", UTCDateTime(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('running', 'finished', 'failed', 'interrupted')", name=op.f("ck_attempt_status_known")
        ),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_attempt")),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attempt_key"), ["key"], unique=False)

    op.create_table(
        "dataset",
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("regime", AutoString(), nullable=False),
        sa.Column("role", AutoString(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dataset")),
    )
    op.create_table(
        "entry",
        sa.Column("method", AutoString(), nullable=False),
        sa.Column("task", AutoString(), nullable=False),
        sa.Column("setting", AutoString(), nullable=False),
        sa.Column("state", AutoString(), nullable=False),
        sa.Column("reason", AutoString(), nullable=False),
        sa.Column("seeds", sa.JSON(), nullable=False),
        sa.Column("map_mean", sa.Float(), nullable=True),
        sa.Column("map_std", sa.Float(), nullable=True),
        sa.Column("rank1_mean", sa.Float(), nullable=True),
        sa.Column("rank1_std", sa.Float(), nullable=True),
        sa.Column("rank5_mean", sa.Float(), nullable=True),
        sa.Column("rank5_std", sa.Float(), nullable=True),
        sa.Column("rank10_mean", sa.Float(), nullable=True),
        sa.Column("rank10_std", sa.Float(), nullable=True),
        sa.Column("minp_mean", sa.Float(), nullable=True),
        sa.Column("minp_std", sa.Float(), nullable=True),
        sa.Column("best_map", sa.Float(), nullable=True),
        sa.Column("best_rank1", sa.Float(), nullable=True),
        sa.Column("gpu_hours", sa.Float(), nullable=True),
        sa.Column("cpu_hours", sa.Float(), nullable=True),
        sa.Column("peak_memory_gib", sa.Float(), nullable=True),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("stale", AutoString(), nullable=False),
        sa.Column("reported_map", sa.Float(), nullable=True),
        sa.Column("reported_rank1", sa.Float(), nullable=True),
        sa.Column("reported_rank5", sa.Float(), nullable=True),
        sa.Column("reported_rank10", sa.Float(), nullable=True),
        sa.Column("reported_from", AutoString(), nullable=False),
        sa.Column("reported_verified", sa.Boolean(), nullable=False),
        sa.Column("difference", sa.Float(), nullable=True),
        sa.Column("verdict", AutoString(), nullable=False),
        sa.Column("verdict_note", AutoString(), nullable=False),
        sa.CheckConstraint(
            "state IN ('reproduced', 'running', 'failed', 'interrupted', 'queued', 'reported', "
            "'not planned', 'incompatible')",
            name=op.f("ck_entry_state_known"),
        ),
        sa.PrimaryKeyConstraint("method", "task", name=op.f("pk_entry")),
    )
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_entry_task"), ["task"], unique=False)

    op.create_table(
        "meta",
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("value", AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "method",
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("setting", AutoString(), nullable=False),
        sa.Column("role", AutoString(), nullable=False),
        sa.Column("quoted", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.CheckConstraint("setting IN ('supervised', 'direct', 'uda', 'usl')", name=op.f("ck_method_setting_known")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_method")),
    )
    op.create_table(
        "rejected",
        sa.Column("path", AutoString(), nullable=False),
        sa.Column("reason", AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_rejected")),
    )
    op.create_table(
        "run",
        sa.Column("key", AutoString(), nullable=False),
        sa.Column("digest", AutoString(), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("stale", AutoString(), nullable=False),
        sa.Column("method", AutoString(), nullable=False),
        sa.Column("setting", AutoString(), nullable=False),
        sa.Column("source", AutoString(), nullable=True),
        sa.Column("target", AutoString(), nullable=False),
        sa.Column("task", AutoString(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("regime", AutoString(), nullable=False),
        sa.Column("spec_hash", AutoString(), nullable=False),
        sa.Column("code_version", AutoString(), nullable=False),
        sa.Column("target_hash", AutoString(), nullable=False),
        sa.Column("protocol", AutoString(), nullable=False),
        sa.Column("bn_groups", sa.Integer(), nullable=False),
        sa.Column("precision", AutoString(), nullable=False),
        sa.Column("device", AutoString(), nullable=False),
        sa.Column("started", UTCDateTime(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("gpu_seconds", sa.Float(), nullable=False),
        sa.Column("peak_memory_gib", sa.Float(), nullable=False),
        sa.Column("images_per_second", sa.Float(), nullable=True),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("resumed", sa.Integer(), nullable=False),
        sa.Column("map", sa.Float(), nullable=False),
        sa.Column("rank1", sa.Float(), nullable=False),
        sa.Column("rank5", sa.Float(), nullable=False),
        sa.Column("rank10", sa.Float(), nullable=False),
        sa.Column("minp", sa.Float(), nullable=False),
        sa.Column("map_trapezoid", sa.Float(), nullable=False),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.Column("queries_without_match", sa.Integer(), nullable=False),
        sa.Column("gallery", sa.Integer(), nullable=False),
        sa.Column("best_epoch", sa.Integer(), nullable=True),
        sa.Column("best_map", sa.Float(), nullable=True),
        sa.Column("best_rank1", sa.Float(), nullable=True),
        sa.CheckConstraint("setting IN ('supervised', 'direct', 'uda', 'usl')", name=op.f("ck_run_setting_known")),
        sa.CheckConstraint("map BETWEEN 0 AND 100", name=op.f("ck_run_map_percent")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_method"), ["method"], unique=False)
        batch_op.create_index(batch_op.f("ix_run_task"), ["task"], unique=False)

    op.create_table(
        "task",
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("source", AutoString(), nullable=True),
        sa.Column("target", AutoString(), nullable=False),
        sa.Column("regime", AutoString(), nullable=False),
        sa.Column("reproduced", sa.Integer(), nullable=False),
        sa.Column("reported", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_task")),
    )
    op.create_table(
        "tie",
        sa.Column("task", AutoString(), nullable=False),
        sa.Column("scope", AutoString(), nullable=False),
        sa.Column("method", AutoString(), nullable=False),
        sa.Column("letters", AutoString(), nullable=False),
        sa.Column("p_top", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("task", "scope", "method", name=op.f("pk_tie")),
    )
    op.create_table(
        "figure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("task", AutoString(), nullable=False),
        sa.Column("source", AutoString(), nullable=True),
        sa.Column("target", AutoString(), nullable=False),
        sa.Column("regime", AutoString(), nullable=False),
        sa.Column("map", sa.Float(), nullable=True),
        sa.Column("rank1", sa.Float(), nullable=True),
        sa.Column("rank5", sa.Float(), nullable=True),
        sa.Column("rank10", sa.Float(), nullable=True),
        sa.Column("quoted_from", AutoString(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("note", AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["method"], ["method.name"], name=op.f("fk_figure_method_method"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_figure")),
    )
    with op.batch_alter_table("figure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_figure_task"), ["task"], unique=False)

    op.create_table(
        "rundetail",
        sa.Column("run_key", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("ap", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["run.key"], name=op.f("fk_rundetail_run_key_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_key", name=op.f("pk_rundetail")),
    )


def downgrade() -> None:
    op.drop_table("rundetail")
    with op.batch_alter_table("figure", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_figure_task"))

    op.drop_table("figure")
    op.drop_table("tie")
    op.drop_table("task")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_task"))
        batch_op.drop_index(batch_op.f("ix_run_method"))

    op.drop_table("run")
    op.drop_table("rejected")
    op.drop_table("method")
    op.drop_table("meta")
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_entry_task"))

    op.drop_table("entry")
    op.drop_table("dataset")
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attempt_key"))

    op.drop_table("attempt")
