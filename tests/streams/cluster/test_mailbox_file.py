"""The file of the mailbox: broken, left over, deleted or replaced while it is open."""

import os
from pathlib import Path

import pytest
import structlog

from core.cluster.mailbox import MailboxWriter, mailbox_path
from core.errors import TransientError
from streams.cluster.mailbox_file import MailboxWatch, open_mailbox

LOG = structlog.stdlib.get_logger("test")


def test_a_broken_file_is_moved_aside(tmp_path: Path) -> None:
    mailbox_path(tmp_path).write_bytes(os.urandom(20_000))
    mailbox = open_mailbox(tmp_path, LOG)
    mailbox.own(1, 5.0, {})
    mailbox.close()
    assert [path.stat().st_size for path in tmp_path.glob("cluster.db.corrupt-*")] == [20_000]
    again = open_mailbox(tmp_path, LOG)
    assert again.shards() == {1}
    again.close()


def test_what_a_deleted_file_left_behind_is_not_used(tmp_path: Path) -> None:
    former = MailboxWriter(tmp_path)
    former.own(1, 5.0, {})
    mailbox_path(tmp_path).unlink()
    mailbox = open_mailbox(tmp_path, LOG)
    assert mailbox.shards() == set()
    mailbox.close()
    former.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_no_longer_the_open_one_ends_the_process(tmp_path: Path, replaced: bool) -> None:
    mailbox = open_mailbox(tmp_path, LOG)
    watch = MailboxWatch(tmp_path)
    mailbox.own(1, 5.0, {})
    watch.check()
    if replaced:
        (tmp_path / "copy").write_bytes(mailbox_path(tmp_path).read_bytes())
        (tmp_path / "copy").replace(mailbox_path(tmp_path))
    else:
        mailbox_path(tmp_path).unlink()
    with pytest.raises(TransientError, match=r"cluster\.db changed while it was open"):
        watch.check()
    mailbox.close()
