// The list of gaps below the timeline.

import { byId, cells, fillCells, setAttribute, setText, syncChildren } from "./dom.js";
import { count, duration, moment } from "./format.js";

const columns = [["", ""], ["", "stays"], ["duration", ""], ["", "stays"], ["", "error wide"], ["", "error wide"]];
const MOST_LISTED = 20;
const worst = { open: 0, lost: 0, filled: 1, repaired: 2 };

export function drawLedger(streams) {
  const gaps = Object.entries(streams).flatMap(([name, stream]) => stream.ledger.map((gap) => ({ ...gap, name, now: stream.window[1] })));
  const newest = (one, other) => other.from - one.from;
  gaps.sort(gaps.length > MOST_LISTED ? (one, other) => compareGaps(one, other) || newest(one, other) : newest);
  const begun = Object.values(streams).some((stream) => stream.complete !== null);
  const all = Object.values(streams).reduce((total, stream) => total + stream.gaps, 0);
  setText(byId("ledger-summary"), begun || all ? summary(Object.values(streams), all, gaps.length) : "Nothing read yet");
  const hidden = all - MOST_LISTED;
  setText(byId("ledger-rest"), gaps.length > MOST_LISTED ? `${hidden} more are not shown. The command “gaps CONFIG --all” lists all.` : "");
  syncChildren(byId("ledger-rows"), gaps.slice(0, MOST_LISTED), (gap) => `${gap.name} ${gap.id}`, () => cells(columns), (row, gap) => {
    const found = gap.state === "open" && !gap.found ? "" : `, ${gap.found} found`;
    const lasting = duration(Math.max(0, (gap.to ?? gap.now) - gap.from));
    fillCells(row, [gap.name, moment(gap.from), gap.to === null ? `${lasting}, ongoing` : lasting, `${gap.state}${found}`, gap.reason, named(gap)]);
    setAttribute(row.children[3], "class", { repaired: "stays", filled: "stays state warn" }[gap.state] ?? "stays state bad");
  });
}

// The worst first, as the command "gaps" lists them.
function compareGaps(one, other) {
  return worst[one.state] - worst[other.state] || (one.to === null) - (other.to === null) || other.concerned - one.concerned;
}

function named({ subreddits, concerned }) {
  const more = concerned - subreddits.length;
  return more > 0 ? `${subreddits.join(" ")} and ${count(more)} more` : subreddits.join(" ");
}

function summary(streams, all, listed) {
  if (!all) return "No gaps recorded";
  const total = (state) => streams.reduce((sum, stream) => sum + stream.states[state], 0);
  const parts = ["open", "lost", "filled"].filter(total).map((state) => `${total(state)} ${state}`);
  const state = parts.length ? `not repaired: ${parts.join(", ")}` : "all repaired";
  return `${all} ${all === 1 ? "gap" : "gaps"} recorded, ${state}${listed ? `; ${listed} in the last 24 h` : ""}`;
}
