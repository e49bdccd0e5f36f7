// What every time line has: an axis, tracks on it, the cursor, and the stretch of time that narrows everything else.
//
// Time is in buckets, that the recording cuts it in: `bucketCount` of them, each of `bucketTicks` but the last.
// A page's time line extends TimeAxis and says which canvas is the main one (`mainCanvas`), draws its tracks (`draw`),
// shows what is at the cursor (`showValues`) and describes it (`describe`).

/** Drawn columns are at least this wide, in pixels: finer ones would show the noise of single samples. */
const COLUMN_WIDTH_MIN = 2;
const AXIS_HEIGHT = 20;

class TimeAxis {
  constructor(recording, choices) {
    this.recording = recording;
    this.choices = choices;
    this.cursor = null; // bucket under the mouse or the keyboard
    this.canvases = {};
    this.tracks = byId("tracks");
    this.grid = byId("time-grid");
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.grid);
  }

  /** Makes a track: a row with a label, a value at the cursor and a canvas, that `canvases` knows by its name. */
  track(name, label) {
    const canvas = el("canvas", { class: `track ${name}`, "aria-hidden": "true" });
    this.canvases[name] = canvas;
    const value = el("span", { class: "track-value" });
    const row = el("div", { class: `track-row ${name}-row` }, el("div", { class: "track-label" }, el("span", {}, label), value), canvas);
    row.value = value;
    canvas.row = row;
    canvas.value = value;
    return row;
  }

  /** Left edge of a bucket as a share of the width. */
  share(bucket) {
    const { recording } = this;
    return Math.min(1, (bucket * recording.bucketTicks) / recording.ticks);
  }

  /** The bucket at a point of the page. */
  bucketAt(clientX) {
    const box = this.mainCanvas.getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (clientX - box.left) / box.width));
    const { recording } = this;
    const bucket = Math.floor((share * recording.ticks) / recording.bucketTicks);
    return Math.min(recording.bucketCount - 1, bucket);
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
    const context = prepareCanvas(this.canvases.axis, width, AXIS_HEIGHT);
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
      context.lineTo(x, AXIS_HEIGHT);
      context.stroke();
      const text = formatMoment(index * step, step);
      if (x + 4 + context.measureText(text).width < width) context.fillText(text, x + 4, 10);
    }
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

  /** What a click without a drag does. */
  clicked() {
    this.clear();
  }

  clear() {
    this.choices.set({ from: 0, to: this.recording.bucketCount });
  }

  isWhole() {
    const { from, to } = this.choices.values;
    return from === 0 && to === this.recording.bucketCount;
  }

  tooltip(bucket, x, y) {
    showTooltip(this.describe(bucket).map(([value, name, colour], index) => {
      const swatch = el("i", { class: "swatch" });
      if (colour) swatch.style.background = colour;
      return el("div", { class: index ? "tip-line" : "tip-title" }, index ? swatch : null, el("b", {}, value), ` ${name}`);
    }), x, y);
  }

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
      if (drag && !drag.moved) this.clicked(drag.anchor);
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
    const box = this.mainCanvas.getBoundingClientRect();
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
