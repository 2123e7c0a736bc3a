"""identities of queries, and epochs chosen without labels; runs are taken in anew, since both come from their files"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM rundetail")
    op.execute("DELETE FROM run")
    op.create_table(
        "queryset",
        sa.Column("data", AutoString(), nullable=False),
        sa.Column("identities", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("data", name=op.f("pk_queryset")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("chosen_epoch", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("chosen_map", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("chosen_rank1", sa.Float(), nullable=True))
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("chosen_map", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("chosen_rank1", sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.drop_column("chosen_rank1")
        batch_op.drop_column("chosen_map")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_column("chosen_rank1")
        batch_op.drop_column("chosen_map")
        batch_op.drop_column("chosen_epoch")
    op.drop_table("queryset")
