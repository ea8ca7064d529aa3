// Kafka, the quota, the disks, and the figures on top.

import { byId, element, facts, keep, mark, say, show } from "./dom.js";
import { bytes, count, duration, percent, rate, roughly, when } from "./format.js";

export function drawFigures(look) {
  const streams = Object.values(look.streams);
  const rows = [];
  if (streams.length) {
    const delays = streams.map((stream) => stream.delay_s).filter((delay) => delay !== null);
    const complete = least(look, "complete");
    const until = least(look, "proven_until");
    rows.push(
      ["Captured", rate(sum(streams, "captured_rate")), "/s"],
      ["Into Kafka", rate(sum(streams, "published_rate")), "/s"],
      ["Creation to Kafka", delays.length ? duration(Math.max(...delays)) : "–", ""],
      ["Waiting on disk", count(sum(streams, "spooled")), ""],
      ["Proven complete", percent(complete), until === null ? "" : `until ${when(until, look.at)}`],
      ["Quota left", count(look.quota.remaining), look.quota.reset_s ? `for ${roughly(look.quota.reset_s)}` : ""],
    );
  }
  if (look.scraper?.frontier) {
    const { share_done: share, finish } = look.scraper;
    const left = finish && finish.seconds ? `${finish.at_least ? "at least " : ""}${roughly(finish.seconds)} to go` : "";
    rows.push(["Crawl done", share === null ? "–" : percent(100 * share), left]);
  }
  keep(byId("figures"), rows, ([term]) => term, make, (row, [term, number, unit]) => {
    say(row.firstChild, term);
    const [value, small] = row.lastChild.children;
    say(value, number);
    say(small, unit ? ` ${unit}` : "");
  });
}

// The least of the streams that are switched on, null where one has none.
function least(look, name) {
  const values = Object.values(look.streams).filter((stream) => stream.on).map((stream) => stream[name]);
  return values.length && !values.includes(null) ? Math.min(...values) : null;
}

const sum = (streams, name) => streams.reduce((total, stream) => total + stream[name], 0);

function make() {
  return element("div", {}, element("dt"), element("dd", {}, element("span"), element("small")));
}

export function drawResources(look) {
  show(byId("kafka-box"), look.kafka !== null);
  if (look.kafka) drawKafka(look.kafka, look);
  drawQuota(look.quota, look);
  keep(byId("disks"), look.disks, (disk) => disk.what, makeDisk, (row, disk) => {
    const [line, bar] = row.children;
    say(line.firstChild, disk.what);
    say(line.lastChild, `${bytes(disk.free)} free of ${bytes(disk.size)}`);
    fillMeter(bar, disk.size ? 1 - disk.free / disk.size : 0, disk.low, `${disk.what}: disk used`);
  });
}

function drawKafka(kafka, look) {
  facts(byId("kafka"), [
    kafkaState(kafka, look),
    ["acknowledged", count(kafka.published)],
    ["waiting in the spools", count(kafka.waiting)],
    ["failed deliveries", count(kafka.errors)],
    ["dead letters", count(kafka.dead_letters), kafka.dead_letters ? "warn" : ""],
    ["promise", kafka.delivery.replaceAll("_", " ")],
    ["topic", kafka.topic],
    ["servers", kafka.servers.split(",").join(",\n")],
  ]);
}

// What is known of Kafka is known from the publisher.
function kafkaState(kafka, look) {
  if (kafka.away_since !== null) return ["state", `away since ${when(kafka.away_since, look.at)}`, "bad"];
  const runs = look.processes.some(({ name, state }) => name === "publisher" && state === "RUNNING");
  return runs ? ["state", "answers", ""] : ["state", "unknown: the publisher does not run", "warn"];
}

function drawQuota(quota, look) {
  const limit = quota.used + quota.remaining;
  const holder = byId("quota-meter");
  if (!holder.firstChild) holder.append(element("div", { class: "meter" }, element("span")));
  fillMeter(holder.firstChild, limit ? quota.used / limit : 0, quota.remaining === 0, "quota used");
  facts(byId("quota"), [
    ["used in this window", `${count(quota.used)} of ${count(limit)}`],
    ["remaining", count(quota.remaining), quota.remaining === 0 ? "bad" : ""],
    ["next window", quota.reset_s ? `in ${duration(quota.reset_s)}` : "begins with the next request"],
    ["Reddit asked to wait", quota.blocked_s ? `${duration(quota.blocked_s)} more` : null, "warn"],
    ["answers 429", count(quota.refused)],
    ["scraper’s answers", look.scraper ? `${rate(look.scraper.answers_rate)} a second` : null],
  ]);
}

function makeDisk() {
  return element("div", { class: "disk" }, element("p", {}, element("span"), element("span")), element("div", { class: "meter" }, element("span")));
}

function fillMeter(meter, share, low, label) {
  const value = Math.round(100 * Math.min(1, Math.max(0, share)));
  meter.classList.toggle("low", low);
  meter.firstChild.style.width = `${value}%`;
  mark(meter, "role", "meter");
  mark(meter, "aria-label", label);
  mark(meter, "aria-valuenow", String(value));
  mark(meter, "aria-valuetext", `${value} percent`);
}
