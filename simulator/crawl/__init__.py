"""The crawl world: subreddits, posts and users as a scraper asks for them, beside the world that moves.

It stands still: everything follows from the seed and a name, nothing is kept, and the same question has the same
answer however often it is asked. So any number of subreddits can exist, and what was stored can be compared with what
was served.
"""
