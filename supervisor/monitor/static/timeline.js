// The gaps of a day on a line for each stream, with the share that is proven.

import { timeTicks } from "./axis.js";
import { mark, svg } from "./dom.js";
import { moment, percent, time } from "./format.js";

const LANE = 34;
const BAR = 14;
const SHARE = 62;
const THIN = 3;

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
    const height = names.length * LANE + 18;
    mark(this.drawing, "height", String(height));
    mark(this.drawing, "viewBox", `0 0 ${width} ${height}`);
    this.drawing.replaceChildren(
      ...this.ticks(x, start, end, right, height),
      ...names.flatMap((name, index) => this.lane(this.streams[name], name, index * LANE, x, right)),
    );
    const parts = names.map((name) => {
      const { complete, open_gaps, gaps } = this.streams[name];
      return complete === null ? `${name} nothing read yet` : `${name} ${percent(complete)} proven, ${gaps} gaps, ${open_gaps} of them open`;
    });
    mark(this.drawing, "aria-label", `Completeness since ${moment(start)}: ${parts.join("; ")}`);
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

  lane(stream, name, y, x, right) {
    const [from, to] = stream.window;
    const parts = [
      svg("text", { class: "name", x: 0, y: y + 12 }, name[0].toUpperCase() + name.slice(1)),
      svg("rect", { class: stream.complete === null ? "empty" : "proven", x: x(from), y: y + 17, width: Math.max(1, x(to) - x(from)), height: BAR }),
    ];
    const share = svg("text", { x: right + SHARE, y: y + 28, "text-anchor": "end" }, percent(stream.complete));
    mark(share, "class", stream.complete !== null && stream.complete < 100 ? "share short" : "share");
    parts.push(share);
    // open ones last: nothing may hide them
    for (const gap of [...stream.ledger].sort((one, other) => other.repaired - one.repaired)) {
      const left = x(gap.from);
      const bar = svg("rect", { class: gap.repaired ? "repaired" : "open", y: y + 17, height: BAR });
      mark(bar, "x", String(Math.min(left, right - THIN)));
      mark(bar, "width", String(Math.max(THIN, x(gap.to) - left)));
      bar.append(svg("title", {}, `${moment(gap.from)} – ${time(gap.to)}: ${gap.reason}`));
      parts.push(bar);
    }
    return parts;
  }
}
