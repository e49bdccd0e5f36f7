// The top of the page: what ran, the main figures, what to beware of, what to do next.

function showSummary(recording) {
  const { meta } = recording;
  const command = meta.header.command.join(" ");
  byId("command").textContent = command;
  byId("command").title = `${command}\nin ${meta.header.working_directory}`;
  byId("facts").append(...facts(recording).map(([name, value, more]) =>
    el("div", { title: more }, el("dt", {}, name), el("dd", {}, value))));
  const warnings = warningsOf(recording);
  const advice = adviceOf(meta.report);
  byId("notes").append(
    ...warnings.map((text) => el("p", { class: "note warning" }, el("strong", {}, "Beware "), text)),
    ...advice.map((text) => el("p", { class: "note advice" }, el("strong", {}, "Advice "), text)),
  );
  byId("notes").hidden = warnings.length + advice.length === 0;
}

/** Figures as [name, value, explanation]. */
function facts(recording) {
  const { meta } = recording;
  const { header, processes } = meta;
  const sum = (field) => processes.reduce((total, process) => total + process[field], 0);
  const user = sum("user_ns") / 1e9;
  const system = sum("system_ns") / 1e9;
  const peak = processes.reduce((most, process) => Math.max(most, process.peak_rss_bytes), 0);
  const { taken, lost } = meta.samples;
  const interpreters = [...new Set(processes.map((process) => process.interpreter).filter(Boolean))];
  const list = [["Wall time", formatTime(recording.moment(recording.bucketCount)), `started ${new Date(header.start_unix_ns / 1e6).toLocaleString()}`]];
  if (user + system > 0) {
    list.push(["CPU time", formatTime(user + system),
      `user ${formatTime(user)}, system ${formatTime(system)}; ${digits((user + system) / recording.moment(recording.bucketCount))} of ${header.cpu_count} cores on average`]);
  }
  if (peak > 0) {
    list.push(["Peak memory", formatBytes(peak), processes.length > 1 ? "the largest process's resident memory" : "resident memory"]);
  }
  list.push(["Samples", formatCount(taken), `every ${formatTime(recording.tickSeconds)}, thread by thread`]);
  list.push(["Lost", formatShare(lost, taken + lost), `${formatCount(lost)} samples were missed or could not be read`]);
  list.push(["Rate", `${formatCount(1 / recording.tickSeconds)} Hz`, "samples a second of each thread"]);
  list.push(["Interpreter", interpreters.join(", ") || "unknown", header.system]);
  if (processes.length > 1) list.push(["Processes", formatCount(processes.length), "the program and its children"]);
  list.push(["Threads", formatCount(recording.threads.length), "that were seen to run"]);
  return list;
}

/** Of several processes so many are named. */
const NAMES_MAX = 4;

function warningsOf(recording) {
  const { meta } = recording;
  const list = [];
  if (!meta.complete) {
    list.push(`The recording was not finished in good order; it shows what was written up to ${formatMoment(recording.moment(recording.bucketCount), 0.01)}.`);
  }
  if (meta.dropped > 0) list.push(`The first ${formatTime(recording.moment(0))} are not shown: the recording reached its size limit and forgot its oldest ${formatCount(meta.dropped)} samples.`);
  const { taken, lost } = meta.samples;
  if (lost > 0.01 * (taken + lost)) list.push(`${formatShare(lost, taken + lost)} of the samples are missing, since naja had no core in time or a stack could not be read. Shares rest on the others; rare functions may be absent.`);
  if (meta.folded_below_ticks > 0) {
    list.push(`To keep this page small, stacks seen for less than ${formatTime(recording.seconds(meta.folded_below_ticks))} in all are counted at their callers.`);
  }
  return [...list, ...unobservedOf(meta.processes)];
}

/** One line for each reason: a program that starts shells would have hundreds otherwise. */
function unobservedOf(processes) {
  const byReason = new Map();
  for (const process of processes) {
    if (!process.unobserved) continue;
    const name = `${process.pid} (${commandName(process.command)})`;
    byReason.set(process.unobserved, [...(byReason.get(process.unobserved) ?? []), name]);
  }
  return [...byReason].map(([reason, names]) => {
    if (names.length === 1) return `Process ${names[0]} was not observed: ${reason}`;
    const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
    return `${formatCount(names.length)} processes were not observed: ${reason}. They are ${names.slice(0, NAMES_MAX).join(", ")}${more}.`;
  });
}

/** Advice lines of the report, which may be texts or objects with a `text`. */
function adviceOf(report) {
  const list = Array.isArray(report?.advice) ? report.advice : [];
  return list.map((item) => (typeof item === "string" ? item : item?.text)).filter((text) => typeof text === "string");
}
