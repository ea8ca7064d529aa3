// The processes, and the buttons that restart them where a token is configured.

import { byId, cells, element, fillCells, keep, mark, say, show } from "./dom.js";
import { bytes, count, duration } from "./format.js";

const columns = [["", ""], ["", "stays"], ["up", "number"], ["restarts", "number"], ["last exit", "exit"], ["memory", "number"], ["beat", "number"], ["", "act"]];
const kinds = { RUNNING: "good", STARTING: "warn", BACKOFF: "warn", STOPPING: "warn", FATAL: "bad", EXITED: "off" };
const SURE_FOR = 4000;

const signals = { 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM" };

byId("token-box").addEventListener("submit", (event) => event.preventDefault());

export function drawProcesses(look) {
  const { supervisor } = look;
  const up = supervisor.uptime_s === null ? "" : `, up ${duration(supervisor.uptime_s)}`;
  say(byId("supervisor"), `Supervisor ${supervisor.state}${supervisor.pid === null ? "" : `, pid ${supervisor.pid}`}${up}${look.processes.length ? "" : "; no process is known"}`);
  show(byId("token-box"), look.may_restart);
  keep(byId("process-rows"), look.processes, (process) => process.name, make, (row, process) => {
    fillCells(row, [undefined, undefined, duration(process.uptime_s), count(process.restarts), ending(process.last_exit), bytes(process.rss_bytes), heartbeat(process)]);
    say(row.children[0].firstChild, process.name);
    say(row.children[0].lastChild, remark(process));
    say(row.children[1].firstChild, process.state);
    mark(row.children[1].firstChild, "class", `state ${kinds[process.state] ?? ""}`);
    const button = row.lastChild.firstChild;
    show(button, look.may_restart);
  });
}

function make(process) {
  const row = cells(columns);
  row.children[0].append(element("span"), element("span", { class: "why" }));
  row.children[1].append(element("span"));
  const button = element("button", { type: "button", "aria-label": `Restart ${process.name}` }, "Restart");
  button.addEventListener("click", () => press(button, process.name));
  row.lastChild.append(button);
  return row;
}

function remark(process) {
  if (process.state === "FATAL") return process.why || "parked: see its log";
  if (process.state === "BACKOFF" && process.restart_in_s !== null) return `starts again in ${duration(process.restart_in_s)}`;
  return "";
}

function heartbeat({ heartbeat_age_s: age }) {
  return age === null ? null : `${age.toFixed(1)} s ago`;
}

function ending(code) {
  if (code === null) return null;
  return code >= 0 ? `code ${code}` : signals[-code] ?? `signal ${-code}`;
}

// The first press asks, the second one within four seconds does it.
function press(button, name) {
  if (!button.classList.contains("sure")) {
    button.classList.add("sure");
    say(button, "Really?");
    mark(button, "aria-label", `Really restart ${name}?`);
    setTimeout(() => calm(button, name), SURE_FOR);
    return;
  }
  calm(button, name);
  restart(name);
}

function calm(button, name) {
  button.classList.remove("sure");
  say(button, "Restart");
  mark(button, "aria-label", `Restart ${name}`);
}

async function restart(name) {
  const said = byId("restart-said");
  try {
    const answer = await fetch("/api/restart", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Monitor-Token": byId("token").value },
      body: JSON.stringify({ process: name }),
    });
    const document = await answer.json();
    say(said, answer.ok ? `${name} is being restarted.` : document.error);
  } catch (error) {
    say(said, `The monitor did not answer (${error.message}).`);
  }
}
