// The crawl: how far it has come, how long it takes, and the proxies it goes through.

import { byId, cells, element, fillCells, keep, mark, say, show } from "./dom.js";
import { count, duration, percent, rate, timeWithSeconds } from "./format.js";

const columns = [["", ""], ["", "stays"], ["requests", "number"], ["failed", "number"], ["latency", "number"], ["in flight", "number"], ["last error", "error wide"]];
const kinds = { healthy: "good", probing: "warn", starting: "warn", resting: "bad", idle: "off", stopped: "off", silent: "off" };

export function drawScraper(look) {
  const { scraper } = look;
  show(byId("scraper"), scraper !== null);
  if (!scraper) return;
  say(byId("scraper-text"), scraper.database_away_since === null ? `${count(scraper.in_flight)} requests in flight, ${rate(scraper.answers_rate)} answers a second.` : `The database is away since ${timeWithSeconds(scraper.database_away_since)}.`);
  drawFrontier(scraper);
  const rows = [...scraper.proxies, ...scraper.silent.map((name) => ({ name, state: "silent" }))];
  keep(byId("proxy-rows"), rows, (proxy) => proxy.name, make, (row, proxy) => fill(row, proxy, look));
}

function make() {
  const row = cells(columns);
  row.children[0].append(element("span"));
  row.children[1].append(element("span"));
  return row;
}

function fill(row, proxy, look) {
  const silent = proxy.state === "silent"; // its last words are old
  const latency = silent || proxy.latency_ms === null || proxy.latency_ms === undefined ? null : `${count(proxy.latency_ms)} ms`;
  const error = proxy.error ? `${proxy.error}${proxy.error_at ? ` (${duration(look.at - proxy.error_at)} ago)` : ""}` : null;
  fillCells(row, [undefined, undefined, count(proxy.requests), count(proxy.failed), latency, silent ? null : count(proxy.in_flight), error]);
  say(row.children[0].firstChild, proxy.name);
  mark(row.children[0], "title", proxy.address ?? "");
  const rests = proxy.state === "resting" && proxy.until > look.at ? ` ${duration(proxy.until - look.at)}` : "";
  say(row.children[1].firstChild, `${proxy.state}${rests}`);
  mark(row.children[1].firstChild, "class", `state ${kinds[proxy.state] ?? ""}`);
}

function drawFrontier(scraper) {
  const holder = byId("frontier");
  show(holder, scraper.frontier !== null);
  if (!scraper.frontier) return;
  if (!holder.firstChild) {
    const bar = element("div", { class: "progress", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": "Crawl" }, element("span", { class: "done" }), element("span", { class: "leased" }));
    holder.append(element("div", { class: "frontier" }, element("p", { class: "lead" }, element("span", { class: "big" }), element("span")), bar, element("ul")));
  }
  const [lead, bar, list] = holder.firstChild.children;
  const { done, leased, waiting, later, subreddits, users, posts, rules } = scraper.frontier;
  const share = scraper.share_done ?? 0;
  say(lead.firstChild, percent(100 * share));
  say(lead.lastChild, outlook(scraper));
  mark(bar, "aria-valuenow", String(Math.round(100 * share)));
  const all = Math.max(1, done + leased + waiting);
  bar.firstChild.style.width = `${(100 * done) / all}%`;
  bar.lastChild.style.width = `${(100 * leased) / all}%`;
  const parts = [["done", done], ["under way", leased], ["waiting", waiting], ["later", later], ["subreddits", subreddits], ["users", users], ["posts", posts], ["rules", rules]];
  keep(list, parts, ([name]) => name, () => element("li", {}, element("b"), element("span")), (item, [name, number]) => {
    say(item.firstChild, count(number));
    say(item.lastChild, ` ${name}${name === "subreddits" ? " saved" : ""}`);
  });
}

function outlook({ finish, per_hour: pace }) {
  const speed = pace === null ? "" : `, ${count(pace)} subreddits an hour`;
  if (!finish) return `time to finish unknown${speed}`;
  if (!finish.seconds) return finish.at_least ? "nothing to do just now" : "finished";
  return `${finish.at_least ? "at least " : ""}${duration(finish.seconds)} to finish${speed}`;
}
