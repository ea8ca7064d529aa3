// The subreddits: how many are in trouble, the worst ones, and those whose name is searched. The page asks for them
// every few seconds, since there may be thousands.

import { byId, cells, fillCells, setAttribute, setText, syncChildren } from "./dom.js";
import { count, since, when } from "./format.js";

const REFRESH_MS = 5000;
const TYPING_MS = 200;

const columns = [["", ""], ["", "stays"], ["proven until", "number"], ["open gaps", "number"], ["lost gaps", "number"]];
const field = byId("search");
let askedAt = 0;
let asked = 0; // number of requests: an answer to an older one is discarded
let typing = null;
let place = "configured"; // in a cluster, other machines have the rest

field.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(ask, TYPING_MS);
});

export function drawSubreddits(cluster) {
  place = cluster ? "on this machine" : "configured";
  if (Date.now() - askedAt >= REFRESH_MS) ask();
}

async function ask() {
  askedAt = Date.now();
  asked += 1;
  const number = asked;
  try {
    const answer = await fetch(`/api/subreddits?search=${encodeURIComponent(field.value.trim())}`);
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    if (number === asked) draw(found);
  } catch (error) {
    if (number === asked) setText(byId("search-status"), `The monitor did not answer (${error.message}).`);
  }
}

function draw({ at, search, counts, found, subreddits }) {
  setText(byId("subreddits-text"), summary(counts));
  syncChildren(byId("subreddit-rows"), subreddits, ({ name }) => name, () => cells(columns), (row, one) => {
    const [text, kind] = state(one);
    const until = one.proven_until === null ? null : when(one.proven_until, at);
    fillCells(row, [`r/${one.name}`, text, until, one.open ? count(one.open) : null, one.lost ? count(one.lost) : null]);
    setAttribute(row.children[1], "class", `stays state ${kind}`);
  });
  setText(byId("search-status"), search ? foundText(search, found, subreddits.length) : restText(counts, subreddits));
}

function state(one) {
  if (one.behind) return [one.age_s === null ? "never read" : `not read for ${since(one.age_s)}`, "bad"];
  if (one.unavailable) return [`unavailable: ${one.unavailable}`, "warn"];
  if (one.open) return ["open gap", "bad"];
  return one.lost ? ["lost gap", "warn"] : ["complete", "good"];
}

function summary({ all, behind, unavailable, open, lost }) {
  const parts = [[behind, "behind"], [unavailable, "unavailable"], [open, "with open gaps"], [lost, "with lost gaps"]];
  const troubles = parts.filter(([number]) => number).map(([number, text]) => `${count(number)} ${text}`);
  return `${count(all)} ${place}${troubles.length ? `: ${troubles.join(", ")}` : ", all complete"}.`;
}

function restText(counts, shown) {
  const others = counts.all - shown.length;
  return others > 0 ? `The worst ${shown.length} are shown. ${count(others)} others: search a name.` : "";
}

function foundText(search, found, shown) {
  if (!found) return `No configured name contains “${search}”.`;
  const text = `${count(found)} ${found === 1 ? "name contains" : "names contain"} “${search}”`;
  return found > shown ? `${text}; ${shown} are shown.` : `${text}.`;
}
