// What every page with a flame graph has: choices that lead to sums, and sums to what is shown.
//
// A page extends FlamePage, makes its own parts, and calls `begin`. It gives `makeFilters` and `showFilters`.

/** Choices after which the graph has another shape. */
const SHAPE = ["group", "lines", "invert"];

class FlamePage {
  /** `filters`: the choices after which everything must be summed again. */
  constructor(recording, choices, filters) {
    this.recording = recording;
    this.choices = choices;
    this.filters = filters;
    this.forest = new Forest(recording);
  }

  /** Connects everything, and shows it; `groups` and `keys` are those of [`listenToKeys`]. */
  begin(timeline, groups, keys) {
    theme.start(() => this.sums && this.repaint());
    this.timeline = timeline;
    this.flame = new Flame(this.recording, this.choices);
    this.table = new Table(this.recording, this.choices);
    this.source = new SourceView(this.recording, this.choices);
    this.makeFilters();
    this.connectBar(groups);
    listenToKeys(this, groups, keys);
    this.choices.listen((values, changed) => this.update(values, changed));
    this.update(this.choices.values, null);
  }

  /** Shows what `changed` (names of choices, or null for all) affects. */
  update(values, changed) {
    const any = (names) => !changed || names.some((name) => changed.has(name));
    const began = performance.now();
    if (any(this.filters)) this.sums = this.recording.sum(values);
    const refiltered = any(this.filters);
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

  /** Fills the choices of process and thread, where there are several. */
  makeSelects() {
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
  }

  showSelects(values) {
    byId("process-select").value = values.process ?? "";
    byId("thread-select").value = values.thread ?? "";
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
    this.choices.set(Object.fromEntries([...this.filters, "search", "zoom"].map((name) => [name, initial[name]])));
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

  connectBar(groups) {
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
    byId("help-button").addEventListener("click", () => showKeys(groups, this.recording));
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

/** Tells screen readers what is now selected, once the changes have settled. */
function announce(page) {
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => {
    byId("time-status").textContent = `${byId("stretch").textContent.replace("✕", "")}: ${page.recording.format(page.sums.whole)} counted`;
  }, 400);
}

/** Decodes the data in the element `id`, which must be of a form, and makes the page of it. */
async function startPage(id, format, make) {
  const began = performance.now();
  try {
    const page = make(await decodeRecording(id, format));
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
