// The time line: memory in use and resident, the moment that is looked at, and the stretch of time that is counted.

const TRACK_HEIGHTS = { heap: 72, resident: 40, given: 28, function: 28 };

class Timeline extends TimeAxis {
  constructor(memory, choices) {
    super(memory, choices);
    const track = (name, label, title) => {
      const row = this.track(name, label);
      row.firstElementChild.title = title;
      return row;
    };
    this.tracks.replaceChildren(
      track("axis", "", ""),
      track("heap", "In use", "Memory that was given and not yet taken back. A click looks at that moment, a drag selects a stretch."),
      track("resident", "Resident", "Memory of the process that is in the machine's memory, code and files among it"),
      track("given", "Given", "Bytes given in each stretch of time"),
      track("function", "Selected", "In use, given below the selected function"),
    );
    this.mark = el("div", { id: "moment-mark", hidden: true });
    this.peak = el("div", { id: "peak-mark", title: "the peak" }, el("span", {}, "peak"));
    byId("time-overlay").append(this.mark, this.peak);
    this.peak.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      choices.set({ view: "peak" });
    });
  }

  get mainCanvas() {
    return this.canvases.axis;
  }

  update(values, changed, sums) {
    const { recording } = this;
    const any = (...names) => !changed || names.some((name) => changed.has(name));
    const isFiltered = any("process", "thread", "allocators");
    if (isFiltered && recording.isExact) {
      const { inUse, given } = recording.overTime(recording.rowMask(sums));
      this.over = { inUse, given };
      // The most within each bucket is known of all memory together alone.
      const isAll = values.process === null && values.thread === null && recording.allocators.every((allocator) => (values.allocators >> allocator) & 1);
      this.over.most = isAll ? recording.columns.level_most : inUse;
    }
    if (isFiltered) this.resident = recording.residentOverTime(values.process ?? (values.thread === null ? null : recording.threadProcess[values.thread]));
    if (any("selected", "process", "thread", "allocators")) {
      this.ofFunction = values.selected === null || !recording.isExact ? null : recording.functionOverTime(values.selected, sums);
    }
    this.values = values;
    if (changed && [...changed].every((name) => ["from", "to", "at", "view"].includes(name))) this.placeOverlay();
    else this.draw();
  }

  draw() {
    if (!this.values) return;
    const { recording, canvases } = this;
    const width = canvases.axis.clientWidth;
    if (width === 0) return;
    this.width = width;
    this.placeColumns();
    canvases.heap.row.hidden = canvases.given.row.hidden = !this.over;
    canvases.resident.row.hidden = !this.resident;
    canvases.function.row.hidden = !this.ofFunction;
    this.drawAxis();
    const most = (values) => (column) => values.subarray(column.from, column.to).reduce((max, value) => Math.max(max, value), 0);
    const inUse = niceBytes(Math.max(1, this.over ? this.most(most(this.over.most)) : 0));
    const resident = niceBytes(Math.max(1, this.resident ? this.most(most(this.resident)) : 0));
    // Where they are alike they have one scale, so that the eye can compare them.
    const full = inUse <= resident * 2 && resident <= inUse * 2 ? Math.max(inUse, resident) : 0;
    const sum = (values) => (column) => this.sumOf(column, values);
    const draw = (name, scale, colour, valueOf) => {
      const context = prepareCanvas(canvases[name], width, TRACK_HEIGHTS[name]);
      this.drawArea(context, TRACK_HEIGHTS[name], scale, theme.variable(colour), valueOf);
      this.scaleMark(context, TRACK_HEIGHTS[name], formatBytes(scale));
    };
    if (this.over) {
      draw("heap", full || inUse, "--track-heap", most(this.over.most));
      draw("given", niceBytes(Math.max(1, this.most(sum(this.over.given)))), "--track-cpu", sum(this.over.given));
    }
    if (this.resident) draw("resident", full || resident, "--track-memory", most(this.resident));
    if (this.ofFunction) {
      draw("function", niceBytes(Math.max(1, this.most(most(this.ofFunction)))), "--accent", most(this.ofFunction));
      canvases.function.value.textContent = recording.functionName[this.values.selected];
    }
    this.placeOverlay();
  }

  // ---- Moment, stretch, cursor ------------------------------------------------------------------------

  placeOverlay() {
    if (!this.values) return;
    super.placeOverlay();
    const { recording, values } = this;
    const isMoment = values.view === "moment";
    byId("time-overlay").hidden = !recording.isExact;
    byId("shade-before").hidden = byId("shade-after").hidden = !isOfStretch(this.values.view);
    this.mark.hidden = !isMoment;
    this.mark.style.left = `${this.share(values.at + 1) * 100}%`;
    this.peak.style.left = `${Math.min(1, recording.meta.peak_tick / recording.ticks) * 100}%`;
    this.peak.classList.toggle("chosen", values.view === "peak");
    this.peak.hidden = !recording.isExact;
  }

  /** A stretch is of what was given in it: a view of something else gives way. */
  select(from, to) {
    if (!this.recording.isExact) return;
    super.select(from, to);
    if (!isOfStretch(this.values.view)) this.choices.set({ view: "left" });
  }

  /** A click looks at a moment. */
  clicked(bucket) {
    if (this.recording.isExact) this.choices.set({ view: "moment", at: bucket });
  }

  key(event) {
    if (event.key === "Enter" && this.cursor !== null) {
      this.clicked(this.cursor);
      event.preventDefault();
      event.stopPropagation();
    } else {
      super.key(event);
    }
  }

  showValues() {
    const { canvases, recording, cursor } = this;
    const show = (name, values) => {
      canvases[name].value.textContent = cursor === null || !values ? "" : formatBytes(values[cursor]);
    };
    canvases.axis.value.textContent = cursor === null ? "" : formatMoment(recording.moment(cursor), recording.bucketSeconds);
    show("heap", this.over?.most);
    show("given", this.over?.given);
    show("resident", this.resident);
  }

  /** The values of a bucket as lines of [value, name, colour]. */
  describe(bucket) {
    const { recording } = this;
    const lines = [[formatMoment(recording.moment(bucket), recording.bucketSeconds), `for ${formatTime(recording.ticksOfBucket(bucket) * recording.tickSeconds)}`]];
    if (this.over) {
      lines.push([formatBytes(this.over.inUse[bucket]), "in use at its end", theme.variable("--track-heap")]);
      if (this.over.most[bucket] > this.over.inUse[bucket]) lines.push([formatBytes(this.over.most[bucket]), "at most"]);
      lines.push([formatBytes(this.over.given[bucket]), "given", theme.variable("--track-cpu")]);
    }
    if (this.resident) lines.push([formatBytes(this.resident[bucket]), "resident", theme.variable("--track-memory")]);
    return lines;
  }
}
