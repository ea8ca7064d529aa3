// The list of gaps below the timeline, for those who want to read them one by one.

import { byId, cells, fillCells, keep, mark, say } from "./dom.js";
import { duration, moment } from "./format.js";

const columns = [["", ""], ["", "stays"], ["lasting", ""], ["", "stays"], ["", "error wide"], ["", "error wide"]];

export function drawLedger(streams) {
  const gaps = Object.entries(streams).flatMap(([name, stream]) => stream.ledger.map((gap) => ({ ...gap, name })));
  gaps.sort((one, other) => other.from - one.from);
  const all = Object.values(streams).reduce((total, stream) => total + stream.gaps, 0);
  const open = Object.values(streams).reduce((total, stream) => total + stream.open_gaps, 0);
  const begun = Object.values(streams).some((stream) => stream.complete !== null);
  say(byId("ledger-summary"), begun || all ? summary(all, open, gaps.length) : "Nothing read yet");
  const key = (gap) => `${gap.name} ${gap.from} ${gap.to} ${gap.reason}`;
  keep(byId("ledger-rows"), gaps, key, () => cells(columns), (row, gap) => {
    const state = gap.repaired ? `repaired, ${gap.found} found` : `not proven, ${gap.found} found`;
    fillCells(row, [gap.name, moment(gap.from), duration(Math.max(0, gap.to - gap.from)), state, gap.reason, gap.subreddits.join(" ")]);
    mark(row.children[3], "class", gap.repaired ? "stays" : "stays state bad");
  });
}

function summary(all, open, listed) {
  if (!all) return "No gaps: everything is proven contiguous";
  const state = open ? `${open} of them not repaired` : "all repaired";
  return `${all} ${all === 1 ? "gap" : "gaps"} ever, ${state}${listed ? `; ${listed} in this window` : ""}`;
}
