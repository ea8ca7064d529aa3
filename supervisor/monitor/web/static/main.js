// The page's life: connects, draws every look, says when it hears nothing, and comes back by itself.

import { byId, mark, say, show } from "./dom.js";
import { moment, timeWithSeconds } from "./format.js";
import { drawLedger } from "./ledger.js";
import { drawProcesses } from "./processes.js";
import { drawFigures, drawResources } from "./resources.js";
import { drawScraper } from "./scraper.js";
import { add, begin, drawStreams } from "./streams.js";
import { Timeline } from "./timeline.js";
import { drawVerdict } from "./verdict.js";

const LATE_AFTER = 6000;
const AGAIN_AFTER = 3000;

const timeline = new Timeline(byId("timeline"));
let source = null;
let heard = 0; // when the last look came, by our clock
let lostAt = null;
let latest = null;

function connect() {
  source = new EventSource("/api/events");
  source.addEventListener("past", (event) => begin(JSON.parse(event.data).steps));
  source.addEventListener("look", (event) => take(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    lostAt ??= Date.now();
    tell();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    source.close();
    setTimeout(connect, AGAIN_AFTER);
  });
}

function take(look) {
  heard = Date.now();
  lostAt = null;
  latest = look;
  if (look.step) add(look.step);
  if (!document.hidden) draw();
  tell();
}

function draw() {
  if (!latest) return;
  const streams = Object.keys(latest.streams);
  show(byId("streams"), streams.length > 0);
  show(byId("completeness"), streams.length > 0);
  drawVerdict(latest);
  drawFigures(latest);
  drawStreams(latest);
  if (streams.length) {
    timeline.update(latest.streams);
    drawLedger(latest.streams);
    const start = Math.min(...Object.values(latest.streams).map((stream) => stream.window[0]));
    say(byId("window-text"), `Since ${moment(start)}, by subreddit and time.`);
  }
  drawProcesses(latest);
  drawResources(latest);
  drawScraper(latest);
  say(byId("where"), latest.kafka ? `${latest.kafka.topic} on ${latest.kafka.servers.split(",").join(", ")}` : "scraper only");
}

// Says how fresh the page is, and in so many words when it is not.
function tell() {
  const silent = Date.now() - heard;
  const state = lostAt ? "lost" : !heard ? "waiting" : silent > LATE_AFTER ? "late" : "live";
  mark(byId("link"), "data-state", state);
  const words = { lost: "Connection lost", waiting: "Connecting …", late: "No news", live: "Live" };
  say(byId("link-text"), words[state]);
  if (latest) say(byId("updated"), `As of ${timeWithSeconds(latest.at)}`);
  const as = latest ? ` What you see is of ${timeWithSeconds(latest.at)}.` : "";
  const notice = { lost: `The monitor does not answer; trying again by itself.${as}`, late: `The monitor answers, but has no news.${as}` }[state];
  if (notice) say(byId("lost"), notice);
  show(byId("lost"), Boolean(notice));
  document.body.classList.toggle("stale", Boolean(notice) && latest !== null);
}

document.addEventListener("visibilitychange", () => document.hidden || draw());
setInterval(tell, 1000);
connect();
