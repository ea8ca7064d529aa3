// Ticks of an axis: round numbers and round times.

import { time, timeWithSeconds } from "./format.js";

// The smallest round number that is not below the highest value.
export function roundUp(highest) {
  if (!(highest > 0)) return 1;
  const scale = 10 ** Math.floor(Math.log10(highest));
  for (const step of [1, 2, 3, 4, 5, 6, 8, 10]) if (step * scale >= highest) return step * scale;
  return 10 * scale;
}

// The same for seconds that are written in minutes or hours: 3 min, not 3.3.
export function roundUpTime(highest) {
  const unit = highest > 3600 ? 3600 : highest > 60 ? 60 : 1;
  return unit * roundUp(highest / unit);
}

const lengths = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200];

// Round local times between start and end, about `most` at most; `write` formats one as text.
export function timeTicks(start, end, most) {
  const length = lengths.find((candidate) => (end - start) / candidate <= most) ?? 86400;
  const shift = new Date(start * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  for (let at = Math.ceil((start - shift) / length) * length + shift; at <= end; at += length) ticks.push(at);
  return { ticks, write: length < 60 ? timeWithSeconds : time };
}
