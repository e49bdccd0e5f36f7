// Puts the parts together: decodes the recording, connects choices to sums and sums to what is shown.

/** Choices after which everything must be summed again. */
const FILTERS = ["from", "to", "process", "thread", "states"];
const SHAPE = ["group", "lines", "invert"];

class ProfilePage {
  constructor(recording) {
    this.recording = recording;
    theme.start(() => this.sums && this.repaint());
    this.choices = new Choices(recording);
    this.forest = new Forest(recording);
    showSummary(recording);
    this.timeline = new Timeline(recording, this.choices);
    this.flame = new Flame(recording, this.choices);
    this.table = new Table(recording, this.choices);
    this.source = new SourceView(recording, this.choices);
    this.presets = makePresets(recording);
    this.makeFilters();
    this.connectBar();
    listenToKeys(this);
    this.choices.listen((values, changed) => this.update(values, changed));
    this.update(this.choices.values, null);
  }

  /** Shows what `changed` (names of choices, or null for all) affects. */
  update(values, changed) {
    const any = (names) => !changed || names.some((name) => changed.has(name));
    const began = performance.now();
    if (any(FILTERS)) this.sums = this.recording.sum(values);
    const refiltered = any(FILTERS);
    if (refiltered || any([...SHAPE, "flip"])) this.flame.update(values, this.forest.tree(values, this.sums));
    else if (any(["zoom"]) && this.flame.pathOf(this.flame.zoomed) !== values.zoom) this.flame.zoomTo(this.flame.nodeAt(values.zoom));
    else if (any(["search"])) this.flame.search();
    else if (any(["colour"])) this.flame.draw();
    if (refiltered || any(["selected"])) this.timeline.update(values, changed, this.sums);
    if (refiltered || any(["search", "sort", "list", "selected", "line"])) this.table.update(values, this.sums);
    if (refiltered || any(["selected", "line"])) this.source.update(values, this.sums, changed);
    this.showFilters(values);
    this.showBar(values);
    if (refiltered) {
      this.resumMilliseconds = performance.now() - began;
      announce(this);
    }
  }

  repaint() {
    this.showFilters(this.choices.values);
    this.timeline.draw();
    this.flame.draw();
  }

  // ---- Filters ----------------------------------------------------------------------------------------

  makeFilters() {
    const { recording, choices } = this;
    const options = (select, labels) => {
      select.append(el("option", { value: "" }, `all ${labels.length}`), ...labels.map((label, index) => el("option", { value: index }, label)));
      // A thread implies its process, so only one of the two filters is ever set by hand.
      return (name, more) => select.addEventListener("change", () => choices.set({ [name]: select.value === "" ? null : Number(select.value), ...more }));
    };
    options(byId("process-select"), recording.processLabel)("process", { thread: null });
    const several = recording.processes.length > 1;
    options(byId("thread-select"), recording.threadLabel.map((label, thread) =>
      (several ? `${label} · ${recording.processLabel[recording.threadProcess[thread]]}` : label)))("thread", { process: null });
    byId("process-field").hidden = !several;
    byId("thread-field").hidden = recording.threads.length < 2;
    const present = new Set();
    for (let row = 0; row < recording.rowCount; row += 1) present.add(recording.rowFlags[row] & STATE_BITS);
    this.chips = STACK_ORDER.map((word) => recording.meta.states.indexOf(word)).filter((state) => present.has(state)).map((state) => {
      const word = recording.meta.states[state];
      const swatch = el("canvas", { class: "swatch", width: 12, height: 12, "aria-hidden": "true" });
      const share = el("span", { class: "chip-share" });
      const button = el("button", { type: "button", class: "chip", title: `${stateOf(word).label}: ${stateOf(word).about}. Click counts it or leaves it out; Shift-click counts it alone.` },
        swatch, el("span", {}, stateOf(word).label), share);
      button.addEventListener("click", (event) => {
        const states = event.shiftKey ? 1 << state : choices.values.states ^ (1 << state);
        choices.set({ states: states || choices.initial.states });
      });
      byId("states").append(button);
      return { state, word, button, swatch, share };
    });
    this.presetButtons = this.presets.map(([name, states, about]) => {
      const button = el("button", { type: "button", class: "preset", title: about, onclick: () => choices.set({ states }) }, name);
      byId("presets").append(button);
      return { button, states };
    });
  }

  showFilters(values) {
    const { recording, sums } = this;
    const whole = values.from === 0 && values.to === recording.bucketCount;
    const from = recording.moment(values.from);
    const to = recording.moment(values.to);
    const text = whole ? "Whole recording" : `${formatMoment(from, recording.bucketSeconds)} – ${formatMoment(to, recording.bucketSeconds)}`;
    byId("stretch").replaceChildren(el("b", {}, text), ` ${formatTime(to - from)}`,
      whole ? "" : el("button", { type: "button", class: "clear", title: "Select the whole recording (Escape)", "aria-label": "Clear the stretch of time", onclick: () => this.timeline.clear() }, "✕"));
    byId("process-select").value = values.process ?? "";
    byId("thread-select").value = values.thread ?? "";
    const all = sums.stateTicks.reduce((sum, ticks) => sum + ticks, 0);
    for (const { state, word, button, swatch, share } of this.chips) {
      button.setAttribute("aria-pressed", String(Boolean((values.states >> state) & 1)));
      share.textContent = formatShare(sums.stateTicks[state], all);
      const context = swatch.getContext("2d");
      context.fillStyle = stateOf(word).hatched ? hatch(context, theme.state(word), stateOf(word).hatched) : theme.state(word);
      context.fillRect(0, 0, 12, 12);
    }
    for (const { button, states } of this.presetButtons) button.setAttribute("aria-pressed", String(this.onPresent(states) === this.onPresent(values.states)));
  }

  /** Only the bits of states that occur: others make no difference. */
  onPresent(states) {
    return this.chips.reduce((bits, { state }) => bits | (states & (1 << state)), 0);
  }

  nextPreset() {
    const index = this.presets.findIndex(([, states]) => this.onPresent(states) === this.onPresent(this.choices.values.states));
    this.choices.set({ states: this.presets[(index + 1) % this.presets.length][1] });
  }

  /** Where there is no room for both, the table comes back in place of the details. */
  focusTable() {
    if (!byId("table-pane").checkVisibility()) {
      this.choices.set({ selected: null });
      this.choices.tell();
    }
    this.table.focus();
  }

  clearFilters() {
    const { initial } = this.choices;
    this.choices.set(Object.fromEntries([...FILTERS, "search", "zoom"].map((name) => [name, initial[name]])));
  }

  clearInnermost() {
    const { values } = this.choices;
    if (!byId("tooltip").hidden) hideTooltip();
    if (document.activeElement?.closest("#time-pane") && !this.timeline.isWhole()) return this.timeline.clear();
    if (this.flame.zoomOut()) return;
    if (values.search) this.choices.set({ search: "" });
    else if (values.selected !== null) this.source.close();
    else if (!this.timeline.isWhole()) this.timeline.clear();
    else this.clearFilters();
  }

  // ---- Bar above the flame graph ----------------------------------------------------------------------

  connectBar() {
    const { choices } = this;
    byId("search").addEventListener("input", (event) => choices.set({ search: event.target.value }));
    byId("search").addEventListener("keydown", (event) => {
      if (event.key === "Enter") byId("flame-canvas").focus(), this.flame.nextMatch(1);
    });
    for (const name of ["lines", "invert", "flip"]) byId(`${name}-button`).addEventListener("click", () => choices.set({ [name]: !choices.values[name] }));
    for (const id of ["lines-button", "list-lines", "hottest-button"]) byId(id).hidden = !this.recording.hasLines;
    for (const name of ["group", "colour"]) byId(`${name}-select`).addEventListener("change", (event) => choices.set({ [name]: event.target.value }));
    byId("zoom-button").addEventListener("click", () => this.flame.showFunction(choices.values.selected));
    byId("theme-button").addEventListener("click", () => theme.toggle());
    byId("help-button").addEventListener("click", showKeys);
    // The kinds of Python code are always told; native code and tasks are there only where they were asked for.
    const present = new Set([0, 1, 2, 3, ...this.recording.functionKind]);
    byId("flame-legend").append(...KINDS.flatMap((kind, index) =>
      (present.has(index) ? [el("span", { class: "legend-entry" }, el("i", { class: `kind kind-${index}` }), kind)] : [])));
  }

  showBar(values) {
    if (byId("search").value !== values.search) byId("search").value = values.search;
    for (const name of ["lines", "invert", "flip"]) byId(`${name}-button`).setAttribute("aria-pressed", String(values[name]));
    for (const name of ["group", "colour"]) byId(`${name}-select`).value = values[name];
    byId("flame-title").textContent = values.invert ? "Callers" : "Flame graph";
    byId("flame-legend").hidden = values.colour !== "kind";
  }
}

/** Sets of states as [name, bits, explanation]. */
function makePresets(recording) {
  const bits = (...words) => words.reduce((set, word) => set | (1 << recording.meta.states.indexOf(word)), 0);
  const waiting = bits("gil-wait", "io-wait", "lock-wait", "sleep", "child-wait", "stopped");
  return [
    ["All", bits("python", "native") | waiting, "All time that threads lived (s)"],
    ["On CPU", bits("python", "native"), "Time on a processor (s)"],
    ["Active", bits("python", "native", "gil-wait", "io-wait"), "All but sleeping, locked and stopped threads (s)"],
    ["Waiting", waiting, "Time off the processor (s)"],
  ];
}

/** Tells screen readers what is now selected, once the changes have settled. */
function announce(page) {
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => {
    byId("time-status").textContent = `${byId("stretch").textContent.replace("✕", "")}: ${formatTime(page.recording.seconds(page.sums.ticks))} counted`;
  }, 400);
}

async function start() {
  const began = performance.now();
  try {
    const recording = new Recording(await decodeRecording("recording"));
    const page = new ProfilePage(recording);
    page.readyMilliseconds = performance.now() - began;
    // For the curious at the console, and for tests: every figure can be had from here.
    window.naja = page;
    document.body.classList.add("ready");
  } catch (error) {
    byId("fatal").hidden = false;
    byId("fatal").textContent = `This page cannot show its recording: ${error.message}`;
    throw error;
  }
}

start();
