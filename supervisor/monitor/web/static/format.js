// Formats numbers, durations and times for display.

const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const count = (number) => (number === null || number === undefined ? null : whole.format(Math.round(number)));

export function rate(number) {
  if (number === null || number === undefined) return "–";
  return number >= 100 ? count(number) : number.toFixed(1);
}

const units = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];

// Two units at most: "3 min 20 s".
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return null;
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  for (const [length, unit, below, smaller] of units) {
    if (seconds >= length) {
      const rest = Math.floor((seconds % length) / below);
      return `${Math.floor(seconds / length)} ${unit}${rest ? ` ${rest} ${smaller}` : ""}`;
    }
  }
  return null;
}

// An age without fractions: "1 min 40 s".
export const since = (seconds) => duration(Math.max(10, Math.round(seconds)));

// One unit: "3 min".
export function roughly(seconds) {
  if (seconds === null || seconds === undefined) return null;
  for (const [length, unit] of units) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  return `${Math.floor(Math.max(0, seconds))} s`;
}

export function bytes(number) {
  if (number === null || number === undefined) return null;
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = number;
  let step = 0;
  while (size >= 1024 && step < names.length - 1) {
    size /= 1024;
    step += 1;
  }
  return `${size < 10 && step > 0 ? size.toFixed(1) : Math.round(size)} ${names[step]}`;
}

// Rounds down: only a complete share is 100 %.
export function percent(number) {
  if (number === null) return "–";
  if (number >= 100) return "100 %";
  const digits = number >= 99.9 ? 3 : number >= 99 ? 2 : 1;
  const scale = 10 ** digits;
  return `${(Math.floor(number * scale) / scale).toFixed(digits)} %`;
}

export const time = (seconds) => clock.format(seconds * 1000);
export const timeWithSeconds = (seconds) => clockSeconds.format(seconds * 1000);
export const moment = (seconds) => dayAndClock.format(seconds * 1000);

// A start time: with the date if it was not today.
export function when(seconds, now) {
  const sameDay = new Date(seconds * 1000).toDateString() === new Date(now * 1000).toDateString();
  return sameDay ? timeWithSeconds(seconds) : moment(seconds);
}
