"""The streams of submissions and comments, from Reddit into the spool and from the spool into Kafka."""

from streams.client import RedditClient

__all__ = ["RedditClient"]
