// Functions, files, and the tree of calls below which something is counted, whatever that is: time or memory.
//
// A *node* is a line of a function below its caller's node. Node 0 is the root, node 1 stands for what has no stack of
// its own. Nodes are in preorder: `nodeEnd[n]` is one past the last node below n. Rows carry what is counted; each
// stands at a node and belongs to a thread, and they are sorted by process, then thread. A page's model extends
// CallTree, and says how an amount is written (`format`), what is said where there is none (`nothing`), and which rows
// are counted (`eachCounted`).

const ROOT = 0;
/** More lines than a file has, so that a file and a line make one number. */
const LINES_MAX = 16777216;

const KINDS = ["application", "package", "standard library", "no file", "native code", "task"];

class CallTree {
  constructor(meta) {
    this.meta = meta;
  }

  readFunctions() {
    const { functions, files } = this.meta;
    this.functionName = functions.name;
    this.functionFile = functions.file;
    this.functionLine = functions.line;
    this.functionCount = functions.name.length;
    this.fileKind = files.map(kindOfFile);
    this.fileShort = this.meta.start.whole_paths ? files : files.map(shortFile);
    /** Whether nodes tell the lines of a function apart. */
    this.hasLines = this.meta.start.lines;
    this.functionKind = functions.file.map((file, code) => ({ native: 4, task: 5 })[functions.kind[code]] ?? this.fileKind[file]);
  }

  readNodes(columns) {
    const count = columns.node_up.length + 2;
    this.nodeCount = count;
    this.nodeParent = new Int32Array(count);
    this.nodeFunction = new Int32Array(count);
    this.nodeLine = new Int32Array(count);
    this.nodeEnd = new Int32Array(count).fill(0);
    this.nodeFunction[ROOT] = -1;
    for (let node = 2; node < count; node += 1) {
      this.nodeParent[node] = node - columns.node_up[node - 2];
      this.nodeFunction[node] = columns.node_function[node - 2];
      this.nodeLine[node] = columns.node_line[node - 2];
    }
    for (let node = count - 1; node >= 0; node -= 1) {
      const end = Math.max(this.nodeEnd[node], node + 1);
      this.nodeEnd[node] = end;
      if (node > 0 && this.nodeEnd[this.nodeParent[node]] < end) this.nodeEnd[this.nodeParent[node]] = end;
    }
  }

  /** For each thread its rows, its process's index, and what to call it. */
  readThreads() {
    const processIndex = new Map(this.processes.map((process, index) => [process.id, index]));
    this.threadProcess = this.threads.map((thread) => processIndex.get(thread.process) ?? 0);
    this.threadStart = new Int32Array(this.threads.length + 1).fill(this.rowCount);
    for (let row = this.rowCount - 1; row >= 0; row -= 1) this.threadStart[this.rowThread[row]] = row;
    for (let thread = this.threads.length - 1; thread >= 0; thread -= 1) {
      if (this.threadStart[thread] > this.threadStart[thread + 1]) this.threadStart[thread] = this.threadStart[thread + 1];
    }
    this.threadLabel = this.threads.map((thread, index) => this.labelOfThread(thread, index));
    // Children that fork has made share their parent's command line: the report knows what each mostly ran.
    const told = this.meta.report?.processes;
    const busiest = new Map((Array.isArray(told) ? told : []).map((process) => [process.pid, process.busiest_function]));
    this.processLabel = this.processes.map((process) => {
      const does = (busiest.get(process.pid) ?? "").split(".<locals>")[0];
      return `${commandName(process.command)} (${process.pid})${does ? ` ${does}` : ""}`;
    });
  }

  /** A thread that never ran Python and was given no name has only that of the program. */
  labelOfThread(thread, index) {
    const program = (this.processes[this.threadProcess[index]]?.command[0] ?? "").split("/").pop().slice(0, 15);
    const nodes = this.rowNode.subarray(this.threadStart[index], this.threadStart[index + 1]);
    if (thread.name === program && !nodes.some((node) => node > 1)) return `C thread ${thread.os_tid}`;
    return thread.name || `thread ${thread.os_tid}`;
  }

  /** Which threads a filter on process and thread (indexes, or null) leaves, as 0 and 1. */
  threadMask({ process, thread }) {
    return Uint8Array.from(this.threads, (_, index) =>
      (thread === null || thread === index) && (process === null || process === this.threadProcess[index]) ? 1 : 0);
  }

  /**
   * Marks the nodes that are the outermost of their function, file, and (file, line) on their stack:
   * a total adds only those, so that recursion is not counted twice. Preorder makes it one pass.
   */
  markOutermost() {
    const lineIds = new Map();
    this.nodeLineId = new Int32Array(this.nodeCount);
    this.outermost = new Uint8Array(this.nodeCount);
    this.outermostLine = new Uint8Array(this.nodeCount);
    const functionUntil = new Int32Array(this.functionCount);
    const lineUntil = [];
    this.outermostFile = new Uint8Array(this.nodeCount);
    const fileUntil = new Int32Array(this.fileShort.length);
    this.lineFunction = [];
    this.lineNumber = [];
    for (let node = 1; node < this.nodeCount; node += 1) {
      const code = this.nodeFunction[node];
      if (node >= functionUntil[code]) {
        this.outermost[node] = 1;
        functionUntil[code] = this.nodeEnd[node];
      }
      const file = this.functionFile[code];
      if (node >= fileUntil[file]) {
        this.outermostFile[node] = 1;
        fileUntil[file] = this.nodeEnd[node];
      }
      const key = file * LINES_MAX + this.nodeLine[node];
      let line = lineIds.get(key);
      if (line === undefined) {
        line = lineIds.size;
        lineIds.set(key, line);
        this.lineFunction.push(code);
        this.lineNumber.push(this.nodeLine[node]);
        lineUntil.push(0);
      }
      this.nodeLineId[node] = line;
      if (node >= lineUntil[line]) {
        this.outermostLine[node] = 1;
        lineUntil[line] = this.nodeEnd[node];
      }
    }
    this.lineCount = lineIds.size;
    this.lineIds = lineIds;
  }

  /** The number by which sums know a line of a file, or undefined where nothing is counted at it. */
  lineId(file, line) {
    return this.lineIds.get(file * LINES_MAX + line);
  }

  /** Totals of nodes, functions, lines and files that follow from the nodes' own amounts. */
  totals(own) {
    const total = Float64Array.from(own);
    for (let node = this.nodeCount - 1; node > 0; node -= 1) total[this.nodeParent[node]] += total[node];
    const functionOwn = new Float64Array(this.functionCount);
    const functionTotal = new Float64Array(this.functionCount);
    const lineOwn = new Float64Array(this.lineCount);
    const lineTotal = new Float64Array(this.lineCount);
    const fileOwn = new Float64Array(this.fileShort.length);
    const fileTotal = new Float64Array(this.fileShort.length);
    for (let node = 1; node < this.nodeCount; node += 1) {
      if (total[node] === 0) continue;
      const code = this.nodeFunction[node];
      const line = this.nodeLineId[node];
      functionOwn[code] += own[node];
      lineOwn[line] += own[node];
      const file = this.functionFile[code];
      fileOwn[file] += own[node];
      if (this.outermostFile[node]) fileTotal[file] += total[node];
      if (this.outermost[node]) functionTotal[code] += total[node];
      if (this.outermostLine[node]) lineTotal[line] += total[node];
    }
    return { total, functionOwn, functionTotal, lineOwn, lineTotal, fileOwn, fileTotal, whole: total[ROOT] };
  }

  /** Who called the function and whom it called, as amounts: two lists of [function, amount], largest first. */
  neighbours(code, sums) {
    const callers = new Map();
    const callees = new Map();
    const calleeUntil = new Map();
    const add = (map, key, ticks) => map.set(key, (map.get(key) ?? 0) + ticks);
    for (let node = 1; node < this.nodeCount; node += 1) {
      const ticks = sums.total[node];
      if (ticks === 0) continue;
      if (this.nodeFunction[node] === code && this.outermost[node]) {
        const parent = this.nodeParent[node];
        if (parent !== ROOT) add(callers, this.nodeFunction[parent], ticks);
      }
      const parent = this.nodeParent[node];
      if (parent === ROOT || this.nodeFunction[parent] !== code) continue;
      const callee = this.nodeFunction[node];
      if (node < (calleeUntil.get(callee) ?? 0)) continue;
      calleeUntil.set(callee, this.nodeEnd[node]);
      add(callees, callee, ticks);
    }
    const sorted = (map) => [...map].sort((a, b) => b[1] - a[1]);
    return { callers: sorted(callers), callees: sorted(callees) };
  }

  /**
   * What led to a line and what it called, as amounts, largest first: callers as [line's number in sums, amount],
   * callees as [function, amount]. A line that is on a stack several times counts where it is outermost, so that its own
   * amount and callees together are its total.
   */
  neighboursOfLine(line, sums) {
    const callers = new Map();
    const callees = new Map();
    const add = (map, key, ticks) => map.set(key, (map.get(key) ?? 0) + ticks);
    const isIt = (node) => this.nodeLineId[node] === line && this.outermostLine[node];
    for (let node = 1; node < this.nodeCount; node += 1) {
      const ticks = sums.total[node];
      const parent = this.nodeParent[node];
      if (ticks === 0 || parent === ROOT) continue;
      if (isIt(node)) add(callers, this.nodeLineId[parent], ticks);
      if (isIt(parent)) add(callees, this.nodeFunction[node], ticks);
    }
    const sorted = (map) => [...map].sort((a, b) => b[1] - a[1]);
    return { callers: sorted(callers), callees: sorted(callees) };
  }

  /** For each file the line with the most of its own, of equal ones the most in total: its number in sums, or -1. */
  hottestLines(sums) {
    const hottest = new Int32Array(this.fileShort.length).fill(-1);
    for (let line = 0; line < this.lineCount; line += 1) {
      if (sums.lineTotal[line] === 0) continue;
      const file = this.functionFile[this.lineFunction[line]];
      const best = hottest[file];
      const more = best < 0 || sums.lineOwn[line] > sums.lineOwn[best] ||
        (sums.lineOwn[line] === sums.lineOwn[best] && sums.lineTotal[line] > sums.lineTotal[best]);
      if (more) hottest[file] = line;
    }
    return hottest;
  }

  /** Own and total of each line of a file: a map from line number to { own, total, code }. */
  heatOfFile(file, sums) {
    const heat = new Map();
    for (let line = 0; line < this.lineCount; line += 1) {
      const code = this.lineFunction[line];
      if (this.functionFile[code] !== file || sums.lineTotal[line] === 0) continue;
      heat.set(this.lineNumber[line], { own: sums.lineOwn[line], total: sums.lineTotal[line], code });
    }
    return heat;
  }

  /** `module.py:12`, or nothing for code without a file. */
  place(code, line = this.functionLine[code]) {
    const file = this.fileShort[this.functionFile[code]];
    return file ? (line ? `${file}:${line}` : file) : "";
  }
}

/** Of Python code: 0 application, 1 package, 2 standard library, 3 no file: an index into KINDS. */
function kindOfFile(file) {
  if (/[\\/](site|dist)-packages[\\/]/.test(file)) return 1;
  if (/[\\/]lib(64)?[\\/]python\d/.test(file) || /^<frozen /.test(file) || /[\\/]python3\d*\.zip[\\/]/.test(file)) return 2;
  return file === "" || file.startsWith("<") ? 3 : 0;
}

/** The part of a file's name that tells what it is: `json/decoder.py`. */
function shortFile(file) {
  const library = /.*[\\/](?:site|dist)-packages[\\/](.*)$/.exec(file) ?? /[\\/]lib(?:64)?[\\/]python\d[^\\/]*[\\/](.*)$/.exec(file);
  if (library) return library[1];
  const parts = file.split(/[\\/]/);
  return parts.length > 2 ? parts.slice(-2).join("/") : file;
}

/** What a command is called in a list: the script or module, not the interpreter's whole path. */
function commandName(command) {
  const [program = "process", ...rest] = command;
  const base = (path) => path.split(/[\\/]/).pop();
  if (!/python[\d.]*$/.test(program)) return base(program);
  // The helpers of multiprocessing all run `-c` with long texts that say little.
  const text = rest.join(" ");
  if (text.includes("multiprocessing.resource_tracker")) return "resource tracker";
  if (text.includes("multiprocessing.forkserver")) return "fork server";
  if (text.includes("multiprocessing")) return "multiprocessing worker";
  const index = rest.findIndex((argument) => !argument.startsWith("-") || argument === "-c" || argument === "-m");
  if (index < 0) return base(program);
  if (rest[index] === "-c") return `${base(program)} -c`;
  if (rest[index] === "-m") return rest[index + 1] ?? base(program);
  return base(rest[index]);
}
