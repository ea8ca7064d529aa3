// The top of the page: readiness, the reasons against it, and the warnings.

import { byId, element, setAttribute, setText, setTextWithCode, syncChildren } from "./dom.js";
import { duration, when } from "./format.js";

const titles = {
  supervisor_silent: "Supervisor not responding",
  supervisor_stopping: "Stopping",
  process_down: "Process down",
  process_hangs: "Process hangs",
  credentials_rejected: "Credentials rejected",
  stream_silent: "Stream silent",
  kafka_away: "Kafka unavailable",
  delivery_stalled: "Delivery stalled",
  spool_growing: "Spool growing",
  quota_exhausted: "Quota used up",
  quota_blocked: "Blocked by Reddit",
  proxies_failing: "All proxies failing",
  database_away: "Database unavailable",
  crawl_stalled: "Crawl stalled",
  cluster_name_taken: "Machine name taken",
  cluster_not_member: "Not in the cluster",
  cluster_rebalancing: "Shards not settled",
  cluster_commit_failing: "Commits refused",
  shard_without_owner: "Shard without owner",
  disk_nearly_full: "Disk nearly full",
  state_unreadable: "State unreadable",
  snapshot_late: "Old data",
  proxy_failing: "Proxy failing",
  database_replaced: "Database replaced",
  subreddit_unavailable: "Subreddit unavailable",
  spool_lost: "Spool file lost",
  quota_short: "Quota too small",
  stream_behind: "Stream behind",
  gap_open: "Gap not repaired",
  audit_found_missing: "Items were missing",
  changes_silent: "Later changes silent",
  changes_late: "Later changes late",
  changes_lost: "Later changes lost",
  dead_letters: "Dead letters",
  cluster_machine_silent: "Machine silent",
  cluster_view_old: "Cluster unknown",
};

const isStarting = (sample, reason) => reason.what === "process_down" && sample.processes.some(({ name, state }) => name === reason.subject && state === "STARTING");

function list(parent, reasons, sample) {
  const now = sample.at;
  syncChildren(parent, reasons, (reason) => `${reason.what} ${reason.subject}`, make, (item, reason) => {
    const began = Date.parse(reason.since) / 1000;
    const starting = isStarting(sample, reason);
    setText(item.children[0], starting ? "Starting" : titles[reason.what] ?? reason.what);
    item.classList.toggle("mild", starting);
    setTextWithCode(item.children[1], reason.text);
    setText(item.children[2], `since ${when(began, now)}`);
    setAttribute(item.children[2], "title", `for ${duration(now - began)}`);
  });
}

function make() {
  return element("li", {}, element("span", { class: "title" }), element("span", { class: "text" }), element("span", { class: "since" }));
}

export function drawReadiness(sample) {
  const starting = !sample.ready && sample.reasons.every((reason) => isStarting(sample, reason));
  setText(byId("readiness-title"), sample.ready ? "Ready: everything works" : starting ? "Starting …" : sentence(sample.reasons.length));
  setAttribute(byId("readiness"), "data-ready", sample.ready ? "yes" : starting ? "soon" : "no");
  list(byId("reasons"), sample.reasons, sample);
  list(byId("warnings"), sample.warnings, sample);
  const tab = sample.ready ? "Gapless" : `▲ ${sample.reasons.length} · Gapless`;
  if (document.title !== tab) document.title = tab;
}

function sentence(number) {
  return number === 1 ? "Not ready: 1 problem" : `Not ready: ${number} problems`;
}
