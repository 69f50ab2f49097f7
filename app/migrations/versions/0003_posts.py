"""What happens to posts: published later, checked, liked, found; and what has happened once (`tasks.effect`).

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
EFFECTS = "celery_runtime_effects"


def upgrade() -> None:
    _add_publication()
    _create_fact_checks()
    op.create_table(
        "post_likes",
        sa.Column("post_id", sa.Uuid, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("post_id", name="pk_post_likes"),
    )
    _create_search_entries()
    op.create_table(
        EFFECTS,
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=f"pk_{EFFECTS}"),
    )
    op.create_index(f"ix_{EFFECTS}_created_at", EFFECTS, ["created_at"])


def downgrade() -> None:
    for table in (EFFECTS, "search_entries", "post_likes", "fact_checks"):
        op.drop_table(table)
    op.drop_index("ix_posts_published_at_id", "posts")
    op.drop_column("posts", "published_at")
    op.drop_column("posts", "publish_at")
    op.create_index("ix_posts_created_at_id", "posts", ["created_at", "id"])


def _add_publication() -> None:
    op.add_column("posts", sa.Column("publish_at", TIME))
    op.add_column("posts", sa.Column("published_at", TIME))
    op.execute("UPDATE posts SET published_at = created_at")
    op.drop_index("ix_posts_created_at_id", "posts")
    op.create_index("ix_posts_published_at_id", "posts", ["published_at", "id"])


def _create_fact_checks() -> None:
    op.create_table(
        "fact_checks",
        sa.Column("post_id", sa.Uuid, nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("confidence", sa.Double),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("checked_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("post_id", name="pk_fact_checks"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_fact_checks_post_id", ondelete="CASCADE"),
        sa.CheckConstraint("verdict IN ('true', 'false', 'unverified')", name=op.f("ck_fact_checks_verdict")),
    )


def _create_search_entries() -> None:
    op.create_table(
        "search_entries",
        sa.Column("post_id", sa.Uuid, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("indexed_at", TIME),
        sa.PrimaryKeyConstraint("post_id", name="pk_search_entries"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_search_entries_post_id", ondelete="CASCADE"),
    )
    op.create_index("ix_search_entries_indexed_at", "search_entries", ["indexed_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE search_entries"
            " ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED NOT NULL"
        )
        op.execute("CREATE INDEX ix_search_entries_words ON search_entries USING gin (words)")
