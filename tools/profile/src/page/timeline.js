// The time line: states of threads, CPU, GIL and memory on one clock, a lane for each process and thread, and
// the stretch of time that narrows everything else.

const TRACK_HEIGHTS = { axis: 20, states: 58, cpu: 28, gil: 19, memory: 28, function: 22 };
const LANE_HEIGHT = 15;
/** Drawn columns are at least this wide, in pixels: finer ones would show the noise of single samples. */
const COLUMN_WIDTH_MIN = 2;
/** More lanes than this start folded: a lane for each of hundreds of threads is for those who ask. */
const LANES_OPEN_MAX = 12;

class Timeline {
  constructor(recording, choices) {
    this.recording = recording;
    this.choices = choices;
    this.cursor = null; // bucket under the mouse or the keyboard
    this.folded = new Set();
    if (recording.threads.length > LANES_OPEN_MAX) recording.processes.forEach((_, index) => this.folded.add(index));
    this.tracks = byId("tracks");
    this.grid = byId("time-grid");
    this.makeTracks();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.grid);
  }

  // ---- Building ---------------------------------------------------------------------------------------

  makeTracks() {
    this.canvases = {};
    const track = (name, label) => {
      const canvas = el("canvas", { class: `track ${name}`, "aria-hidden": "true" });
      this.canvases[name] = canvas;
      const value = el("span", { class: "track-value" });
      const row = el("div", { class: `track-row ${name}-row` }, el("div", { class: "track-label" }, el("span", {}, label), value), canvas);
      row.value = value;
      canvas.row = row;
      canvas.value = value;
      return row;
    };
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

  /** Left edge of a bucket as a share of the width. */
  share(bucket) {
    const { recording } = this;
    return Math.min(1, (bucket * recording.bucketTicks) / recording.ticks);
  }

  /** The bucket at a point of the page. */
  bucketAt(clientX) {
    const box = this.canvases.states.getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (clientX - box.left) / box.width));
    const { recording } = this;
    const bucket = Math.floor((share * recording.ticks) / recording.bucketTicks);
    return Math.min(recording.bucketCount - 1, bucket);
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

  /** Gathers buckets into the columns that are drawn: first bucket, one past the last, ticks, left, width. */
  placeColumns() {
    const { recording, width } = this;
    const size = Math.max(1, Math.round((recording.bucketCount * COLUMN_WIDTH_MIN) / width));
    this.columns = [];
    for (let from = 0; from < recording.bucketCount; from += size) {
      const to = Math.min(recording.bucketCount, from + size);
      let ticks = 0;
      for (let bucket = from; bucket < to; bucket += 1) ticks += recording.ticksOfBucket(bucket);
      const left = this.share(from) * width;
      this.columns.push({ from, to, ticks, left, width: Math.max(0.6, this.share(to) * width - left) });
    }
  }

  /** Sum over a column's buckets of `values[bucket * stride + offset]`. */
  sumOf(column, values, stride = 1, offset = 0) {
    let sum = 0;
    for (let bucket = column.from; bucket < column.to; bucket += 1) sum += values[bucket * stride + offset];
    return sum;
  }

  /** The largest of a figure over all columns. */
  most(valueOf) {
    return this.columns.reduce((most, column) => Math.max(most, valueOf(column)), 0);
  }

  drawAxis() {
    const { recording, width } = this;
    const context = prepareCanvas(this.canvases.axis, width, TRACK_HEIGHTS.axis);
    const step = niceStep(recording.duration / Math.max(2, width / 90));
    context.fillStyle = theme.variable("--muted");
    context.strokeStyle = theme.variable("--line");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    const begin = recording.moment(0);
    for (let index = Math.ceil(begin / step); index * step <= begin + recording.duration; index += 1) {
      const x = Math.round(((index * step - begin) / recording.duration) * width) + 0.5;
      context.beginPath();
      context.moveTo(x, 12);
      context.lineTo(x, TRACK_HEIGHTS.axis);
      context.stroke();
      const text = formatMoment(index * step, step);
      if (x + 4 + context.measureText(text).width < width) context.fillText(text, x + 4, 10);
    }
  }

  /** Fills for states; hatched where colour must not stand alone. */
  fills(context) {
    return this.recording.meta.states.map((word) => {
      const colour = theme.state(word);
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

  /** A small text at the top left that says what the full height stands for. */
  scaleMark(context, height, text) {
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "top";
    const { width } = context.measureText(text);
    context.globalAlpha = 0.8;
    context.fillStyle = theme.variable("--panel");
    context.fillRect(0, 0, width + 7, 13);
    context.globalAlpha = 1;
    context.fillStyle = theme.variable("--muted");
    context.fillText(text, 3, 2);
  }

  /** An area of one value per column, as steps. */
  drawArea(context, height, full, colour, valueOf) {
    context.fillStyle = colour;
    context.globalAlpha = theme.dark ? 0.75 : 0.6;
    context.beginPath();
    for (const column of this.columns) {
      const size = (valueOf(column) / full) * height;
      if (size > 0) context.rect(column.left, height - size, column.width, size);
    }
    context.fill();
    context.globalAlpha = 1;
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

  // ---- Selection and cursor ---------------------------------------------------------------------------

  placeOverlay() {
    const { recording, values } = this;
    const [from, to] = [this.share(values.from), this.share(values.to)];
    const whole = values.from === 0 && values.to === recording.bucketCount;
    const overlay = byId("time-overlay");
    overlay.classList.toggle("whole", whole);
    byId("shade-before").style.width = `${from * 100}%`;
    byId("shade-after").style.left = `${to * 100}%`;
    for (const [name, bucket, position] of [["from", values.from, from], ["to", values.to, to]]) {
      const handle = byId(`handle-${name}`);
      handle.style.left = `${position * 100}%`;
      handle.setAttribute("aria-valuemin", recording.moment(0).toFixed(3));
      handle.setAttribute("aria-valuemax", recording.moment(recording.bucketCount).toFixed(3));
      const moment = recording.moment(bucket);
      handle.setAttribute("aria-valuenow", moment.toFixed(3));
      handle.setAttribute("aria-valuetext", formatMoment(moment, recording.bucketSeconds));
    }
    const line = byId("time-cursor");
    line.hidden = this.cursor === null;
    if (this.cursor !== null) line.style.left = `${((this.share(this.cursor) + this.share(this.cursor + 1)) / 2) * 100}%`;
    this.showValues();
  }

  select(from, to) {
    const { bucketCount } = this.recording;
    from = Math.max(0, Math.min(bucketCount - 1, from));
    to = Math.max(from + 1, Math.min(bucketCount, to));
    this.choices.set({ from, to });
  }

  clear() {
    this.choices.set({ from: 0, to: this.recording.bucketCount });
  }

  isWhole() {
    const { from, to } = this.choices.values;
    return from === 0 && to === this.recording.bucketCount;
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
      if (ticks > 0) lines.push([`${digits(ticks / recording.ticksOfBucket(bucket))}`, stateOf(word).label, theme.state(word)]);
    }
    if (usage) lines.push([digits(this.coresAt(bucket)), "cores used"], [formatBytes(usage.rss[bucket]), "resident"]);
    lines.push([formatShare(over.gil[bucket], recording.ticksOfBucket(bucket) * Math.max(1, this.gilProcesses)), "GIL held"]);
    if (over.gc[bucket] > 0) lines.push([formatShare(over.gc[bucket], recording.ticksOfBucket(bucket)), "in the collector"]);
    return lines;
  }

  tooltip(bucket, x, y) {
    showTooltip(this.describe(bucket).map(([value, name, colour], index) => {
      const swatch = el("i", { class: "swatch" });
      if (colour) swatch.style.background = colour;
      return el("div", { class: index ? "tip-line" : "tip-title" }, index ? swatch : null, el("b", {}, value), ` ${name}`);
    }), x, y);
  }

  // ---- Mouse and keys ---------------------------------------------------------------------------------

  listen() {
    const { grid } = this;
    let drag = null; // { anchor, moved } in buckets
    const onCanvas = (event) => event.target instanceof HTMLCanvasElement || event.target.closest("#time-overlay");
    grid.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !onCanvas(event)) return;
      const handle = event.target.closest(".handle");
      const { from, to } = this.choices.values;
      // A handle keeps the other end; elsewhere a new stretch begins.
      const anchor = handle ? (handle.id === "handle-from" ? to - 1 : from) : this.bucketAt(event.clientX);
      drag = { anchor, x: event.clientX, moved: Boolean(handle) };
      grid.setPointerCapture(event.pointerId);
      event.preventDefault();
      byId("time-scroll").focus({ preventScroll: true });
    });
    grid.addEventListener("pointermove", (event) => {
      if (!drag && !onCanvas(event)) return this.leave();
      this.cursor = this.bucketAt(event.clientX);
      if (drag) {
        drag.moved ||= Math.abs(event.clientX - drag.x) > 3;
        if (drag.moved) this.select(Math.min(drag.anchor, this.cursor), Math.max(drag.anchor, this.cursor) + 1);
      }
      this.placeOverlay();
      this.tooltip(this.cursor, event.clientX, event.clientY);
    });
    grid.addEventListener("pointerup", () => {
      if (drag && !drag.moved) this.clear();
      drag = null;
    });
    grid.addEventListener("pointerleave", () => !drag && this.leave());
    byId("time-scroll").addEventListener("keydown", (event) => this.key(event));
    byId("time-scroll").addEventListener("blur", () => this.leave());
  }

  leave() {
    this.cursor = null;
    hideTooltip();
    if (this.values) this.placeOverlay();
  }

  key(event) {
    const { bucketCount } = this.recording;
    const { from, to } = this.choices.values;
    const page = Math.max(1, Math.round(bucketCount / 20));
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -page, PageDown: page, Home: -bucketCount, End: bucketCount };
    const step = steps[event.key] * (event.ctrlKey && event.key.startsWith("Arrow") ? page : 1);
    if (event.target.classList.contains("handle") && step) {
      if (event.target.id === "handle-from") this.select(Math.min(to - 1, from + step), to);
      else this.select(from, Math.max(from + 1, to + step));
    } else if (step) {
      const before = this.cursor ?? (step > 0 ? from - 1 : to);
      const next = Math.max(0, Math.min(bucketCount - 1, before + step));
      if (event.shiftKey) {
        this.anchor ??= Math.max(0, Math.min(bucketCount - 1, before));
        this.select(Math.min(this.anchor, next), Math.max(this.anchor, next) + 1);
      } else {
        this.anchor = null;
      }
      this.moveCursor(next);
    } else if (event.key === "[" && this.cursor !== null) {
      this.select(this.cursor, Math.max(to, this.cursor + 1));
    } else if (event.key === "]" && this.cursor !== null) {
      this.select(Math.min(from, this.cursor), this.cursor + 1);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  moveCursor(bucket) {
    this.cursor = bucket;
    this.placeOverlay();
    const box = this.canvases.states.getBoundingClientRect();
    this.tooltip(bucket, box.left + this.share(bucket + 0.5) * box.width, box.bottom - 20);
    byId("time-status").textContent = this.describe(bucket).map((line) => line.slice(0, 2).join(" ")).join(", ");
  }
}

/** The smallest of 1, 2, 5 · 10ⁿ (or whole minutes and hours) that is at least `rough` seconds. */
function niceStep(rough) {
  for (const step of [60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400]) {
    if (rough > 30 && step >= rough) return step;
  }
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * 0.999);
}

/** A round number of bytes that is at least `bytes`. */
function niceBytes(bytes) {
  const power = 2 ** Math.floor(Math.log2(bytes));
  return [1, 1.25, 1.5, 1.75, 2].map((factor) => factor * power).find((size) => size >= bytes);
}

// ---- Tooltip, shared by the time line and the flame graph ----------------------------------------------

function showTooltip(children, x, y) {
  const tooltip = byId("tooltip");
  tooltip.replaceChildren(...children);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = x + 14 + width > innerWidth ? Math.max(4, x - width - 14) : x + 14;
  const top = y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18;
  tooltip.style.left = `${left}px`;
  tooltip.style.top = `${top}px`;
}

function hideTooltip() {
  byId("tooltip").hidden = true;
}
