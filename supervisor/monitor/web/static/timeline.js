// The last 24 hours of each stream: proven, in a gap, or not read yet.
// Gaps are drawn from the top and unread time from the bottom; the height is the share of the subreddits.

import { timeTicks } from "./axis.js";
import { setAttribute, svg } from "./dom.js";
import { moment, percent, since, time, when } from "./format.js";

const ROW_HEIGHT = 36;
const BAR = 16;
const TOP = 17;
const SHARE = 74;
const MIN_WIDTH = 3;
const MIN_GAP_HEIGHT = 5; // minimum height of a gap

// drawing order: later states cover earlier ones
const order = ["repaired", "filled", "lost", "open"];

export class Timeline {
  constructor(parent) {
    this.drawing = svg("svg", { class: "lanes", role: "img" });
    this.streams = {};
    parent.append(this.drawing);
    new ResizeObserver(() => this.draw()).observe(parent);
  }

  update(streams) {
    this.streams = streams;
    this.draw();
  }

  draw() {
    const width = this.drawing.parentElement.clientWidth;
    const names = Object.keys(this.streams);
    if (!width || !names.length) return;
    const right = width - SHARE;
    const windows = names.map((name) => this.streams[name].window);
    const start = Math.min(...windows.map(([from]) => from));
    const end = Math.max(...windows.map(([, to]) => to), start + 1);
    const x = (at) => (Math.min(Math.max(at, start), end) - start) / (end - start) * right;
    const height = names.length * ROW_HEIGHT + 18;
    setAttribute(this.drawing, "height", String(height));
    setAttribute(this.drawing, "viewBox", `0 0 ${width} ${height}`);
    this.drawing.replaceChildren(
      hatch(),
      ...this.ticks(x, start, end, right, height),
      ...names.flatMap((name, index) => this.row(this.streams[name], name, index * ROW_HEIGHT, x, right)),
    );
    const parts = names.map((name) => description(this.streams[name], name));
    setAttribute(this.drawing, "aria-label", `Completeness since ${moment(start)}: ${parts.join("; ")}`);
  }

  ticks(x, start, end, right, height) {
    const parts = [];
    const { ticks, write } = timeTicks(start, end, Math.max(2, Math.floor(right / 80)));
    for (const at of ticks) {
      parts.push(svg("line", { class: "tick", x1: x(at), x2: x(at), y1: 18, y2: height - 16 }));
      if (x(at) < 16 || x(at) > right - 16) continue;
      parts.push(svg("text", { x: x(at), y: height - 4, "text-anchor": "middle" }, write(at)));
    }
    return parts;
  }

  row(stream, name, y, x, right) {
    const [from, to] = stream.window;
    const ground = { class: stream.complete === null ? "empty" : "proven", x: x(from), y: y + TOP, width: Math.max(1, x(to) - x(from)), height: BAR };
    const share = svg("text", { x: right + SHARE, y: y + 29, "text-anchor": "end" }, percent(stream.complete));
    setAttribute(share, "class", isIncomplete(stream) ? "share short" : "share");
    const until = svg("text", { class: stream.old && stream.on ? "until old" : "until", x: right + SHARE, y: y + 12, "text-anchor": "end" }, proven(stream));
    const parts = [svg("text", { class: "name", x: 0, y: y + 12 }, title(name)), until, svg("rect", ground), share];
    if (stream.complete !== null) parts.push(...unread(stream, y, x, right));
    const gaps = [...stream.ledger].sort((one, other) => order.indexOf(one.state) - order.indexOf(other.state));
    return [...parts, ...gaps.map((gap) => gapBar(gap, to, y, x, right))];
  }
}

const title = (name) => name[0].toUpperCase() + name.slice(1);

const isIncomplete = (stream) => stream.complete !== null && (stream.old || stream.shares.open + stream.shares.lost + stream.shares.filled > 0);

// The proven time as text, with its age if it is old.
function proven(stream) {
  if (stream.proven_until === null) return stream.complete === null ? "nothing read yet" : "a subreddit was never read";
  const until = `proven until ${when(stream.proven_until, stream.window[1])}`;
  if (!stream.on) return `${until}, disabled`;
  return stream.old ? `${until}, ${since(stream.unread_s)} ago` : until;
}

function description(stream, name) {
  if (stream.complete === null) return `${name} nothing read yet`;
  const { gaps, open_gaps: open, shares } = stream;
  return `${name} ${percent(stream.complete)} proven, ${proven(stream)}, ${percent(100 * shares.unread)} not read yet, ${gaps} gaps, ${open} of them open`;
}

// Stripes, so that unread time is not shown by colour alone.
function hatch() {
  const pattern = svg("pattern", { id: "not-read", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("rect", { class: "ground", width: 6, height: 6 }), svg("rect", { class: "stripe", width: 2, height: 6 }));
  return svg("defs", {}, pattern);
}

function unread(stream, y, x, right) {
  const end = stream.window[1];
  return stream.unread.map(([at, part], index) => {
    const last = index === stream.unread.length - 1;
    const to = last ? x(end) : x(stream.unread[index + 1][0]);
    const width = Math.max(last && stream.old ? MIN_WIDTH : 0, to - x(at));
    const height = Math.max(MIN_WIDTH, BAR * part);
    const bar = svg("rect", { class: "unread", x: Math.min(x(at), right - width), y: y + TOP + BAR - height, width, height });
    bar.append(svg("title", {}, `${moment(at)} – ${time(end)}: not read yet`));
    return bar;
  });
}

function gapBar(gap, now, y, x, right) {
  const left = x(gap.from);
  const height = Math.min(BAR, Math.max(MIN_GAP_HEIGHT, BAR * gap.part));
  const bar = svg("rect", { class: gap.state === "lost" ? "gone" : gap.state, y: y + TOP, height });
  setAttribute(bar, "x", String(Math.min(left, right - MIN_WIDTH)));
  setAttribute(bar, "width", String(Math.max(MIN_WIDTH, x(gap.to ?? now) - left)));
  const end = gap.to === null ? "ongoing" : time(gap.to);
  bar.append(svg("title", {}, `${moment(gap.from)} – ${end}, ${gap.state}: ${gap.reason}`));
  return bar;
}
