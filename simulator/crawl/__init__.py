"""The crawl world: subreddits, posts and users as a scraper requests them, beside the live world.

It never changes: everything follows from the seed and a name, nothing is stored, and the same question always has
the same answer. So any number of subreddits can exist, and what was stored can be compared with what was
served.
"""
