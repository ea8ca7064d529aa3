"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "reddit_frontier",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("spelling", sa.Text(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("leased_by", sa.Text()),
        sa.Column("leased_until", _TIME),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("state", sa.Text()),
        sa.Column("todo", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("found_in", sa.Text()),
        sa.Column("entered_at", _TIME, nullable=False),
        sa.Column("done_at", _TIME),
    )
    op.create_index("reddit_frontier_due", "reddit_frontier", ["settled", "depth", "due_at", "name"])
    op.create_index("reddit_frontier_leased_by", "reddit_frontier", ["leased_by"])
    op.create_table(
        "reddit_posts",
        sa.Column("reddit_id", sa.Text(), primary_key=True),
        sa.Column("subreddit_name", sa.Text(), nullable=False),
        sa.Column("author_username", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("fetched_at", _TIME, nullable=False),
        sa.Column("selftext", sa.Text()),
        sa.Column("url", sa.Text()),
        sa.Column("permalink", sa.Text()),
        sa.Column("domain", sa.Text()),
        sa.Column("created_utc", _TIME),
        sa.Column("edited_utc", _TIME),
        sa.Column("score", sa.BigInteger()),
        sa.Column("upvote_ratio", sa.Double()),
        sa.Column("num_comments", sa.BigInteger()),
        sa.Column("num_crossposts", sa.BigInteger()),
        sa.Column("is_self", sa.Boolean()),
        sa.Column("is_video", sa.Boolean()),
        sa.Column("over_18", sa.Boolean()),
        sa.Column("spoiler", sa.Boolean()),
        sa.Column("stickied", sa.Boolean()),
        sa.Column("locked", sa.Boolean()),
        sa.Column("archived", sa.Boolean()),
        sa.Column("distinguished", sa.Text()),
        sa.Column("link_flair_text", sa.Text()),
        sa.Column("author_flair_text", sa.Text()),
        sa.Column("post_hint", sa.Text()),
        sa.Column("total_awards_received", sa.BigInteger()),
    )
    op.create_index("reddit_posts_author", "reddit_posts", ["author_username"])
    op.create_index("reddit_posts_created", "reddit_posts", ["created_utc"])
    op.create_index("reddit_posts_subreddit_created", "reddit_posts", ["subreddit_name", "created_utc"])
    op.create_table(
        "reddit_proxies",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("address", sa.Text()),
        sa.Column("state", sa.Text()),
        sa.Column("success_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("error_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("latency_sum", sa.Double(), nullable=False, server_default=sa.text("0")),
        sa.Column("latency_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("mean_latency_ms", sa.Double()),
        sa.Column("consecutive_failures", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("last_error", sa.Text()),
        sa.Column("last_error_at", _TIME),
        sa.Column("resting_until", _TIME),
        sa.Column("updated_at", _TIME),
    )
    op.create_table(
        "reddit_subreddits",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("state", sa.Text()),
        sa.Column("fetched_at", _TIME),
        sa.Column("reddit_id", sa.Text()),
        sa.Column("title", sa.Text()),
        sa.Column("public_description", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("subscribers", sa.BigInteger()),
        sa.Column("active_users", sa.BigInteger()),
        sa.Column("created_utc", _TIME),
        sa.Column("over18", sa.Boolean()),
        sa.Column("quarantine", sa.Boolean()),
        sa.Column("subreddit_type", sa.Text()),
        sa.Column("submission_type", sa.Text()),
        sa.Column("lang", sa.Text()),
        sa.Column("url", sa.Text()),
        sa.Column("icon_url", sa.Text()),
        sa.Column("banner_url", sa.Text()),
        sa.Column("submit_text", sa.Text()),
        sa.Column("allow_images", sa.Boolean()),
        sa.Column("allow_videos", sa.Boolean()),
        sa.Column("allow_polls", sa.Boolean()),
        sa.Column("spoilers_enabled", sa.Boolean()),
        sa.Column("wiki_enabled", sa.Boolean()),
        sa.Column("restrict_posting", sa.Boolean()),
        sa.Column("score_mean", sa.Double()),
        sa.Column("score_median", sa.Double()),
        sa.Column("comments_per_upvote", sa.Double()),
        sa.Column("posts_per_day", sa.Double()),
        sa.Column("account_age_days_p10", sa.Double()),
        sa.Column("comment_karma_p10", sa.Double()),
        sa.Column("post_karma_p10", sa.Double()),
        sa.Column("figures_at", _TIME),
        sa.Column("review", sa.Text()),
        sa.Column("primary_category", sa.Text()),
        sa.Column("tags", sa.Text()),
    )
    op.create_index("reddit_subreddits_name_lower", "reddit_subreddits", [sa.text("lower(name)")], unique=True)
    op.create_table(
        "reddit_user_claims",
        sa.Column("username", sa.Text(), primary_key=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("claimed_at", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
    )
    op.create_index("reddit_user_claims_holder", "reddit_user_claims", ["holder"])
    op.create_table(
        "reddit_users",
        sa.Column("username", sa.Text(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fetched_at", _TIME, nullable=False),
        sa.Column("reddit_id", sa.Text()),
        sa.Column("created_utc", _TIME),
        sa.Column("link_karma", sa.BigInteger()),
        sa.Column("comment_karma", sa.BigInteger()),
        sa.Column("total_karma", sa.BigInteger()),
        sa.Column("awardee_karma", sa.BigInteger()),
        sa.Column("awarder_karma", sa.BigInteger()),
        sa.Column("is_employee", sa.Boolean()),
        sa.Column("is_mod", sa.Boolean()),
        sa.Column("is_gold", sa.Boolean()),
        sa.Column("verified", sa.Boolean()),
        sa.Column("has_verified_email", sa.Boolean()),
        sa.Column("over_18", sa.Boolean()),
        sa.Column("icon_url", sa.Text()),
        sa.Column("public_description", sa.Text()),
    )
    op.create_index("reddit_users_fetched", "reddit_users", ["fetched_at"])
    op.create_index("reddit_users_username_lower", "reddit_users", [sa.text("lower(username)")], unique=True)
    op.create_table(
        "reddit_rules",
        sa.Column(
            "subreddit_name",
            sa.Text(),
            sa.ForeignKey("reddit_subreddits.name", onupdate="CASCADE", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("fetched_at", _TIME, nullable=False),
        sa.Column("short_name", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("violation_reason", sa.Text()),
        sa.Column("kind", sa.Text()),
        sa.Column("priority", sa.BigInteger()),
        sa.Column("created_utc", _TIME),
    )
