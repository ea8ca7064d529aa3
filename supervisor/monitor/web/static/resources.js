// Kafka, the quota, the disks, and the key figures at the top.

import { byId, element, facts, setAttribute, setText, setVisible, syncChildren } from "./dom.js";
import { bytes, count, duration, percent, rate, roughly, when } from "./format.js";

export function drawFigures(sample) {
  const streams = Object.values(sample.streams);
  const rows = [];
  if (streams.length) {
    const delays = streams.map((stream) => stream.delay_s).filter((delay) => delay !== null);
    const complete = minimum(sample, "complete");
    const until = minimum(sample, "proven_until");
    rows.push(
      ["Captured", rate(sum(streams, "captured_rate")), "/s"],
      ["Into Kafka", rate(sum(streams, "published_rate")), "/s"],
      ["Delay to Kafka", delays.length ? duration(Math.max(...delays)) : "–", ""],
      ["Waiting on disk", count(sum(streams, "spooled")), "records"],
      ["Proven complete", percent(complete), until === null ? "" : `until ${when(until, sample.at)}`],
      ["Quota left", count(sample.quota.remaining), sample.quota.reset_s ? `resets in ${roughly(sample.quota.reset_s)}` : ""],
    );
  }
  if (sample.scraper?.frontier) {
    const { share_done: share, finish } = sample.scraper;
    const left = finish && finish.seconds ? `${finish.at_least ? "at least " : ""}${roughly(finish.seconds)} left` : "";
    rows.push(["Crawl done", share === null ? "–" : percent(100 * share), left]);
  }
  syncChildren(byId("figures"), rows, ([term]) => term, make, (row, [term, number, unit]) => {
    setText(row.firstChild, term);
    const [value, small] = row.lastChild.children;
    setText(value, number);
    setText(small, unit ? ` ${unit}` : "");
  });
}

// The minimum over the enabled streams; null if one has no value.
function minimum(sample, name) {
  const values = Object.values(sample.streams).filter((stream) => stream.on).map((stream) => stream[name]);
  return values.length && !values.includes(null) ? Math.min(...values) : null;
}

const sum = (streams, name) => streams.reduce((total, stream) => total + stream[name], 0);

function make() {
  return element("div", {}, element("dt"), element("dd", {}, element("span"), element("small")));
}

export function drawResources(sample) {
  setVisible(byId("kafka-box"), sample.kafka !== null);
  if (sample.kafka) drawKafka(sample.kafka, sample);
  drawQuota(sample.quota, sample);
  syncChildren(byId("disks"), sample.disks, (disk) => disk.what, makeDisk, (row, disk) => {
    const [line, bar] = row.children;
    setText(line.firstChild, disk.what);
    setText(line.lastChild, `${bytes(disk.free)} free of ${bytes(disk.size)}`);
    fillMeter(bar, disk.size ? 1 - disk.free / disk.size : 0, disk.low, `${disk.what}: disk space used`);
  });
}

function drawKafka(kafka, sample) {
  facts(byId("kafka"), [
    kafkaState(kafka, sample),
    ["acknowledged", count(kafka.published)],
    ["waiting on disk", count(kafka.waiting)],
    ["failed deliveries", count(kafka.errors)],
    ["dead letters", count(kafka.dead_letters), kafka.dead_letters ? "warn" : ""],
    ["delivery", kafka.delivery.replaceAll("_", " ")],
    ["topic", kafka.topic],
    ["servers", kafka.servers.split(",").join(",\n")],
  ]);
}

// The state of Kafka as the publisher reports it.
function kafkaState(kafka, sample) {
  if (kafka.away_since !== null) return ["state", `unavailable since ${when(kafka.away_since, sample.at)}`, "bad"];
  const runs = sample.processes.some(({ name, state }) => name === "publisher" && state === "RUNNING");
  return runs ? ["state", "available", ""] : ["state", "unknown: the publisher is not running", "warn"];
}

function drawQuota(quota, sample) {
  const limit = quota.used + quota.remaining;
  const holder = byId("quota-meter");
  if (!holder.firstChild) holder.append(element("div", { class: "meter" }, element("span")));
  fillMeter(holder.firstChild, limit ? quota.used / limit : 0, quota.remaining === 0, "quota used");
  facts(byId("quota"), [
    ["used in this window", `${count(quota.used)} of ${count(limit)}`],
    ["remaining", count(quota.remaining), quota.remaining === 0 ? "bad" : ""],
    ["next window", quota.reset_s ? `in ${duration(quota.reset_s)}` : "starts with the next request"],
    ["blocked by Reddit", quota.blocked_s ? `for ${duration(quota.blocked_s)}` : null, "warn"],
    ["429 responses", count(quota.refused)],
    ["scraper responses", sample.scraper ? `${rate(sample.scraper.answers_rate)} /s` : null],
  ]);
}

function makeDisk() {
  return element("div", { class: "disk" }, element("p", {}, element("span"), element("span")), element("div", { class: "meter" }, element("span")));
}

function fillMeter(meter, share, low, label) {
  const value = Math.round(100 * Math.min(1, Math.max(0, share)));
  meter.classList.toggle("low", low);
  meter.firstChild.style.width = `${value}%`;
  setAttribute(meter, "role", "meter");
  setAttribute(meter, "aria-label", label);
  setAttribute(meter, "aria-valuenow", String(value));
  setAttribute(meter, "aria-valuetext", `${value} percent`);
}
