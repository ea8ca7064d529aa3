"""Formats durations."""


def duration(seconds: float | None) -> str:
    """Format a duration with at most two units."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, length, below, smaller in (("d", 86400, 3600, "h"), ("h", 3600, 60, "min"), ("min", 60, 1, "s")):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // below:02d} {smaller}"
    raise AssertionError("unreachable")
