"""The durable spool: captured records, the stream's state and its loss ledger, in one SQLite file."""

from core.spool.file_watch import watched
from core.spool.model import Batch, Gap, GapState, Record, Row, Seen
from core.spool.spool_files import report_suspect, spool_path
from core.spool.spool_reader import SpoolReader
from core.spool.spool_writer import SpoolBroken, SpoolError, SpoolGone, SpoolWriter

__all__ = [
    "Batch",
    "Gap",
    "GapState",
    "Record",
    "Row",
    "Seen",
    "SpoolBroken",
    "SpoolError",
    "SpoolGone",
    "SpoolReader",
    "SpoolWriter",
    "report_suspect",
    "spool_path",
    "watched",
]
