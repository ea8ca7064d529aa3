// Each stream: items captured, items delivered to Kafka, and the delay since their creation.

import { roundUp, roundUpTime } from "./axis.js";
import { Chart } from "./chart.js";
import { byId, element, facts, setText, syncChildren } from "./dom.js";
import { bytes, count, duration, rate, roughly } from "./format.js";

const KEPT = 361;
const AVERAGED = 3;

const history = []; // steps: {at, streams: {name: [captured, published, waiting, lag, delay]}, changes}
const charts = new Map();

export function setHistory(steps) {
  history.splice(0, history.length, ...steps);
}

export function addStep(step) {
  if (history.length && step.at <= history.at(-1).at) return;
  history.push(step);
  if (history.length > KEPT) history.shift();
}

// Later changes a minute: [time, number].
export const changesHistory = () => history.map((step) => [step.at, step.changes]);

export function drawStreams(sample) {
  const names = Object.keys(sample.streams);
  syncChildren(byId("stream-rows"), names, (name) => name, make, (row, name) => fill(row, name, sample));
}

function make(name) {
  const both = [{ kind: "captured", name: "captured" }, { kind: "kafka", name: "into Kafka" }];
  const rates = new Chart("items per second", both, { unit: rate, short: plain, least: 1, round: roundUp });
  const delays = new Chart("delay from creation to Kafka", [{ kind: "kafka", name: "delay" }], { unit: duration, short, least: 4, round: roundUpTime });
  charts.set(name, { rates, delays });
  const head = element("div", { class: "head" }, element("div", {}, element("h3"), element("p", { class: "big" })), element("dl", { class: "facts" }));
  return element("div", { class: "stream" }, head, rates.figure, delays.figure);
}

const plain = (number) => String(Number(number.toFixed(1)));

// One unit: "2 s", "1.5 min".
function short(seconds) {
  for (const [length, unit] of [[3600, "h"], [60, "min"]]) if (seconds >= length) return `${plain(seconds / length)} ${unit}`;
  return `${plain(seconds)} s`;
}

function fill(row, name, sample) {
  const stream = sample.streams[name];
  const [title, list] = row.firstChild.children;
  setText(title.firstChild, name[0].toUpperCase() + name.slice(1));
  big(title.lastChild, rate(stream.captured_rate), stream.on ? "/s" : "/s, disabled");
  const late = stream.polled_s !== null && stream.polled_s > 90;
  facts(list, [
    ["captured", count(stream.captured)],
    ["in Kafka", count(stream.published)],
    ["waiting", `${count(stream.spooled)}${stream.waiting_s > 20 ? `, for ${duration(stream.waiting_s)}` : ""}`, stream.waiting_s > 20 ? "warn" : ""],
    ["spool on disk", bytes(stream.bytes)],
    ["delay to capture", duration(stream.lag_s) ?? "–"],
    ["delay to Kafka", duration(stream.delay_s) ?? "–"],
    ["last complete poll", stream.polled_s === null ? "–" : `${roughly(stream.polled_s)} ago`, late ? "warn" : ""],
  ]);
  const { rates, delays } = charts.get(name);
  rates.update(history.map((step, index) => [step.at, average(name, index, 0), average(name, index, 1)]), sample.at);
  delays.update(history.map((step) => [step.at, step.streams[name]?.[4] ?? null]), sample.at);
}

function big(target, number, unit) {
  if (!target.firstChild) target.append("", element("small"));
  if (target.firstChild.data !== `${number} `) target.firstChild.data = `${number} `;
  setText(target.lastChild, unit);
}

function average(name, index, column) {
  let sum = 0;
  let steps = 0;
  for (let back = 0; back < AVERAGED && index - back >= 0; back += 1) {
    const values = history[index - back].streams[name];
    if (!values) continue;
    sum += values[column];
    steps += 1;
  }
  return steps ? sum / steps : null;
}
