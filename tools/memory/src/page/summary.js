// The top of the page: what ran, the main figures, and what to beware of.

function showSummary(memory) {
  const { meta } = memory;
  const command = meta.header.command.join(" ");
  byId("command").textContent = command;
  byId("command").title = `${command}\nin ${meta.header.working_directory}`;
  byId("facts").append(...facts(memory).map(([name, value, more]) =>
    el("div", { title: more }, el("dt", {}, name), el("dd", {}, value))));
  const notes = notesOf(memory);
  byId("notes").append(...notes.map((text) => el("p", { class: "note warning" }, el("strong", {}, "Beware "), text)));
  byId("notes").hidden = notes.length === 0;
}

/** Figures as [name, value, explanation]. */
function facts(memory) {
  const { figures, header, processes, start } = memory.meta;
  const blocks = (amount) => `${formatCount(amount.blocks)} blocks`;
  const interpreters = [...new Set(processes.map((process) => process.interpreter).filter(Boolean))];
  const list = [
    ["Peak", formatBytes(figures.peak.bytes), `${blocks(figures.peak)} were in use at once${memory.isExact ? `, at ${formatMoment(memory.meta.peak_tick * memory.tickSeconds, 0.001)}` : ""}`],
  ];
  if (figures.resident_peak_bytes > 0) list.push(["Resident", formatBytes(figures.resident_peak_bytes), "the most that was resident, of all processes together"]);
  list.push(
    ["Left", formatBytes(figures.left.bytes), `${blocks(figures.left)} were in use at the end`],
    ["Given", formatBytes(figures.given.bytes), `in ${blocks(figures.given)}`],
    ["Temporary", formatBytes(figures.temporary.bytes), `${blocks(figures.temporary)} were taken back before their thread was given ${start.temporary_within === 1 ? "anything else" : `${formatCount(start.temporary_within)} others`}`],
    ["Time", formatTime(memory.duration), `started ${new Date(header.start_unix_ns / 1e6).toLocaleString()}`],
    ["Interpreter", interpreters.join(", ") || "unknown", header.system],
  );
  if (processes.length > 1) list.push(["Processes", formatCount(processes.length), "the program and its children"]);
  list.push(["Threads", formatCount(memory.threads.length), "that were given memory"]);
  return list;
}

function notesOf(memory) {
  const { meta } = memory;
  const list = [];
  if (!meta.complete) list.push(`The recording was not finished in good order; it shows what was written up to ${formatMoment(memory.duration, 0.01)}.`);
  if (!memory.isExact) list.push("This recording holds what each place came to, and no times: there is no time line of the heap, and no moment or stretch to choose. Without --aggregate there is.");
  if (meta.folded_share > 0) list.push(`To keep this page small, calls that had no more than ${digitsOfShare(meta.folded_share)} of the memory, at the peak, at the end, of all that was given and of what was temporary, are counted at their callers.`);
  const unobserved = meta.processes.filter((process) => process.unobserved);
  for (const process of unobserved) list.push(`Process ${process.pid} (${commandName(process.command)}) was not observed: ${process.unobserved}`);
  return list;
}

/** A small share in percent. */
function digitsOfShare(share) {
  return `${Number((share * 100).toPrecision(2))} %`;
}
