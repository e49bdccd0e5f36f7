// What there is to choose, and what the page starts with.

/** Values the page starts with; only what differs from them is in the address. */
function initialChoices(recording) {
  return {
    from: 0, // first bucket of the selected stretch
    to: recording.bucketCount, // one past its last bucket
    process: null, // index, or null for all
    thread: null,
    states: defaultStates(recording), // a bit for each state
    group: recording.meta.start.by_thread ? "thread" : "none", // flame graph: none, process, thread
    lines: false, // flame graph: split functions by line
    invert: false, // flame graph: from the leaves
    flip: false, // flame graph: root at the bottom
    colour: "kind", // flame graph: kind, file, function
    zoom: "", // flame graph: path of the node that fills the width
    search: "",
    selected: null, // function whose details are shown
    line: null, // a line of its file, whose callers and callees are shown in place of the function's
    sort: "own", // function table: own, total, name
    list: "functions", // functions, lines, files
  };
}

/**
 * The states that the page was made for; without such, every state but lost samples; where threads that sleep or wait for a lock make up a third of the samples, they
 * would hide the rest of the graph, so it starts without them. The chips show what is left out.
 */
function defaultStates(recording) {
  const words = recording.meta.states;
  const told = recording.meta.start.states.reduce((bits, word) => bits | (1 << words.indexOf(word)), 0);
  if (told) return told;
  const all = ((1 << words.length) - 1) & ~(1 << words.indexOf("lost"));
  const idle = ["lock-wait", "sleep", "child-wait", "stopped"].reduce((bits, word) => bits | (1 << words.indexOf(word)), 0);
  if (recording.threads.length < 2) return all;
  let idleTicks = 0;
  let ticks = 0;
  for (let row = 0; row < recording.rowCount; row += 1) {
    const state = recording.rowFlags[row] & STATE_BITS;
    if (!((all >> state) & 1)) continue;
    ticks += recording.rowTicks[row];
    if ((idle >> state) & 1) idleTicks += recording.rowTicks[row];
  }
  return idleTicks > ticks / 3 && idleTicks < ticks ? all & ~idle : all;
}

/** A choice of the address, checked: a link may come from another recording. */
function parseChoice(recording, name, text) {
  const index = (limit) => (/^\d+$/.test(text) && Number(text) < limit ? Number(text) : undefined);
  const word = (...words) => (words.includes(text) ? text : undefined);
  switch (name) {
    case "from": return index(recording.bucketCount);
    case "to": return index(recording.bucketCount + 1);
    case "process": return index(recording.processes.length);
    case "thread": return index(recording.threads.length);
    case "states": return index(1 << recording.stateCount);
    case "selected": return index(recording.functionCount);
    case "line": return index(LINES_MAX);
    case "group": return word("none", "process", "thread");
    case "colour": return word("kind", "file", "function");
    case "sort": return word("own", "total", "name");
    case "list": return text === "lines" && !recording.hasLines ? undefined : word("functions", "lines", "files");
    case "lines": return recording.hasLines && text === "true";
    case "invert": case "flip": return text === "true";
    case "zoom": return /^[-\d.:]*$/.test(text) ? text : undefined;
    case "search": return text;
    default: return undefined;
  }
}
