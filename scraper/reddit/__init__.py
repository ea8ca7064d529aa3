"""Questions to Reddit and the meaning of its answers. Pure."""
