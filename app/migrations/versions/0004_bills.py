"""Subscriptions and their bills.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("plan", sa.String(20), nullable=False),
        sa.Column("price_cents", sa.Integer, nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("renews_on", sa.Integer, nullable=False),
        sa.Column("next_renewal", sa.Date, nullable=False),
        sa.Column("charged_cents", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_subscriptions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_subscriptions_user_id"),
        sa.CheckConstraint("renews_on BETWEEN 1 AND 31", name=op.f("ck_subscriptions_renews_on")),
    )
    op.create_index("ix_subscriptions_next_renewal", "subscriptions", ["next_renewal"])
    op.create_table(
        "bills",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("period", sa.Date, nullable=False),
        sa.Column("amount_cents", sa.Integer, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("reminded_at", TIME),
        sa.Column("alerted_at", TIME),
        sa.Column("paid_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_bills"),
        sa.ForeignKeyConstraint(["user_id"], ["subscriptions.user_id"], name="fk_bills_user_id"),
        sa.UniqueConstraint("user_id", "period", name="uq_bills_user_id_period"),
    )
    op.create_index("ix_bills_paid_at_due_on", "bills", ["paid_at", "due_on"])


def downgrade() -> None:
    for table in ("bills", "subscriptions"):
        op.drop_table(table)
