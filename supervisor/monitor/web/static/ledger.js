// The list of gaps below the timeline.

import { byId, cells, fillCells, setAttribute, setText, syncChildren } from "./dom.js";
import { duration, moment } from "./format.js";

const columns = [["", ""], ["", "stays"], ["duration", ""], ["", "stays"], ["", "error wide"], ["", "error wide"]];
const MOST_NAMED = 12;

export function drawLedger(streams) {
  const gaps = Object.entries(streams).flatMap(([name, stream]) => stream.ledger.map((gap) => ({ ...gap, name, now: stream.window[1] })));
  gaps.sort((one, other) => other.from - one.from);
  const begun = Object.values(streams).some((stream) => stream.complete !== null);
  const all = Object.values(streams).reduce((total, stream) => total + stream.gaps, 0);
  setText(byId("ledger-summary"), begun || all ? summary(Object.values(streams), all, gaps.length) : "Nothing read yet");
  syncChildren(byId("ledger-rows"), gaps, (gap) => `${gap.name} ${gap.id}`, () => cells(columns), (row, gap) => {
    const found = gap.state === "open" && !gap.found ? "" : `, ${gap.found} found`;
    const lasting = duration(Math.max(0, (gap.to ?? gap.now) - gap.from));
    fillCells(row, [gap.name, moment(gap.from), gap.to === null ? `${lasting}, ongoing` : lasting, `${gap.state}${found}`, gap.reason, named(gap.subreddits)]);
    setAttribute(row.children[3], "class", { repaired: "stays", filled: "stays state warn" }[gap.state] ?? "stays state bad");
  });
}

function named(subreddits) {
  const more = subreddits.length - MOST_NAMED;
  return more > 0 ? `${subreddits.slice(0, MOST_NAMED).join(" ")} and ${more} more` : subreddits.join(" ");
}

function summary(streams, all, listed) {
  if (!all) return "No gaps recorded";
  const count = (state) => streams.reduce((total, stream) => total + stream.states[state], 0);
  const parts = ["open", "lost", "filled"].filter(count).map((state) => `${count(state)} ${state}`);
  const state = parts.length ? `not repaired: ${parts.join(", ")}` : "all repaired";
  return `${all} ${all === 1 ? "gap" : "gaps"} recorded, ${state}${listed ? `; ${listed} in the last 24 h` : ""}`;
}
