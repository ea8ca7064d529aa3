"""`python -m tests.audit`: known vulnerabilities of the locked packages, by pip-audit; a part of `make lint`.

Its data is on the network: if there is no answer within seconds, nothing is checked, and a line says so.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_LOCKS = ("requirements.lock", "requirements-dev.lock")

#: Seconds for one answer, and for a whole file.
_ANSWER, _ALL = 3, 20


def main() -> int:
    """Check each file; 1: a package has a known vulnerability."""
    code = 0
    for lock in _LOCKS:
        found, line = summarise(*_asked(lock))
        print(f"pip-audit: {lock}: {line}")
        code |= found
        if "skipped" in line:
            break
    return code


def _asked(lock: str) -> tuple[str, str]:
    """Return what pip-audit answers, and its messages on standard error."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "-r", str(_ROOT / lock)]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", str(_ANSWER)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ALL)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_ALL} s"
    return answer.stdout, answer.stderr


def summarise(answer: str, complaint: str) -> tuple[bool, str]:
    """Return whether a vulnerability is known, and the line to print. Pure."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, LookupError, TypeError):
        reason = complaint.strip().splitlines()[-1:] or ["no answer"]
        return False, f"skipped, its data cannot be reached ({reason[0][:200]})"
    known = [package for package in packages if "skip_reason" not in package]
    bad = [f"{package['name']} {package['version']}: {_ids(package)}" for package in known if package["vulns"]]
    if bad:
        return True, "\n  ".join([f"{len(bad)} of {len(known)} packages have known vulnerabilities", *bad])
    if not known:
        return False, f"skipped, its data cannot be reached (it knows none of {len(packages)} packages)"
    unknown = f", {len(packages) - len(known)} are not known there" if len(known) < len(packages) else ""
    return False, f"no known vulnerability in {len(known)} packages{unknown}"


def _ids(package: dict[str, Any]) -> str:
    return ", ".join(f"{one['id']} (fixed in {', '.join(one['fix_versions']) or 'none'})" for one in package["vulns"])


if __name__ == "__main__":
    sys.exit(main())
