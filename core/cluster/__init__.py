"""Several machines: the shards of the subreddits, and the files by which the publisher tells who owns them."""
