// Connects to the monitor, draws every sample, shows when no data comes, and reconnects automatically.

import { drawAudit } from "./audit.js";
import { drawChanges } from "./changes.js";
import { drawCluster } from "./cluster.js";
import { byId, setAttribute, setText, setVisible } from "./dom.js";
import { moment, timeWithSeconds } from "./format.js";
import { drawLedger } from "./ledger.js";
import { drawProcesses } from "./processes.js";
import { drawFigures, drawResources } from "./resources.js";
import { drawScraper } from "./scraper.js";
import { drawSubreddits } from "./subreddits.js";
import { addStep, drawStreams, setHistory } from "./streams.js";
import { Timeline } from "./timeline.js";
import { drawReadiness } from "./readiness.js";

const LATE_AFTER = 6000;
const AGAIN_AFTER = 3000;

const timeline = new Timeline(byId("timeline"));
let source = null;
let receivedAt = 0; // when the last sample came, by our clock
let lostAt = null;
let latest = null;

function connect() {
  source = new EventSource("/api/events");
  source.addEventListener("past", (event) => setHistory(JSON.parse(event.data).steps));
  source.addEventListener("look", (event) => receive(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    lostAt ??= Date.now();
    showConnection();
    if (source.readyState !== EventSource.CLOSED) return; // the browser reconnects automatically
    source.close();
    setTimeout(connect, AGAIN_AFTER);
  });
}

function receive(sample) {
  receivedAt = Date.now();
  lostAt = null;
  latest = sample;
  if (sample.step) addStep(sample.step);
  if (!document.hidden) draw();
  showConnection();
}

function draw() {
  if (!latest) return;
  const streams = Object.keys(latest.streams);
  setVisible(byId("streams"), streams.length > 0);
  setVisible(byId("completeness"), streams.length > 0);
  setVisible(byId("subreddits"), streams.length > 0);
  drawReadiness(latest);
  drawFigures(latest);
  drawStreams(latest);
  if (streams.length) {
    timeline.update(latest.streams);
    drawLedger(latest.streams);
    drawAudit(latest.audit);
    drawSubreddits(latest.cluster);
    const start = Math.min(...Object.values(latest.streams).map((stream) => stream.window[0]));
    setText(byId("window-text"), `Since ${moment(start)}. Bar height: share of subreddits.`);
  }
  drawChanges(latest);
  drawProcesses(latest);
  drawResources(latest);
  drawCluster(latest);
  drawScraper(latest);
  setText(byId("where"), latest.kafka ? `${latest.kafka.topic} on ${latest.kafka.servers.split(",").join(", ")}` : "scraper only");
}

// Shows the state of the connection and the age of the data.
function showConnection() {
  const silence = Date.now() - receivedAt;
  const state = lostAt ? "lost" : !receivedAt ? "waiting" : silence > LATE_AFTER ? "late" : "live";
  setAttribute(byId("link"), "data-state", state);
  const labels = { lost: "Connection lost", waiting: "Connecting …", late: "No new data", live: "Live" };
  setText(byId("link-text"), labels[state]);
  if (latest) setText(byId("updated"), `Updated ${timeWithSeconds(latest.at)}`);
  const shown = latest ? ` The page shows data of ${timeWithSeconds(latest.at)}.` : "";
  const notice = { lost: `The monitor does not answer. The page reconnects automatically.${shown}`, late: `The monitor sends no new data.${shown}` }[state];
  if (notice) setText(byId("lost"), notice);
  setVisible(byId("lost"), Boolean(notice));
  document.body.classList.toggle("stale", Boolean(notice) && latest !== null);
}

document.addEventListener("visibilitychange", () => document.hidden || draw());
setInterval(showConnection, 1000);
connect();
