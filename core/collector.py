"""Python's collector of reference cycles, for processes that handle records in bulk."""

import gc


def spare_the_collector() -> None:
    """Have Python look for cycles rarely: each record on its way is an object, and looking at 50,000 takes its time.

    Handling records makes no cycles; the few that errors leave behind can wait. To be called once all is imported.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
