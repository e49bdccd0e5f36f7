// What there is to choose, and what the page starts with.

/** Values the page starts with; only what differs from them is in the address. */
function initialChoices(memory) {
  const { start } = memory.meta;
  return {
    view: { leaks: "left" }[start.shown] ?? start.shown, // which memory is shown: see VIEWS
    from: 0, // first bucket of the selected stretch
    to: memory.bucketCount, // one past its last bucket
    at: memory.peakBucket, // the bucket at whose end the view "moment" looks
    process: null, // index, or null for all
    thread: null,
    allocators: -1, // a bit for each allocator
    unit: "bytes", // what is counted: bytes, blocks
    group: start.by_thread ? "thread" : "none", // flame graph: none, process, thread
    lines: true, // flame graph: split functions by line
    invert: start.invert, // flame graph: from the leaves
    flip: false, // flame graph: root at the bottom
    colour: "kind", // flame graph: kind, file, function
    zoom: "", // flame graph: path of the node that fills the width
    search: "",
    selected: null, // function whose details are shown
    line: null, // a line of its file, whose callers and callees are shown in place of the function's
    sort: "own", // table: own, total, name
    list: "lines", // functions, lines, files
    wide: start.table, // the table alone, over the whole width
  };
}

/** A choice of the address, checked: a link may come from another recording. */
function parseChoice(memory, name, text) {
  const index = (limit) => (/^\d+$/.test(text) && Number(text) < limit ? Number(text) : undefined);
  const word = (...words) => (words.includes(text) ? text : undefined);
  switch (name) {
    case "view": return word(...memory.views());
    case "from": case "at": return memory.isExact ? index(memory.bucketCount) : undefined;
    case "to": return memory.isExact ? index(memory.bucketCount + 1) : undefined;
    case "process": return index(memory.processes.length);
    case "thread": return index(memory.threads.length);
    case "allocators": return /^-?\d{1,10}$/.test(text) ? Number(text) | 0 || undefined : undefined;
    case "unit": return word("bytes", "blocks");
    case "selected": return index(memory.functionCount);
    case "line": return index(LINES_MAX);
    case "group": return word("none", "process", "thread");
    case "colour": return word("kind", "file", "function");
    case "sort": return word("own", "total", "name");
    case "list": return word("functions", "lines", "files");
    case "lines": case "invert": case "flip": case "wide": return text === "true";
    case "zoom": return /^[-\d.:]*$/.test(text) ? text : undefined;
    case "search": return text;
    default: return undefined;
  }
}
