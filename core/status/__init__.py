"""Everything that is read from state files: what flows, what is proven, how the system stands."""
