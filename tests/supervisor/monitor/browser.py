"""A real Chromium, if installed, and checks of a page in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_CANDIDATES = ("chromium", "chromium-browser", "google-chrome")

# text, its colour and the first opaque colour behind it; what is too faint for AA comes back
CONTRAST = """
() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest(".unseen, .skip, noscript")) continue;
    const style = getComputedStyle(node);
    const ink = parse(node.namespaceURI.includes("svg") ? style.fill : style.color);
    const [light, dark] = [luminance(ink), luminance(behind(node))].sort((one, other) => other - one);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${walker.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return faint;
}
"""

# what a screen reader needs to find its way
UNNAMED = """
() => {
  const missing = [];
  for (const one of document.querySelectorAll("[role=img], [role=meter], [role=progressbar], nav"))
    if (one.checkVisibility() && !one.getAttribute("aria-label")) missing.push(one.outerHTML.slice(0, 80));
  for (const one of document.querySelectorAll("section"))
    if (!document.getElementById(one.getAttribute("aria-labelledby"))?.textContent) missing.push(one.id);
  for (const one of document.querySelectorAll("input"))
    if (!one.labels.length) missing.push(one.id);
  for (const one of document.querySelectorAll("button"))
    if (!one.getAttribute("aria-label")) missing.push(one.textContent);
  for (const one of document.querySelectorAll("th"))
    if (one.scope !== "col" || !one.textContent.trim()) missing.push(one.outerHTML);
  for (const one of document.querySelectorAll("table"))
    if (!one.caption?.textContent || one.getAttribute("role") !== "table") missing.push("table");
  for (const name of ["main", "header", "footer", "h1"])
    if (document.querySelectorAll(`body ${name}`).length !== 1) missing.push(name);
  return missing;
}
"""


def chromium() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, _CANDIDATES)), None)


@contextmanager
def launched() -> Iterator[Any]:
    """Run a browser during the block; skip without one, or fail if REQUIRE_CHROMIUM=1."""
    path = chromium()
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  only where there is a browser
    except ImportError:
        path = None
    if path is None:
        reason = "no Chromium: apt-get install chromium, pip install playwright"
        if os.environ.get("REQUIRE_CHROMIUM") == "1":
            pytest.fail(f"REQUIRE_CHROMIUM=1, yet {reason}")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """One open page, with its console messages and the URLs that it requested."""

    def __init__(self, browser: Any, url: str, *, width: int = 1600, height: int = 1000, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)
        self.page.set_default_timeout(30_000)
        self.page.wait_for_selector(", ".join(f".readiness[data-ready={state}]" for state in ("yes", "no", "soon")))

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def wait_for_text(self, selector: str, text: str) -> None:
        condition = "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)"
        self.page.wait_for_function(condition, arg=[selector, text])
