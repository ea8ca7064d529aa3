// Several machines: who owns which shard, and up to when each is proven.

import { byId, cells, element, fillCells, setAttribute, setText, setVisible, syncChildren } from "./dom.js";
import { count, duration, when } from "./format.js";

const OLD_AFTER_S = 120; // a shard proven less far is marked

const columns = [["", ""], ["shards", "number stays"], ["proven until", "number"], ["heartbeat", "number"], ["version", ""]];

export function drawCluster(sample) {
  const { cluster } = sample;
  setVisible(byId("cluster"), cluster !== null);
  if (!cluster) return;
  setText(byId("cluster-text"), summary(cluster));
  syncChildren(byId("machine-rows"), cluster.machines, ({ name }) => name, () => cells(columns), (row, machine) => fill(row, machine, cluster, sample.at));
  syncChildren(byId("shards"), cluster.shards.map(([owner, until], number) => ({ number, owner, until })), ({ number }) => number, () => element("li"), (cell, shard) => mark(cell, shard, cluster, sample.at));
  setText(byId("cluster-rest"), rest(cluster));
}

function summary(cluster) {
  const place = `${cluster.instance} in group ${cluster.group}`;
  if (cluster.age_s === null) return `${place}. The publisher has not joined it yet.`;
  if (cluster.old) return `${place}, as of ${duration(cluster.age_s)} ago: the publisher writes nothing.`;
  const parts = [`${place}: ${machines(cluster.alive)} alive`];
  if (!cluster.member) parts.push("this machine is no member now");
  if (cluster.rebalancing_s !== null) parts.push(`shards have been moving for ${duration(cluster.rebalancing_s)}`);
  if (cluster.commit_failing_s !== null) parts.push(`commits refused for ${duration(cluster.commit_failing_s)}`);
  return `${parts.join("; ")}.`;
}

const machines = (number) => `${count(number)} ${number === 1 ? "machine" : "machines"}`;

function fill(row, machine, cluster, now) {
  const here = machine.name === cluster.instance ? " (this one)" : "";
  const until = machine.proven_until === null ? null : when(machine.proven_until, now);
  fillCells(row, [`${machine.name}${here}`, count(machine.shards), until, `${duration(machine.heartbeat_s)} ago`, machine.version || null]);
}

function mark(cell, { number, owner, until }, cluster, now) {
  const name = owner === null ? null : cluster.names[owner];
  const kind = name === null ? "none" : name === cluster.instance ? "mine" : "theirs";
  const old = until === null || (until > 0 && now - until > OLD_AFTER_S);
  const proven = until === null ? "not proven yet" : until > 0 ? `proven until ${when(until, now)}` : "no subreddits";
  setAttribute(cell, "class", old ? `${kind} old` : kind);
  setAttribute(cell, "title", `Shard ${number}: ${name ?? "no owner"}, ${proven}`);
}

function rest(cluster) {
  const ownerless = cluster.shards.filter(([owner]) => owner === null).length;
  const parts = [`${count(cluster.shards.length)} shards`];
  if (ownerless) parts.push(`${count(ownerless)} without owner`);
  if (cluster.handed_over) parts.push(`${count(cluster.handed_over)} records handed over to other machines`);
  if (cluster.skipped) parts.push(`${count(cluster.skipped)} skipped, since others had delivered them`);
  if (cluster.more_machines) parts.push(`${count(cluster.more_machines)} more machines`);
  return `${parts.join(", ")}.`;
}
