// The audit below the list of gaps: its statement, and the sample by stream and source.

import { byId, cells, fillCells, setText, setVisible, syncChildren } from "./dom.js";
import { count } from "./format.js";

const columns = [["", ""], ["", "stays"], ["sampled", "number"], ["missing", "number"], ["in gaps", "number"], ["removed first", "number"], ["missing at most", "number"]];

export function drawAudit(audit) {
  setVisible(byId("audit"), audit !== null);
  if (!audit) return;
  setText(byId("audit-summary"), audit.text);
  syncChildren(byId("audit-rows"), audit.rows, ({ stream, source }) => `${stream} ${source}`, () => cells(columns), (row, one) => {
    const numbers = [one.sampled, one.missing, one.missing_in_gaps, one.removed_first].map(count);
    fillCells(row, [one.stream, one.source, ...numbers, one.at_most]);
  });
}
