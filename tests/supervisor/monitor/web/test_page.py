"""Tests the page in a real Chromium: content, updates, warnings, reconnection, accessibility."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.cluster.shards import shard_of
from core.config import Config
from core.config.sections import ChangesSection, RedditSection, ScraperSection
from core.spool import Batch, Gap, SpoolWriter
from core.status.audit_store import AuditStore, Judged
from core.status.changes_status import status_path
from core.status.crawl import RESTING
from core.storage.private_files import replace_json
from supervisor.processes.control_inbox import Restart
from tests.supervisor.monitor.browser import CONTRAST, UNNAMED, Tab, launched
from tests.supervisor.monitor.samples import report
from tests.supervisor.monitor.stage import Stage, row, staged
from tests.support.clusters import SECTION, cluster_view, with_owners, write_cluster
from tests.support.waiting import wait_until

TOKEN = "a-long-random-token-0815"
CONFIG = Config(reddit=RedditSection(subreddits=("Bitcoin", "ethereum")), scraper=ScraperSection())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def stage(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:  # noqa: ARG001 (skips first)
    """A monitor of two healthy streams and a healthy crawl."""
    with staged(tmp_path_factory.mktemp("page"), CONFIG, token=TOKEN).running() as running:
        flowing(running)
        running.wait_until_ready()
        yield running


@pytest.fixture(autouse=True)
def _flowing(stage: Stage) -> None:
    flowing(stage)


def flowing(stage: Stage) -> None:
    stage.show_all_running("scraper-direct")
    stage.report_crawl(report("direct", proxy="direct", process="scraper-direct", address=None))


def troubled(stage: Stage) -> None:
    """Show one problem of each kind."""
    dead = row("comments", "FATAL", why="the spool is of a newer version", restarts=3, last_exit=78)
    stage.show(
        row("publisher"), row("submissions"), dead, row("scraper-direct", "BACKOFF", last_exit=-9), row("monitor")
    )
    stage.report_crawl(
        report(
            "direct",
            process="scraper-direct",
            proxy_state=RESTING,
            failing_since=time.time() - 60,
            last_error="no route",
        )
    )


def open_gap() -> Gap:
    now = time.time()
    return Gap("comments", ("Bitcoin",), now - 3000, now - 2400, "the listing ended early", now, 2, (), ("Bitcoin",))


def test_it_draws_what_flows_and_follows_by_itself(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    tab.wait_for_text("#readiness-title", "Ready: everything works")
    assert tab.page.title() == "Gapless"
    assert tab.text("#link") == "Live"
    captured = stage.seqs["comments"]
    tab.wait_for_text("#stream-rows", f"{captured}")
    stage.capture("comments", 25)
    stage.publish(comments=stage.seqs["comments"], submissions=10)
    tab.wait_for_text("#stream-rows", f"{captured + 25}")
    tab.wait_for_text("#scraper", "to finish")
    assert "RUNNING" in tab.text("#process-rows")
    tab.page.wait_for_selector("#stream-rows .chart .line", state="attached")
    assert tab.complaints == []
    assert {url.split("/")[2] for url in tab.asked} == {f"127.0.0.1:{stage.port}"}
    tab.page.close()


def test_a_parked_process_is_on_top_with_its_words(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    troubled(stage)
    tab.wait_for_text("#readiness-title", "Not ready")
    assert "comments is parked: the spool is of a newer version" in tab.text("#reasons")
    assert tab.page.title().startswith("▲ ")
    assert tab.page.get_attribute("#reasons", "aria-live") or tab.page.query_selector("[aria-live] #reasons")
    line = tab.page.locator("#process-rows tr", has_text="comments")
    for word in ("FATAL", "newer version", "code 78"):
        assert word in line.inner_text()
    assert "SIGKILL" in tab.page.locator("#process-rows tr", has_text="scraper-direct").inner_text()
    flowing(stage)
    tab.wait_for_text("#readiness-title", "Ready: everything works")
    assert tab.complaints == []
    tab.page.close()


def test_a_start_is_no_alarm_and_nothing_is_claimed_before_it_is_known(browser: Any, tmp_path: Path) -> None:
    stage = Stage(tmp_path, CONFIG)
    with stage.running():
        starting = (row(name, "STARTING") for name in ("publisher", "submissions", "comments", "scraper-direct"))
        stage.show(*starting, row("monitor"))
        tab = Tab(browser, stage.url)
        tab.wait_for_text("#readiness-title", "Starting …")
        assert tab.page.get_attribute("#readiness", "data-ready") == "soon"
        assert "Process down" not in tab.text("#reasons")
        assert "100" not in tab.text("#completeness")
        assert "unknown: the publisher is not running" in tab.text("#kafka")
        stage.show(row("publisher"), row("submissions", "STARTING"), row("comments", "FATAL"), row("monitor"))
        tab.wait_for_text("#readiness-title", "Not ready")
        assert tab.complaints == []
        tab.page.close()


def test_the_audit_is_a_sentence_with_its_sample_below(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    tab.wait_for_text("#readiness-title", "Ready")
    assert not tab.page.is_visible("#audit")
    store, created = AuditStore(stage.state_dir, "comments"), time.time() - 7200
    store.add([Judged(f"t1_{one}", "trees", f"t3_{one // 4}", created + one, "Bitcoin") for one in range(1200)], [])
    store.close()
    tab.wait_for_text("#audit summary", "At most 1.1 % of the comments created between")
    tab.page.focus("#audit summary")
    tab.page.keyboard.press("Enter")
    shown = " ".join(tab.text("#audit-rows").split())
    assert shown.startswith("comments trees 1,200 0 0 0 ")
    assert shown.endswith(" comments all 1,200 0 0 0 1.1 %")
    assert tab.complaints == []
    tab.page.close()


def test_later_changes_are_bars_by_kind_at_any_width(browser: Any, tmp_path: Path) -> None:
    stage = staged(tmp_path, replace(CONFIG, changes=ChangesSection(enabled=True)))
    counters = {"checked_comments": 4200, "op_edit": 12, "op_score": 900, "op_deleted": 30}
    with SpoolWriter(stage.state_dir, "changes") as writer:
        writer.commit(Batch(counters={**counters, "looks_on_time": 4200}))
    now = time.time()
    duties = {"submissions": 400, "comments": 9000}
    figures = {"at": now, "duties": duties, "overdue": 2, "oldest_due": now - 90, "on_time_1h": 390, "late_1h": 8}
    replace_json(status_path(stage.state_dir), figures)
    with stage.running():
        stage.show_all_running("scraper-direct", "changes")
        for width, scheme in ((1600, "light"), (400, "dark")):
            tab = Tab(browser, stage.url, width=width, scheme=scheme)
            tab.wait_for_text("#changes-total", "942 changes")
            assert tab.page.is_visible("#changes-chart svg")
            kinds = [" ".join(line.split()) for line in tab.page.locator("#changes-kinds li").all_inner_texts()]
            assert kinds[:3] == ["edited 12", "score changed 900", "removed 0"]
            facts = " ".join(tab.text("#changes-facts").split())
            for part in ("looks at comments 4,200", "on time, last hour 97.5 %", "look at again 9,400", "overdue 2"):
                assert part in facts
            assert tab.page.evaluate("document.documentElement.scrollWidth") == width
            assert tab.page.evaluate(UNNAMED) == []
            assert tab.page.evaluate(CONTRAST) == []
            assert tab.complaints == []
            tab.page.close()


def test_without_later_changes_there_is_no_such_part(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    tab.wait_for_text("#process-rows", "RUNNING")
    assert not tab.page.is_visible("#changes")
    tab.page.close()


def test_a_gap_is_on_the_timeline_and_in_the_list(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    stage.capture("comments", 0, gaps=(open_gap(),))
    tab.page.wait_for_selector("#timeline .open", state="attached")
    tab.wait_for_text("#completeness", "not repaired")
    share = str(tab.page.text_content("#timeline .share.short"))
    assert 90 < float(share.removesuffix(" %")) < 100
    tab.page.focus("#ledger summary")
    tab.page.keyboard.press("Enter")
    assert "the listing ended early" in tab.text("#ledger-rows")
    assert "Gap not repaired" in tab.text("#warnings")
    assert tab.complaints == []
    tab.page.close()


def box(locator: Any) -> dict[str, float]:
    """Return the box of the element; it has none while it is redrawn."""
    found: dict[str, float] = wait_until(locator.bounding_box, what="the element to be drawn")
    return found


def test_time_that_is_not_read_yet_has_its_own_colour_and_words(browser: Any, tmp_path: Path) -> None:
    """Reddit is silent for 100 s: the bar ends before its right edge, and the share is below 100 %."""
    with staged(tmp_path, CONFIG).running() as stage:
        now = time.time()
        proven = {"bitcoin": now - 100, "ethereum": now - 100}
        stage.capture("comments", 5, begun=now - 400, polled_at=now - 100, proven_until=proven)
        tab = Tab(browser, stage.url)
        tab.wait_for_text("#timeline", "1 min 4")
        text = tab.page.text_content("#timeline .until.old")
        assert "proven until" in text
        assert "ago" in text
        (bar,) = tab.page.locator("#timeline .unread[height='16']").all()[-1:]
        assert box(bar)["width"] > 10
        share = str(tab.page.text_content("#timeline .share.short"))
        assert 70 < float(share.removesuffix(" %")) < 76
        assert "not read yet" in str(tab.page.get_attribute("#timeline svg", "aria-label"))
        assert "not read yet" in tab.text("#completeness .legend")
        assert tab.complaints == []
        tab.page.close()
        narrow = Tab(browser, stage.url, width=400)
        narrow.wait_for_text("#timeline", "ago")
        name, until = (box(narrow.page.locator(f"#timeline .{one}").last) for one in ("name", "until"))
        assert name["x"] + name["width"] < until["x"]
        narrow.page.close()


def test_a_subreddit_that_is_away_is_a_gap_without_end(browser: Any, tmp_path: Path) -> None:
    with staged(tmp_path, CONFIG).running() as stage:
        now = time.time()
        away = Gap("comments", ("ethereum",), now - 300, None, "r/ethereum is private", now - 299, 2)
        absent = {"ethereum": ["private", now - 300, 1, now + 60]}
        stage.capture("comments", 5, begun=now - 1200, gaps=(away,), absent=absent)
        tab = Tab(browser, stage.url)
        tab.page.wait_for_selector("#timeline .open", state="attached")
        bar = tab.page.locator("#timeline .open")
        assert bar.get_attribute("height") == "8", "one of two subreddits"
        tab.page.click("#ledger summary")
        tab.wait_for_text("#ledger-rows", "ongoing")
        assert "1 open" in tab.text("#ledger-summary")
        assert "r/ethereum (private)" in tab.text("#warnings")
        assert tab.complaints == []
        tab.page.close()


def test_it_says_when_the_monitor_is_lost_and_comes_back_by_itself(browser: Any, tmp_path: Path) -> None:
    stage = staged(tmp_path)
    with stage.running():
        tab = Tab(browser, stage.url)
        stage.config = replace(stage.config, monitor=replace(stage.config.monitor, port=stage.port))
        stage.stop()
        tab.wait_for_text("#lost", "The monitor does not answer")
        assert tab.text("#link") == "Connection lost"
        assert tab.page.get_attribute("#lost", "role") == "alert"
        stage.start()
        tab.page.wait_for_selector("#lost", state="hidden")
        tab.wait_for_text("#link", "Live")
        tab.page.close()


def test_a_process_is_restarted_by_two_presses_and_the_token(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    button = tab.page.get_by_role("button", name="Restart comments")
    button.focus()
    tab.page.keyboard.press("Enter")
    sure = tab.page.get_by_role("button", name="Confirm: restart comments")
    sure.wait_for()
    assert tab.text("#restart-status") == "", "the first press only asks"
    sure.press("Enter")
    tab.wait_for_text("#restart-status", "wrong token")
    tab.page.get_by_label("Token for restarts").fill(TOKEN)
    button.press("Enter")
    sure.press("Enter")
    tab.wait_for_text("#restart-status", "comments is being restarted")
    assert wait_until(stage.restarts_asked, what="the request") == [Restart("comments")]
    tab.page.close()


def test_without_a_token_there_are_no_buttons(browser: Any, tmp_path: Path) -> None:
    with staged(tmp_path).running() as stage:
        tab = Tab(browser, stage.url)
        assert tab.page.get_by_role("button").count() == 0
        assert not tab.page.is_visible("#token-box")
        tab.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_everybody_can_read_it(stage: Stage, browser: Any, width: int, scheme: str) -> None:
    """Nothing overflows, contrast is sufficient, everything has a name; also with many problems."""
    tab = Tab(browser, stage.url, width=width, scheme=scheme)
    for change in (flowing, troubled):
        change(stage)
        tab.wait_for_text("#readiness-title", "Ready" if change is flowing else "Not ready")
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.page.evaluate(CONTRAST) == []
        assert tab.page.evaluate(UNNAMED) == []
    tab.page.close()


def test_the_charts_are_read_with_the_keyboard(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    tab.page.wait_for_selector("#stream-rows .chart .line", state="attached")
    chart = tab.page.locator("#stream-rows .chart").first
    chart.focus()
    tab.page.keyboard.press("ArrowLeft")
    said = tab.text("#stream-rows figcaption output")
    assert "captured" in said
    assert "into Kafka" in said
    assert "items per second: captured" in str(chart.get_attribute("aria-label"))
    tab.page.close()


def test_everything_is_reached_with_the_tab_key_and_seen_to_be(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url, width=400)
    tab.page.wait_for_selector("#stream-rows .chart .line", state="attached")
    reached = []
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        here = tab.page.evaluate(
            "() => { const one = document.activeElement; const { outlineStyle, outlineWidth } = getComputedStyle(one);"
            " return [one.closest('section, nav, .skip')?.id ?? '', one.tagName, outlineStyle, outlineWidth]; }"
        )
        if here[1] == "BODY":
            break
        reached.append(here)
    assert here[1] == "BODY", "there is a way out"
    assert {(style, width) for _, _, style, width in reached} == {("solid", "2px")}
    sections = [section for section, *_ in reached]
    assert list(dict.fromkeys(filter(None, sections))) == ["streams", "completeness", "subreddits", "processes"]
    assert [tag for _, tag, *_ in reached].count("svg") == 4, "the charts"
    assert [tag for _, tag, *_ in reached].count("BUTTON") == len(tab.page.query_selector_all("#process-rows tr"))
    tab.page.close()


def test_axes_end_where_people_would_end_them(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    ends = tab.page.evaluate(
        "async () => { const { roundUp, roundUpTime } = await import('/static/axis.js');"
        " return [[0, 0.4, 7, 23, 101].map(roundUp), [3, 45, 61, 200, 2500, 3700, 30000].map(roundUpTime)]; }"
    )
    assert ends == [[1, 0.4, 8, 30, 200], [3, 50, 120, 240, 3000, 7200, 36000]]
    tab.page.close()


def test_a_search_finds_a_subreddit_and_clearing_it_shows_the_worst_again(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url, width=400)
    tab.wait_for_text("#subreddits-text", "2 configured")
    tab.wait_for_text("#subreddit-rows", "r/Bitcoin")
    tab.page.fill("#search", "ETHER")
    tab.wait_for_text("#search-status", "1 name contains “ETHER”")
    assert "r/ethereum" in tab.text("#subreddit-rows")
    assert "Bitcoin" not in tab.text("#subreddit-rows")
    tab.page.fill("#search", "<b>nobody</b>")
    tab.wait_for_text("#search-status", "No configured name contains “<b>nobody</b>”.")
    tab.page.fill("#search", "")
    tab.wait_for_text("#subreddit-rows", "r/Bitcoin")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 400
    assert tab.complaints == []
    tab.page.close()


def test_a_cluster_shows_its_machines_and_the_owner_of_each_shard(browser: Any, tmp_path: Path) -> None:
    stage = staged(tmp_path, replace(CONFIG, cluster=SECTION, scraper=ScraperSection(enabled=False)))
    lacking = shard_of("Bitcoin", 16)
    owners = dict.fromkeys(range(16), "gapless-1") | {lacking: None, shard_of("ethereum", 16): "gapless-0"}
    view = with_owners(cluster_view(time.time()), owners)
    write_cluster(stage.state_dir, replace(view, handed_over=1234), owned=range(16))
    with stage.running():
        for width, scheme in ((1600, "light"), (400, "dark")):
            tab = Tab(browser, stage.url, width=width, scheme=scheme)
            tab.wait_for_text("#cluster-text", "gapless-0 in group gapless-reddit-posts: 3 machines alive")
            assert "gapless-0 (this one)" in tab.text("#machine-rows")
            assert tab.page.locator("#machine-rows tr").count() == 3
            kinds = [tab.page.locator(f"#shards li.{kind}").count() for kind in ("mine", "theirs", "none")]
            assert kinds == [1, 14, 1]
            title = tab.page.get_attribute("#shards li.none", "title")
            assert title.startswith(f"Shard {lacking}: no owner, proven until ")
            assert tab.page.get_attribute("#shards li.theirs", "title").endswith(": gapless-1, no subreddits")
            assert "1,234 records handed over" in tab.text("#cluster-rest")
            assert tab.page.evaluate("document.documentElement.scrollWidth") == width
            assert tab.page.evaluate(UNNAMED) == []
            assert tab.page.evaluate(CONTRAST) == []
            assert tab.complaints == []
            tab.page.close()


def test_without_a_cluster_there_is_no_such_part(stage: Stage, browser: Any) -> None:
    tab = Tab(browser, stage.url)
    tab.wait_for_text("#process-rows", "RUNNING")
    assert not tab.page.is_visible("#cluster")
    tab.page.close()


def test_a_machine_that_stands_by_shows_streams_without_a_share(browser: Any, tmp_path: Path) -> None:
    stage = staged(tmp_path, replace(CONFIG, cluster=SECTION, scraper=ScraperSection(enabled=False)))
    others = dict.fromkeys(range(16), "gapless-1")
    write_cluster(stage.state_dir, with_owners(cluster_view(time.time()), others))
    with stage.running():
        tab = Tab(browser, stage.url)
        tab.wait_for_text("#readiness-title", "Ready: everything works")
        tab.wait_for_text("#subreddits-text", "0 on this machine")
        assert "100 %" not in tab.text("#completeness")
        assert tab.page.locator("#shards li.theirs").count() == 16
        assert tab.complaints == []
        tab.page.close()
