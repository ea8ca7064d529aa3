"""The process that looks at delivered items again: edits, removals, deletions, scores."""
