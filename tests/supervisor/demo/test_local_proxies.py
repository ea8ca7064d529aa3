"""The demo's proxies: they require a hidden password, end completely, and restart on the same port."""

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from supervisor.demo.local_proxies import LocalProxy, running
from tests.support.processes import below, command_line, gone
from tests.support.simulator import Simulator
from tests.support.system import ROOT
from tests.support.waiting import wait_until


def _through(proxy: str, url: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": f"http://{proxy}"}))
    try:
        with opener.open(url, timeout=10.0) as answer:
            status: int = answer.status
    except urllib.error.HTTPError as error:
        return error.code
    return status


def test_it_forwards_for_those_who_know_the_password_and_dies_and_comes_back(tmp_path: Path) -> None:
    reddit, proxy = Simulator(tmp_path), LocalProxy("a")
    reddit.start()
    try:
        url = f"{reddit.url}/_sim/stats"
        with running([proxy]):
            account, _, place = proxy.table["url"].rpartition("@")
            assert _through(proxy.table["url"], url) == 200
            assert _through(f"{account.partition(':')[0]}:wrong@{place}", url) == 407
            family = [one for one in below(psutil.Process(), recursive=True) if _is_proxy(one)]
            assert family
            password = account.partition(":")[2]
            assert not [one for one in family if password in " ".join(command_line(one))]
            proxy.kill()
            wait_until(lambda: all(map(gone, family)), what="the whole proxy to be gone")
            with pytest.raises((urllib.error.URLError, ConnectionError)):
                _through(proxy.table["url"], url)
            proxy.start()
            proxy.wait()
            assert _through(proxy.table["url"], url) == 200
        assert not [one for one in below(psutil.Process(), recursive=True) if _is_proxy(one)]
    finally:
        reddit.stop()


_STARTER = """
from supervisor.demo.local_proxies import LocalProxy, running
with running([LocalProxy("a")]):
    print("up", flush=True)
    input()
"""


def test_it_dies_with_who_started_it() -> None:
    command = [sys.executable, "-c", _STARTER]
    with psutil.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout.readline() == "up\n"
        wait_until(lambda: len(starter.children(recursive=True)) >= 2, what="its processes of its own")
        family = starter.children(recursive=True)
        starter.kill()
    wait_until(lambda: all(map(gone, family)), what="all of it to be gone")


def _is_proxy(process: psutil.Process) -> bool:
    return "supervisor.demo.local_proxies" in command_line(process)
