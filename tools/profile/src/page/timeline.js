// The time line: states of threads, CPU, GIL and memory on one clock, a lane for each process and thread, and
// the stretch of time that narrows everything else.

const TRACK_HEIGHTS = { states: 58, cpu: 28, gil: 19, memory: 28, function: 22 };
const LANE_HEIGHT = 15;
/** More lanes than this start folded: a lane for each of hundreds of threads is for those who ask. */
const LANES_OPEN_MAX = 12;

class Timeline extends TimeAxis {
  constructor(recording, choices) {
    super(recording, choices);
    this.folded = new Set();
    if (recording.threads.length > LANES_OPEN_MAX) recording.processes.forEach((_, index) => this.folded.add(index));
    this.makeTracks();
  }

  get mainCanvas() {
    return this.canvases.states;
  }

  // ---- Building ---------------------------------------------------------------------------------------

  makeTracks() {
    const track = (name, label) => this.track(name, label);
    this.tracks.replaceChildren(
      track("axis", ""),
      track("states", "Threads"),
      track("cpu", "CPU"),
      track("gil", ["GIL held", el("i", { class: "gil-mark", title: "also the line below each lane" })]),
      track("memory", "Memory"),
      track("function", "Selected"),
      el("div", { id: "lanes" }),
    );
    this.makeLanes();
  }

  makeLanes() {
    const { recording } = this;
    const lanes = byId("lanes");
    lanes.replaceChildren();
    this.laneCanvases = [];
    const lane = (kind, index, label, threads, more) => {
      const canvas = el("canvas", { class: "track lane", "aria-hidden": "true" });
      const filter = el("button", { type: "button", class: "lane-name", "aria-pressed": "false", title: `${label}: show only this ${kind}` }, label);
      filter.addEventListener("click", () => {
        const chosen = this.choices.values[kind] === index;
        this.choices.set(kind === "process"
          ? { process: chosen ? null : index, thread: null }
          : { thread: chosen ? null : index, process: null });
      });
      lanes.append(el("div", { class: `track-row lane-row ${kind}-lane` }, el("div", { class: "track-label" }, more, filter), canvas));
      this.laneCanvases.push({ canvas, filter, kind, index, threads });
    };
    recording.processes.forEach((process, processIndex) => {
      const threads = recording.threads.map((_, thread) => thread).filter((thread) => recording.threadProcess[thread] === processIndex);
      const folded = this.folded.has(processIndex);
      const name = recording.processLabel[processIndex];
      if (threads.length !== 1 || recording.processes.length > 1) {
        const fold = threads.length > 1 && el("button", {
          type: "button", class: "fold", "data-process": processIndex, "aria-expanded": String(!folded), "aria-label": `Threads of ${name}`,
          onclick: () => {
            if (folded) this.folded.delete(processIndex);
            else this.folded.add(processIndex);
            this.makeLanes();
            this.draw();
            // The button was made anew; the keyboard stays on it.
            lanes.querySelector(`.fold[data-process="${processIndex}"]`)?.focus();
          },
        }, folded ? "▸" : "▾");
        lane("process", processIndex, name, threads, fold);
      }
      if (threads.length === 1 && recording.processes.length > 1) return;
      if (!folded) for (const thread of threads) lane("thread", thread, recording.threadLabel[thread], [thread], null);
    });
  }

  // ---- Figures ----------------------------------------------------------------------------------------

  /** Recomputes what the filter on process and thread changes. */
  update(values, changed, sums) {
    if (!changed || changed.has("process") || changed.has("thread")) {
      const { recording } = this;
      const mask = recording.threadMask(values);
      const threads = recording.threads.map((_, thread) => thread).filter((thread) => mask[thread]);
      this.over = recording.statesOverTime(threads);
      this.usage = recording.usageOverTime(values.process ?? (values.thread === null ? null : recording.threadProcess[values.thread]));
      this.gilProcesses = new Set(threads.map((thread) => recording.threadProcess[thread])).size;
    }
    const { selected } = values;
    const sameFunction = changed && !["selected", "process", "thread", "states"].some((name) => changed.has(name));
    if (!sameFunction) this.ofFunction = selected === null ? null : this.recording.functionOverTime(selected, sums);
    this.values = values;
    // A stretch changes nothing but the overlay: what lies outside of it stays visible.
    if (changed && [...changed].every((name) => name === "from" || name === "to")) this.placeOverlay();
    else this.draw();
  }

  // ---- Drawing ----------------------------------------------------------------------------------------

  draw() {
    if (!this.values) return;
    const width = this.canvases.states.clientWidth;
    if (width === 0) return;
    this.width = width;
    this.placeColumns();
    this.grid.style.setProperty("--lane-height", `${LANE_HEIGHT}px`);
    this.canvases.function.row.hidden = this.ofFunction === null;
    this.canvases.cpu.row.hidden = this.canvases.memory.row.hidden = this.usage === null;
    this.drawAxis();
    this.drawStates();
    this.drawUsage();
    this.drawGil();
    this.drawFunction();
    this.drawLanes();
    this.placeOverlay();
  }

  /** Fills for states; hatched where colour must not stand alone. */
  fills(context) {
    return this.recording.meta.states.map((word) => {
      const colour = stateColour(word);
      return stateOf(word).hatched ? hatch(context, colour, stateOf(word).hatched) : colour;
    });
  }

  /**
   * Draws the states of columns stacked; the full height stands for `fullOf(column)` ticks. States that are
   * not counted are drawn with the opacity `rest`.
   */
  drawStack(context, states, height, rest, fullOf) {
    const { recording, columns } = this;
    const fills = this.fills(context);
    const base = new Float64Array(columns.length);
    for (const state of this.stackOrder()) {
      context.globalAlpha = (this.values.states >> state) & 1 ? 1 : rest;
      if (context.globalAlpha === 0) continue;
      context.fillStyle = fills[state];
      context.beginPath();
      columns.forEach((column, index) => {
        const ticks = this.sumOf(column, states, recording.stateCount, state);
        if (ticks === 0) return;
        const size = (ticks / fullOf(column)) * height;
        context.rect(column.left, height - base[index] - size, column.width, size);
        base[index] += size;
      });
      context.fill();
    }
    context.globalAlpha = 1;
  }

  stackOrder() {
    return STACK_ORDER.map((word) => this.recording.meta.states.indexOf(word)).filter((state) => state >= 0);
  }

  /** Ticks of a column in any of the states `mask`; in all of them, its length times the threads that lived. */
  anyState(column, states, mask = -1) {
    const { stateCount } = this.recording;
    let ticks = 0;
    for (let state = 0; state < stateCount; state += 1) {
      if ((mask >> state) & 1) ticks += this.sumOf(column, states, stateCount, state);
    }
    return ticks;
  }

  /** Only states that are counted: a hundred idle threads would flatten the one that works. */
  drawStates() {
    const height = TRACK_HEIGHTS.states;
    const context = prepareCanvas(this.canvases.states, this.width, height);
    const { states } = this.over;
    const full = Math.max(1, Math.ceil(this.most((column) => this.anyState(column, states, this.values.states) / column.ticks) - 0.05));
    this.drawStack(context, states, height, 0, (column) => full * column.ticks);
    this.scaleMark(context, height, `${full} ${full === 1 ? "thread" : "threads"}`);
  }

  drawUsage() {
    const { recording, width, usage } = this;
    if (!usage) return;
    const cores = (column) => this.sumOf(column, usage.cpu) / (column.ticks * recording.tickSeconds);
    const fullCores = Math.max(1, Math.ceil(this.most(cores) - 0.1));
    let context = prepareCanvas(this.canvases.cpu, width, TRACK_HEIGHTS.cpu);
    this.drawArea(context, TRACK_HEIGHTS.cpu, fullCores, theme.variable("--track-cpu"), cores);
    this.scaleMark(context, TRACK_HEIGHTS.cpu, `${fullCores} ${fullCores === 1 ? "core" : "cores"}`);
    const bytes = (column) => Math.max(...usage.rss.subarray(column.from, column.to));
    const fullBytes = niceBytes(Math.max(1, this.most(bytes)));
    context = prepareCanvas(this.canvases.memory, width, TRACK_HEIGHTS.memory);
    this.drawArea(context, TRACK_HEIGHTS.memory, fullBytes, theme.variable("--track-memory"), bytes);
    this.scaleMark(context, TRACK_HEIGHTS.memory, formatBytes(fullBytes));
  }

  coresAt(bucket) {
    return this.usage.cpu[bucket] / (this.recording.ticksOfBucket(bucket) * this.recording.tickSeconds);
  }

  /** How many GILs were held, on average: each process (each interpreter, from 3.12 on) has one of its own. */
  gilAt(bucket) {
    return this.over.gil[bucket] / this.recording.ticksOfBucket(bucket);
  }

  drawGil() {
    const height = TRACK_HEIGHTS.gil;
    const context = prepareCanvas(this.canvases.gil, this.width, height);
    const held = (column) => this.sumOf(column, this.over.gil) / column.ticks;
    const full = Math.max(1, Math.ceil(this.most(held) - 0.05));
    this.drawArea(context, height, full, theme.variable("--text"), held);
    this.scaleMark(context, height, full === 1 ? "100 %" : `${full} GILs`);
  }

  drawFunction() {
    if (!this.ofFunction) return;
    const context = prepareCanvas(this.canvases.function, this.width, TRACK_HEIGHTS.function);
    const running = (column) => this.sumOf(column, this.ofFunction) / column.ticks;
    const full = Math.max(1, Math.ceil(this.most(running) - 0.05));
    this.drawArea(context, TRACK_HEIGHTS.function, full, theme.variable("--accent"), running);
    this.scaleMark(context, TRACK_HEIGHTS.function, `${full} ${full === 1 ? "thread" : "threads"}`);
    this.canvases.function.value.textContent = this.recording.functionName[this.values.selected];
  }

  drawLanes() {
    const { recording, width, values } = this;
    for (const { canvas, filter, kind, index, threads } of this.laneCanvases) {
      const context = prepareCanvas(canvas, width, LANE_HEIGHT);
      const { states, gil } = recording.statesOverTime(threads);
      const any = (column) => this.anyState(column, states);
      const most = this.most((column) => any(column) / column.ticks);
      // A thread's lane shows shares of what was seen of it; a process's lane also how many threads lived.
      this.drawStack(context, states, LANE_HEIGHT - 4, 0.22, (column) =>
        (threads.length > 1 ? Math.max(1, most) * column.ticks : Math.max(any(column), column.ticks / 2)));
      this.drawGilLine(context, gil);
      filter.setAttribute("aria-pressed", String(values[kind] === index));
      const out = (values.process !== null && (kind === "process" ? index : recording.threadProcess[index]) !== values.process)
        || (values.thread !== null && kind === "thread" && index !== values.thread);
      canvas.parentElement.classList.toggle("filtered-out", out);
    }
  }

  /** The GIL as a line below a lane, the denser the longer it was held. */
  drawGilLine(context, gil) {
    context.fillStyle = theme.variable("--text");
    for (const column of this.columns) {
      const held = this.sumOf(column, gil) / column.ticks;
      if (held === 0) continue;
      context.globalAlpha = Math.min(1, 0.12 + held);
      context.fillRect(column.left, LANE_HEIGHT - 3, column.width, 2);
    }
    context.globalAlpha = 1;
  }

  /** What the tracks show at the cursor, beside their labels and as words for screen readers. */
  showValues() {
    const bucket = this.cursor;
    const { canvases, recording, usage } = this;
    if (bucket === null) {
      for (const name of ["states", "cpu", "gil", "memory"]) canvases[name].value.textContent = "";
      canvases.axis.value.textContent = "";
      return;
    }
    canvases.axis.value.textContent = formatMoment(recording.moment(bucket), recording.bucketSeconds);
    const lines = this.describe(bucket);
    canvases.states.value.textContent = lines[1]?.[0] ?? "no thread";
    if (usage) {
      canvases.cpu.value.textContent = `${digits(this.coresAt(bucket))}`;
      canvases.memory.value.textContent = formatBytes(usage.rss[bucket]);
    }
    canvases.gil.value.textContent = this.gilProcesses > 1 ? digits(this.gilAt(bucket)) : formatShare(this.gilAt(bucket), 1);
  }

  /** The values of a bucket as lines of [value, name]. */
  describe(bucket) {
    const { recording, over, usage } = this;
    const lines = [[formatMoment(recording.moment(bucket), recording.bucketSeconds), `for ${formatTime(recording.ticksOfBucket(bucket) * recording.tickSeconds)}`]];
    for (const word of STACK_ORDER) {
      const state = recording.meta.states.indexOf(word);
      const ticks = over.states[bucket * recording.stateCount + state];
      if (ticks > 0) lines.push([`${digits(ticks / recording.ticksOfBucket(bucket))}`, stateOf(word).label, stateColour(word)]);
    }
    if (usage) lines.push([digits(this.coresAt(bucket)), "cores used"], [formatBytes(usage.rss[bucket]), "resident"]);
    lines.push([formatShare(over.gil[bucket], recording.ticksOfBucket(bucket) * Math.max(1, this.gilProcesses)), "GIL held"]);
    if (over.gc[bucket] > 0) lines.push([formatShare(over.gc[bucket], recording.ticksOfBucket(bucket)), "in the collector"]);
    return lines;
  }
}
