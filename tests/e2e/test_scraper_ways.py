"""Every way to Reddit brings the same rows: by HTTP and SOCKS, encrypted or not, with a token or without."""

from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.proxies import PProxy, Proxy, ProxyPy
from tests.support.scrape import Scrape
from tests.support.soaking import SOAK


def every_kind(directory: Path) -> list[Proxy]:
    return [
        ProxyPy(directory, "http"),
        ProxyPy(directory, "http-open", password=False),
        PProxy(directory, "socks", "socks5"),
        PProxy(directory, "socks-open", "socks5", password=False),
    ]


def expect_all_took_part(scrape: Scrape) -> None:
    """Each proxy carried requests, none of which failed, and the tables know it."""
    for proxy in scrape.proxies:
        row = scrape.proxy_row(proxy.name)
        assert row["success_count"] >= 10, row
        assert row["error_count"] == 0, row
        assert row["mean_latency_ms"] > 0, row
        assert (row["state"], row["last_error"]) == ("healthy", None)


def test_http_and_socks_with_and_without_password(scrape: Scrape, tmp_path: Path) -> None:
    """With a token, to an address in clear; and no password is to be seen anywhere."""
    scrape.simulate(latency=0.1)
    scrape.start(*every_kind(tmp_path), concurrency=4)
    scrape.wait_saved("reddit_users", 5)
    seen_by_ps = scrape.command_lines()
    scrape.wait_end()
    expect_all_took_part(scrape)
    scrape.expect_no_secrets(seen_by_ps, scrape.system.command("status"), scrape.system.command("logs", "-n", "500"))
    scrape.finish()


@pytest.mark.parametrize("authentication", ["oauth", pytest.param("none", marks=SOAK)])
def test_https_through_connect_with_a_test_authority(
    scrape: Scrape, tmp_path: Path, authority: Authority, authentication: str
) -> None:
    """A proxy sees nothing of what passes; one is spoken to over TLS itself. With the names of many browsers."""
    scrape.simulate(latency=0.1, trust=authority.root, tls_certificate=authority.certificate, tls_key=authority.key)
    scrape.start(
        ProxyPy(tmp_path, "http"),
        ProxyPy(tmp_path, "tls", authority=authority),
        PProxy(tmp_path, "socks", "socks5"),
        concurrency=4,
        authentication=authentication,
        user_agent="rotate",
        environment={"SSL_CERT_FILE": str(authority.root)},
    )
    scrape.wait_end()
    expect_all_took_part(scrape)
    agents = scrape.simulator.asked()["by_user_agent"]
    assert len(agents) >= 10, f"user_agent = rotate should show more names than {list(agents)}"
    assert not [agent for agent in agents if "gapless" in agent], "none of them is the honest one"
    scrape.finish()


def test_an_authority_that_nobody_knows_is_named(scrape: Scrape, tmp_path: Path, authority: Authority) -> None:
    """No answer is accepted from a server without a trusted certificate, and the reason is logged."""
    scrape.simulate(trust=authority.root, tls_certificate=authority.certificate, tls_key=authority.key)
    scrape.start(PProxy(tmp_path, "a", "http"))
    scrape.wait(lambda: scrape.proxy_row("a").get("last_error"), 60.0, "an error to be shown")
    assert "certificate" in scrape.proxy_row("a")["last_error"]
    scrape.stop()
    assert scrape.saved("reddit_subreddits") == 0
