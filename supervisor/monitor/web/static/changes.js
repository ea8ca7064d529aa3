// Later changes: what the looks at delivered items found, by kind, and whether they are on time.

import { roundUp } from "./axis.js";
import { Chart } from "./chart.js";
import { byId, element, facts, setAttribute, setText, setVisible, syncChildren } from "./dom.js";
import { count, duration, percent, rate } from "./format.js";
import { changesHistory } from "./streams.js";

const names = { edit: "edited", score: "score changed", removed: "removed", deleted: "deleted", restored: "restored", gone: "gone" };
let chart = null;

export function drawChanges({ changes, at }) {
  setVisible(byId("changes"), changes !== null);
  if (!changes) return;
  const total = sum(changes.events);
  setText(byId("changes-text"), changes.on ? "Delivered items are asked for again by name." : "Not enabled now.");
  setText(byId("changes-total"), `${count(total)} ${total === 1 ? "change" : "changes"}`);
  facts(byId("changes-facts"), [
    ["looks at posts", count(changes.checked.submissions)],
    ["looks at comments", count(changes.checked.comments)],
    ["on time, last hour", changes.on_time === null ? "–" : percent(changes.on_time)],
    ["items to look at again", count(sum(changes.duties))],
    ["overdue", changes.overdue ? count(changes.overdue) : null],
    ["oldest overdue by", changes.overdue_s ? duration(changes.overdue_s) : "–", changes.old ? "warn" : ""],
    ["waiting for Kafka", count(changes.spooled)],
  ]);
  const most = Math.max(1, ...Object.values(changes.events));
  syncChildren(byId("changes-kinds"), Object.entries(changes.events), ([op]) => op, make, (row, [op, number]) => {
    setText(row.children[0], names[op] ?? op);
    row.children[1].firstChild.style.width = `${(100 * number) / most}%`;
    setText(row.children[2], count(number));
    setAttribute(row, "class", number ? "" : "none");
  });
  draw(at);
}

const sum = (numbers) => Object.values(numbers).reduce((total, number) => total + number, 0);

function make() {
  return element("li", {}, element("span"), element("span", { class: "bar", "aria-hidden": "true" }, element("span")), element("b"));
}

function draw(at) {
  if (!chart) {
    chart = new Chart("changes found per minute", [{ kind: "captured", name: "changes" }], { unit: rate, short: (number) => String(Number(number.toFixed(1))), least: 1, round: roundUp });
    byId("changes-chart").append(chart.figure);
  }
  chart.update(changesHistory(), at);
}
