"""Figures that can be checked: each beside a named baseline measured in the same run."""
