"""Tests the HTTP interface: answers, access, and secrets that it never shows."""

import asyncio
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from structlog.testing import capture_logs

from core.config import Config, Proxy
from core.config.sections import DatabaseSection, KafkaSection, MonitorSection, RedditSection, ScraperSection
from core.status.crawl import RESTING
from core.status.kafka_outage import OutageMark
from supervisor.cli.status import show_status
from supervisor.monitor.readiness.problem_tracker import Readiness
from supervisor.monitor.snapshot.snapshot_builder import Snapshot
from supervisor.monitor.web.event_stream import MAX_CLIENTS, EventSubscribers
from supervisor.monitor.web.listen_address import Address, listen_hint, wanted_ports, write_address
from supervisor.processes.control_inbox import Restart
from tests.supervisor.monitor.samples import report
from tests.supervisor.monitor.stage import Stage, row, staged
from tests.support.durations import allowed
from tests.support.waiting import wait_until

TOKEN = "a-long-random-token-0815"
PATHS = ("/", "/metrics", "/healthz", "/readyz", "/api/status", "/api/subreddits", "/static/main.js", "/nowhere")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A monitor of two healthy streams; tests restore its state."""
    with staged(tmp_path_factory.mktemp("monitor"), token=TOKEN).running() as stage:
        yield stage


def events(stage: Stage, count: int) -> list[tuple[str, Any]]:
    """Read events until `count` have come."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=10)
    connection.request("GET", "/api/events")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    found: list[tuple[str, Any]] = []
    name = ""
    while len(found) < count:
        line = answer.readline().decode().rstrip("\n")
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((name, json.loads(line.removeprefix("data: "))))
    connection.close()
    return found


class TestAnswers:
    def test_it_is_healthy_and_ready(self, shared: Stage) -> None:
        assert shared.get("/healthz")[0] == 200
        shared.wait_until_ready()
        answer = shared.get("/readyz")
        assert (answer.status, json.loads(answer.body)["reasons"]) == (200, [])

    def test_the_status_is_what_the_command_prints(self, shared: Stage, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        places = shared.config.supervisor
        path.write_text(
            f'[supervisor]\nstate_dir = "{places.state_dir}"\nlog_dir = "{places.log_dir}"\n'
            '[scraper]\nenabled = false\n[reddit]\nsubreddits = ["Bitcoin", "ethereum"]\n'
        )
        out = io.StringIO()
        show_status(path, as_json=True, watch=False, out=out)
        printed, served = json.loads(out.getvalue()), json.loads(shared.get("/api/status").body)
        for document in (printed, served):
            document["supervisor"].pop("uptime_s")
            for stream in document["streams"].values():
                assert 0.9 < stream.pop("completeness") < 1.0, "it falls while nothing is read"
            for process in document["processes"]:
                for name in ("uptime_s", "rss_bytes", "heartbeat_age_s"):
                    process.pop(name)
        assert served == printed
        assert served["streams"]["comments"]["captured"] == 90

    def test_a_parked_process_is_the_reason_with_its_words_and_what_to_do(self, shared: Stage) -> None:
        shared.show(row("publisher"), row("submissions"), row("comments", "FATAL", why="no such table"), row("monitor"))
        reason = shared.wait_for_reason("process_down")
        assert shared.get("/readyz").status == 503
        assert reason["subject"] == "comments"
        assert "no such table" in reason["text"]
        assert "restart CONFIG comments" in reason["text"]
        again = shared.wait_for_reason("process_down")
        assert again["since"] == reason["since"]
        shared.show_all_running()
        shared.wait_until_ready()

    def test_kafka_away_since_the_publisher_noticed(self, shared: Stage) -> None:
        mark = OutageMark(shared.state_dir)
        mark.begins(100.0)
        reason = shared.wait_for_reason("kafka_away")
        assert "nothing is lost" in reason["text"]
        mark.ends()
        shared.wait_until_ready()

    def test_a_supervisor_that_is_gone_is_said(self, tmp_path: Path) -> None:
        stage = staged(tmp_path)
        stage.start()
        try:
            assert stage.wait_for_reason("supervisor_silent")
            assert "supervisor_up 0.0" in stage.get("/metrics").body
        finally:
            stage.stop()


class TestEvents:
    def test_a_client_gets_the_past_once_and_then_every_look(self, shared: Stage) -> None:
        (first, history), *samples = events(shared, 4)
        assert first == "past"
        assert set(history) == {"steps"}
        assert [name for name, _ in samples] == ["look"] * 3
        ats = [sample["at"] for _, sample in samples]
        assert ats == sorted(ats)
        assert ats[2] > ats[1]
        assert samples[0][1]["streams"]["comments"]["captured"] == 90

    def test_a_client_that_goes_is_forgotten_and_too_many_are_refused(self, shared: Stage) -> None:
        asking = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        clients = [socket.create_connection(("127.0.0.1", shared.port)) for _ in range(MAX_CLIENTS)]
        for client in clients:
            client.sendall(asking)
        wait_until(lambda: f"monitor_listeners {MAX_CLIENTS}" in shared.get("/metrics").body, what="all to listen")
        refused = shared.get("/api/events")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        for client in clients:
            client.close()
        wait_until(lambda: "monitor_listeners 0" in shared.get("/metrics").body, what="all to be forgotten")

    def test_a_client_that_does_not_read_is_dropped_and_the_others_are_served(self) -> None:
        asyncio.run(self._assert_a_stalled_client_is_dropped())

    async def _assert_a_stalled_client_is_dropped(self) -> None:
        subscribers = EventSubscribers(structlog.stdlib.get_logger("test"), send_timeout=0.3)
        app = web.Application()
        app.router.add_get("/", subscribers.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        sleeping, sleeper = await asyncio.open_connection("127.0.0.1", port)
        reader, listener = await asyncio.open_connection("127.0.0.1", port)
        for writer in (sleeper, listener):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(10.0):
            for each in (sleeping, reader):
                await each.readuntil(b"retry")
            assert subscribers.clients == 2
            sleeper.transport.pause_reading()  # type: ignore[attr-defined]
            big = Snapshot(0.0, Readiness(), b"", b"", b"x" * 2**20, lambda: b"", lambda _text: b"")
            received = 0
            while subscribers.clients == 2:
                subscribers.publish(big)
                received += len(await reader.read(2**20))
        assert received > 0
        subscribers.close()
        sleeper.close()
        listener.close()
        await runner.cleanup()

    def test_stopping_does_not_wait_for_those_who_listen(self, tmp_path: Path) -> None:
        stage = staged(tmp_path)
        with stage.running():
            listening = threading.Thread(target=lambda: events_until_end(stage.port), daemon=True)
            listening.start()
            wait_until(lambda: "monitor_listeners 1" in stage.get("/metrics").body, what="it to listen")
            began = time.monotonic()
            stage.stop()
            assert time.monotonic() - began < allowed(3.0)
        listening.join(5.0)
        assert not listening.is_alive()


def events_until_end(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/api/events")
    connection.getresponse().read()


class TestGuard:
    @pytest.mark.parametrize("path", PATHS)
    def test_every_answer_has_the_strict_headers(self, shared: Stage, path: str) -> None:
        headers = shared.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9108", "[::1]:9108", "127.0.0.2"])
    def test_it_answers_to_its_own_names(self, shared: Stage, host: str) -> None:
        assert shared.get("/healthz", Host=host).status == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example"]
    )
    def test_a_name_that_was_bent_to_this_machine_gets_nothing(self, shared: Stage, host: str) -> None:
        for path in ("/metrics", "/", "/api/status", "/api/events"):
            answer = shared.get(path, Host=host)
            assert answer.status == 421
            assert "reddit" not in answer.body

    def test_who_listens_for_all_answers_to_every_name(self, tmp_path: Path) -> None:
        stage = staged(tmp_path)
        stage.config = replace(stage.config, monitor=replace(stage.config.monitor, host="0.0.0.0"))
        with stage.running():
            assert stage.get("/healthz", Host="gapless.example").status == 200
            assert stage.url.startswith("http://127.0.0.1:")

    @pytest.mark.parametrize("path", ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/"])
    def test_no_path_leads_out_of_the_page(self, shared: Stage, path: str) -> None:
        assert shared.get(path).status == 404

    def test_other_methods_are_refused(self, shared: Stage) -> None:
        assert shared.get("/metrics", "POST").status == 405
        assert shared.get("/api/restart").status == 405


class TestRestart:
    BODY = '{"process": "comments"}'

    def test_who_knows_the_token_restarts_a_process(self, shared: Stage) -> None:
        answer = shared.get("/api/restart", "POST", self.BODY, X_Monitor_Token=TOKEN)
        assert answer.status == 202
        assert shared.restarts_asked() == [Restart("comments")]

    @pytest.mark.parametrize("headers", [{}, {"X_Monitor_Token": "wrong"}, {"Cookie": f"token={TOKEN}"}])
    def test_nobody_else_does(self, shared: Stage, headers: dict[str, str]) -> None:
        answer = shared.get("/api/restart", "POST", self.BODY, **headers)
        assert answer.status == 403
        assert "MONITOR_TOKEN" in answer.body
        assert shared.restarts_asked() == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ("{", 400),
            ("[]", 400),
            ('{"process": 7}', 400),
            ('{"process": "\\ud800"}', 404),
            ('{"process": "nobody"}', 404),
            ("x" * 9000, 413),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, shared: Stage, body: str, status: int) -> None:
        assert shared.get("/api/restart", "POST", body, X_Monitor_Token=TOKEN).status == status
        assert shared.restarts_asked() == []

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"X_Monitor_Token": "\xff\xfe"}, 403),  # sent as bytes that are no UTF-8
            ({"X_Monitor_Token": TOKEN, "Content_Encoding": "gzip"}, 400),
            ({"X_Monitor_Token": TOKEN, "Content_Type": "application/json; charset=nonsense"}, 202),
        ],
    )
    def test_whatever_a_stranger_sends_is_answered_and_leaves_no_traceback(
        self, shared: Stage, headers: dict[str, str], status: int
    ) -> None:
        assert shared.get("/api/restart", "POST", self.BODY, **headers).status == status
        assert shared.restarts_asked() == [Restart("comments")] * (status == 202)

    def test_without_a_token_nobody_may(self, tmp_path: Path) -> None:
        with staged(tmp_path).running() as stage:
            for sent in ("", "x"):
                answer = stage.get("/api/restart", "POST", self.BODY, X_Monitor_Token=sent)
                assert answer.status == 403
                assert "set MONITOR_TOKEN" in answer.body
            assert stage.restarts_asked() == []


class TestSecrets:
    def test_no_answer_holds_a_secret_wherever_it_turns_up(self, tmp_path: Path) -> None:
        """Even where an error message, a reason, or an address carries one."""
        config = Config(
            reddit=RedditSection(subreddits=("Bitcoin",), client_secret="hunter-reddit"),
            kafka=KafkaSection(producer={"sasl.password": "hunter-kafka"}),
            scraper=ScraperSection(proxies=(Proxy("a", "http://me:hunter-proxy@127.0.0.1:1"),)),
            database=DatabaseSection(url="postgresql://me:hunter-database@127.0.0.1/x"),
            monitor=MonitorSection(token="hunter-token"),
        )
        secrets = config.secrets()
        assert len(secrets) == 5
        stage = staged(tmp_path, config, token="hunter-token")
        everything = " ".join(secrets)
        with stage.running():
            stage.report_crawl(
                report(
                    "a",
                    proxy_state=RESTING,
                    failing_since=time.time() - 5,
                    last_error=everything,
                    address="http://me:hunter-proxy@127.0.0.1:1",
                )
            )
            stage.show(row("publisher", "FATAL", why=f"cannot log in with {everything}"), row("monitor"))
            stage.wait_for_reason("process_down")
            stage.wait_for_reason("proxies_failing")
            bodies = {path: stage.get(path).body for path in PATHS}
            bodies["/api/events"] = json.dumps(events(stage, 2))
            bodies["/api/restart"] = stage.get("/api/restart", "POST", "{}", X_Monitor_Token="hunter-token").body
        shown = [(path, secret) for path, body in bodies.items() for secret in secrets if secret in body]
        assert shown == []
        assert "***" in bodies["/readyz"]


class TestAddress:
    def test_a_free_port_is_taken_and_written_down_and_taken_again(self, tmp_path: Path) -> None:
        stage = staged(tmp_path)
        with stage.running():
            first = stage.port
            assert json.loads((stage.state_dir / "monitor.json").read_text())["url"] == f"http://127.0.0.1:{first}/"
        assert Address("::1", 80).url == "http://[::1]:80/"

    def test_a_port_in_use_is_said_and_waited_for(self, tmp_path: Path) -> None:
        stage = staged(tmp_path)
        with socket.create_server(("127.0.0.1", 0)) as squatter, capture_logs() as lines:
            port = squatter.getsockname()[1]
            stage.config = replace(stage.config, monitor=replace(stage.config.monitor, port=port))
            starting = threading.Thread(target=stage.start, daemon=True)
            starting.start()
            wait_until(lambda: [line for line in lines if line["event"] == "monitor_cannot_listen"], what="a word")
            squatter.close()
            starting.join(15.0)
        said = next(line for line in lines if line["event"] == "monitor_cannot_listen")
        assert str(port) in said["hint"]
        assert "monitor.port" in said["hint"]
        assert stage.port == port
        stage.stop()

    def test_a_page_that_is_open_finds_the_monitor_again_where_it_was(self, tmp_path: Path) -> None:
        assert wanted_ports(tmp_path, "127.0.0.1", 9108) == [9108]
        assert len(wanted_ports(tmp_path, "127.0.0.1", 0)) == 1
        write_address(tmp_path, Address("127.0.0.1", 4711))
        assert wanted_ports(tmp_path, "127.0.0.1", 0)[0] == 4711
        assert 4711 not in wanted_ports(tmp_path, "::1", 0)[:1]
        assert wanted_ports(tmp_path, "127.0.0.1", 9108) == [9108]

    @pytest.mark.parametrize(("number", "word"), [(98, "another program"), (13, "above 1023"), (99, "0.0.0.0")])
    def test_what_to_do_about_an_address(self, number: int, word: str) -> None:
        assert word in listen_hint(OSError(number, "…"), "10.9.9.9", 80)
