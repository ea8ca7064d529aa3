// The processes, and buttons that restart them if a token is configured.

import { byId, cells, element, fillCells, setAttribute, setText, setVisible, syncChildren } from "./dom.js";
import { bytes, count, duration } from "./format.js";

const columns = [["", ""], ["", "stays"], ["up", "number"], ["restarts", "number"], ["last exit", "exit"], ["memory", "number"], ["heartbeat", "number"], ["", "act"]];
const kinds = { RUNNING: "good", STARTING: "warn", BACKOFF: "warn", STOPPING: "warn", FATAL: "bad", EXITED: "off" };
const CONFIRM_MS = 4000;

const signals = { 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM" };

byId("token-box").addEventListener("submit", (event) => event.preventDefault());

export function drawProcesses(sample) {
  const { supervisor } = sample;
  const up = supervisor.uptime_s === null ? "" : `, up ${duration(supervisor.uptime_s)}`;
  setText(byId("supervisor"), `Supervisor ${supervisor.state}${supervisor.pid === null ? "" : `, pid ${supervisor.pid}`}${up}${sample.processes.length ? "" : "; no processes"}`);
  setVisible(byId("token-box"), sample.may_restart);
  syncChildren(byId("process-rows"), sample.processes, (process) => process.name, make, (row, process) => {
    fillCells(row, [undefined, undefined, duration(process.uptime_s), count(process.restarts), exitText(process.last_exit), bytes(process.rss_bytes), heartbeat(process)]);
    setText(row.children[0].firstChild, process.name);
    setText(row.children[0].lastChild, note(process));
    setText(row.children[1].firstChild, process.state);
    setAttribute(row.children[1].firstChild, "class", `state ${kinds[process.state] ?? ""}`);
    const button = row.lastChild.firstChild;
    setVisible(button, sample.may_restart);
  });
}

function make(process) {
  const row = cells(columns);
  row.children[0].append(element("span"), element("span", { class: "why" }));
  row.children[1].append(element("span"));
  const button = element("button", { type: "button", "aria-label": `Restart ${process.name}` }, "Restart");
  button.addEventListener("click", () => onRestartClick(button, process.name));
  row.lastChild.append(button);
  return row;
}

function note(process) {
  if (process.state === "FATAL") return process.why || "parked: see its log";
  if (process.state === "BACKOFF" && process.restart_in_s !== null) return `restarts in ${duration(process.restart_in_s)}`;
  return "";
}

function heartbeat({ heartbeat_age_s: age }) {
  return age === null ? null : `${age.toFixed(1)} s ago`;
}

function exitText(code) {
  if (code === null) return null;
  return code >= 0 ? `code ${code}` : signals[-code] ?? `signal ${-code}`;
}

// The first click asks for confirmation; a second one within four seconds restarts the process.
function onRestartClick(button, name) {
  if (!button.classList.contains("confirming")) {
    button.classList.add("confirming");
    setText(button, "Confirm");
    setAttribute(button, "aria-label", `Confirm: restart ${name}`);
    setTimeout(() => resetButton(button, name), CONFIRM_MS);
    return;
  }
  resetButton(button, name);
  restart(name);
}

function resetButton(button, name) {
  button.classList.remove("confirming");
  setText(button, "Restart");
  setAttribute(button, "aria-label", `Restart ${name}`);
}

async function restart(name) {
  const status = byId("restart-status");
  try {
    const answer = await fetch("/api/restart", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Monitor-Token": byId("token").value },
      body: JSON.stringify({ process: name }),
    });
    const document = await answer.json();
    setText(status, answer.ok ? `${name} is being restarted.` : document.error);
  } catch (error) {
    setText(status, `The monitor did not answer (${error.message}).`);
  }
}
