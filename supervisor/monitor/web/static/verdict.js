// The sentence on top: does everything flow, and if not, what does not, since when, and what to do.

import { byId, element, keep, mark, say } from "./dom.js";
import { duration, when } from "./format.js";

const titles = {
  supervisor_silent: "Supervisor silent",
  supervisor_stopping: "Stopping",
  process_down: "Process down",
  process_hangs: "Process hangs",
  credentials_rejected: "Credentials rejected",
  stream_silent: "Stream silent",
  kafka_away: "Kafka away",
  delivery_stalled: "Delivery stalled",
  spool_growing: "Spool growing",
  quota_exhausted: "Quota used up",
  quota_blocked: "Reddit says wait",
  proxies_failing: "All proxies failing",
  database_away: "Database away",
  crawl_stalled: "Crawl stalled",
  disk_nearly_full: "Disk nearly full",
  state_unreadable: "State unreadable",
  snapshot_late: "Monitor late",
  proxy_failing: "Proxy failing",
  database_replaced: "Database replaced",
  subreddit_unavailable: "Subreddit unavailable",
  spool_lost: "Spool file lost",
  stream_behind: "Stream behind",
  gap_open: "Gap not repaired",
  dead_letters: "Dead letters",
};

const isStarting = (look, reason) => reason.what === "process_down" && look.processes.some(({ name, state }) => name === reason.subject && state === "STARTING");

function list(parent, reasons, look) {
  const now = look.at;
  keep(parent, reasons, (reason) => `${reason.what} ${reason.subject}`, make, (item, reason) => {
    const began = Date.parse(reason.since) / 1000;
    const starting = isStarting(look, reason);
    say(item.children[0], starting ? "Starting" : titles[reason.what] ?? reason.what);
    item.classList.toggle("mild", starting);
    say(item.children[1], reason.text);
    say(item.children[2], `since ${when(began, now)}`);
    mark(item.children[2], "title", `for ${duration(now - began)}`);
  });
}

function make() {
  return element("li", {}, element("span", { class: "title" }), element("span", { class: "text" }), element("span", { class: "since" }));
}

export function drawVerdict(look) {
  const starting = !look.ready && look.reasons.every((reason) => isStarting(look, reason));
  say(byId("verdict-title"), look.ready ? "Everything flows" : starting ? "Starting …" : sentence(look.reasons.length));
  mark(byId("verdict"), "data-ready", look.ready ? "yes" : starting ? "soon" : "no");
  list(byId("reasons"), look.reasons, look);
  list(byId("warnings"), look.warnings, look);
  const tab = look.ready ? "Gapless" : `▲ ${look.reasons.length} · Gapless`;
  if (document.title !== tab) document.title = tab;
}

function sentence(number) {
  return number === 1 ? "One thing keeps this from flowing" : `${number} things keep this from flowing`;
}
