// What the user has chosen, kept in the address after `#` so that a view can be shared, and told to listeners.

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

class Choices {
  constructor(recording) {
    this.recording = recording;
    this.initial = initialChoices(recording);
    this.values = { ...this.initial, ...this.read() };
    this.listeners = [];
    this.pending = null;
    addEventListener("hashchange", () => this.set({ ...this.initial, ...this.read() }));
  }

  /** Calls `listener(values, changed)` once a frame after something has changed; `changed` is a set of names. */
  listen(listener) {
    this.listeners.push(listener);
  }

  set(patch) {
    // A line belongs to the function that it was chosen with.
    if ("selected" in patch && !("line" in patch)) patch = { ...patch, line: null };
    const changed = Object.keys(patch).filter((name) => this.values[name] !== patch[name]);
    if (changed.length === 0) return;
    Object.assign(this.values, patch);
    this.pending ??= new Set();
    if (this.pending.size === 0) requestAnimationFrame(() => this.tell());
    for (const name of changed) this.pending.add(name);
  }

  /** Tells listeners at once; normally the next frame does. */
  tell() {
    const changed = this.pending;
    this.pending = null;
    if (!changed || changed.size === 0) return;
    for (const listener of this.listeners) listener(this.values, changed);
    clearTimeout(this.writing);
    // Browsers limit how often the address may change, and a drag changes it every frame.
    this.writing = setTimeout(() => this.write(), 150);
  }

  write() {
    const parts = Object.entries(this.values)
      .filter(([name, value]) => value !== this.initial[name])
      .map(([name, value]) => `${name}=${encodeURIComponent(value === null ? "" : String(value))}`);
    try {
      history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
    } catch {
      // A page in a sandbox may not change its address; the view then cannot be shared, and works.
    }
  }

  /** The address's choices, each checked: a link may come from another recording. */
  read() {
    const found = {};
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      const value = this.parse(name, text);
      if (value !== undefined) found[name] = value;
    }
    if ((found.from ?? 0) >= (found.to ?? this.recording.bucketCount)) {
      delete found.from;
      delete found.to;
    }
    return found;
  }

  parse(name, text) {
    const { recording } = this;
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
}
