"""A machine whose clock is wrong: what librdkafka would stamp on a record there, by as many ms as a file says.

Python imports this at its start where the folder is on PYTHONPATH. The file may change at any time.
"""

import os
import time
from pathlib import Path
from typing import Any

import confluent_kafka

_skew = Path(os.environ["CLOCK_SKEW_FILE"])


class _Producer(confluent_kafka.Producer):
    def produce(self, topic: str, value: Any = None, key: Any = None, *rest: Any) -> None:
        filled = [*rest, *[-1, None, None, 0, None][len(rest) :]]
        filled[3] = int(time.time() * 1000) + int(_skew.read_text())  # the timestamp
        super().produce(topic, value, key, *filled)


confluent_kafka.Producer = _Producer  # type: ignore[misc]
