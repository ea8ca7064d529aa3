// The crawl: its progress, the time to finish, and the proxies.

import { byId, cells, element, fillCells, setAttribute, setText, setVisible, syncChildren } from "./dom.js";
import { count, duration, percent, rate, timeWithSeconds } from "./format.js";

const columns = [["", ""], ["", "stays"], ["requests", "number"], ["failed", "number"], ["latency", "number"], ["in flight", "number"], ["last error", "error wide"]];
const kinds = { healthy: "good", probing: "warn", starting: "warn", resting: "bad", idle: "off", stopped: "off", silent: "off" };

export function drawScraper(sample) {
  const { scraper } = sample;
  setVisible(byId("scraper"), scraper !== null);
  if (!scraper) return;
  setText(byId("scraper-text"), scraper.database_away_since === null ? `${count(scraper.in_flight)} requests in flight, ${rate(scraper.answers_rate)} responses/s.` : `The database has not answered since ${timeWithSeconds(scraper.database_away_since)}.`);
  drawFrontier(scraper);
  const rows = [...scraper.proxies, ...scraper.silent.map((name) => ({ name, state: "silent" }))];
  syncChildren(byId("proxy-rows"), rows, (proxy) => proxy.name, make, (row, proxy) => fill(row, proxy, sample));
}

function make() {
  const row = cells(columns);
  row.children[0].append(element("span"));
  row.children[1].append(element("span"));
  return row;
}

function fill(row, proxy, sample) {
  const silent = proxy.state === "silent"; // its last report is old
  const latency = silent || proxy.latency_ms === null || proxy.latency_ms === undefined ? null : `${count(proxy.latency_ms)} ms`;
  const error = proxy.error ? `${proxy.error}${proxy.error_at ? ` (${duration(sample.at - proxy.error_at)} ago)` : ""}` : null;
  fillCells(row, [undefined, undefined, count(proxy.requests), count(proxy.failed), latency, silent ? null : count(proxy.in_flight), error]);
  setText(row.children[0].firstChild, proxy.name);
  setAttribute(row.children[0], "title", proxy.address ?? "");
  const rests = proxy.state === "resting" && proxy.until > sample.at ? ` ${duration(proxy.until - sample.at)}` : "";
  setText(row.children[1].firstChild, `${proxy.state}${rests}`);
  setAttribute(row.children[1].firstChild, "class", `state ${kinds[proxy.state] ?? ""}`);
}

function drawFrontier(scraper) {
  const container = byId("frontier");
  setVisible(container, scraper.frontier !== null);
  if (!scraper.frontier) return;
  if (!container.firstChild) {
    const bar = element("div", { class: "progress", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": "Crawl" }, element("span", { class: "done" }), element("span", { class: "leased" }));
    container.append(element("div", { class: "frontier" }, element("p", { class: "lead" }, element("span", { class: "big" }), element("span")), bar, element("ul")));
  }
  const [lead, bar, list] = container.firstChild.children;
  const { done, leased, waiting, later, subreddits, users, posts, rules } = scraper.frontier;
  const share = scraper.share_done ?? 0;
  setText(lead.firstChild, percent(100 * share));
  setText(lead.lastChild, timeToFinish(scraper));
  setAttribute(bar, "aria-valuenow", String(Math.round(100 * share)));
  const all = Math.max(1, done + leased + waiting);
  bar.firstChild.style.width = `${(100 * done) / all}%`;
  bar.lastChild.style.width = `${(100 * leased) / all}%`;
  const parts = [["done", done], ["in progress", leased], ["waiting", waiting], ["later", later], ["subreddits", subreddits], ["users", users], ["posts", posts], ["rules", rules]];
  syncChildren(list, parts, ([name]) => name, () => element("li", {}, element("b"), element("span")), (item, [name, number]) => {
    setText(item.firstChild, count(number));
    setText(item.lastChild, ` ${name}${name === "subreddits" ? " saved" : ""}`);
  });
}

function timeToFinish({ finish, per_hour: perHour }) {
  const speed = perHour === null ? "" : `, ${count(perHour)} subreddits/h`;
  if (!finish) return `time to finish unknown${speed}`;
  if (!finish.seconds) return finish.at_least ? "nothing to do now" : "finished";
  return `${finish.at_least ? "at least " : ""}${duration(finish.seconds)} to finish${speed}`;
}
