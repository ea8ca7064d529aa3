"""A running simulator and the two ways to speak to it: as Reddit's client, and as its master."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("--submissions-per-second", "0", "--comments-per-second", "0")


class Running:
    """`python -m simulator` as a process, ready when constructed."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "simulator", "--seed", "7", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=10)[1]
        self.ready: dict[str, Any] = json.loads(line)
        self.url: str = self.ready["url"]
        self._session = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._session.close()
        if self.process.poll() is None:
            self.process.terminate()
        stderr = self.process.communicate(timeout=10)[1]
        if error is None:
            assert not stderr, stderr

    def token(self, client_id: str = "id", secret: str = "secret") -> str:
        """Get a token as an application does."""
        answer = requests.post(
            f"{self.url}/api/v1/access_token",
            auth=(client_id, secret),
            data={"grant_type": "client_credentials"},
            timeout=10,
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def sign_in(self, client_id: str = "id") -> None:
        """Use a fresh token from now on."""
        self._session.headers["Authorization"] = f"bearer {self.token(client_id)}"

    def get(self, path: str, *, patience: float = 10.0, **params: Any) -> requests.Response:
        """Ask as Reddit's client, following no redirect."""
        return self._session.get(self.url + path, params=params, timeout=patience, allow_redirects=False)

    def abandon(self, path: str, **params: Any) -> None:
        """Ask, and go away after the first bytes of the answer."""
        answer = self._session.get(self.url + path, params=params, timeout=10, stream=True)
        assert next(answer.iter_content(1000))
        answer.close()

    def page(self, path: str, **params: Any) -> tuple[list[str], str | None]:
        """Return the names on a page of a listing, and its `after`."""
        data = self.get(path, **params).json()["data"]
        assert data["dist"] == len(data["children"])
        return [child["data"]["name"] for child in data["children"]], data["after"]

    def control(self, method: str, name: str, body: Any = None) -> requests.Response:
        """Ask the control side."""
        return requests.request(method, f"{self.url}/_sim/{name}", json=body, timeout=10)

    def post(self, name: str, /, **body: Any) -> Any:
        """Steer; the request must make sense."""
        answer = self.control("POST", name, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def generate(self, **body: Any) -> list[str]:
        """Make items now; return their names."""
        names: list[str] = self.post("generate", **body)["fullnames"]
        return names

    def stats(self) -> dict[str, Any]:
        """Return the request counts and the state of the world."""
        stats: dict[str, Any] = self.control("GET", "stats").json()
        return stats

    def truth(self, **params: str) -> dict[str, dict[str, Any]]:
        """The truth by fullname."""
        answer = requests.get(f"{self.url}/_sim/truth", params=params, timeout=10)
        assert answer.status_code == 200, answer.text
        return {line["fullname"]: line for line in map(json.loads, answer.text.splitlines())}
