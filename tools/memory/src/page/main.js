// Puts the parts together: decodes the recording, connects choices to sums and sums to what is shown.

/** Choices after which everything must be summed again. */
const FILTERS = ["view", "from", "to", "at", "process", "thread", "allocators", "unit"];

const KEY_HELP = [
  ["Everywhere", [
    ["1 2 3 4", "go to the time line, flame graph, table, source"],
    ["/", "search functions and files"],
    ["n  N", "next and previous match in the flame graph"],
    ["m", "next view: peak, moment, left, gone, given, temporary"],
    ["u", "count bytes or blocks"],
    ["w", "the table alone, or with the flame graph"],
    ["f", "figures: functions, sizes, resident memory"],
    ["p  P", "next and previous process"],
    ["t  T", "next and previous thread"],
    ["Esc", "clear the innermost: zoom, search, details, stretch of time"],
    ["0", "clear every filter"],
    ["d", "dark or light"],
    ["?", "this list"],
  ]],
  ["Moments", [["click, Enter", "look at the moment of the cursor"]]],
  ...KEYS_OF_EVERY_PAGE,
];

class MemoryPage extends FlamePage {
  constructor(memory) {
    super(memory, new Choices(initialChoices(memory), (name, text) => parseChoice(memory, name, text), memory.bucketCount), FILTERS);
    showSummary(memory);
    const { choices } = this;
    byId("figures-button").addEventListener("click", () => showFigures(memory));
    byId("wide-button").addEventListener("click", () => choices.set({ wide: !choices.values.wide }));
    byId("unit-select").addEventListener("change", (event) => choices.set({ unit: event.target.value }));
    this.begin(new Timeline(memory, choices), KEY_HELP, {
      m: () => this.nextView(),
      u: () => choices.set({ unit: choices.values.unit === "bytes" ? "blocks" : "bytes" }),
      w: () => choices.set({ wide: !choices.values.wide }),
      f: () => showFigures(memory),
      s: null,
    });
  }

  update(values, changed) {
    document.body.classList.toggle("wide-table", values.wide);
    super.update(values, changed);
    if (changed?.has("wide")) this.repaint();
  }

  nextView() {
    const views = this.recording.views();
    this.choices.set({ view: views[(views.indexOf(this.choices.values.view) + 1) % views.length] });
  }

  makeFilters() {
    const { recording, choices } = this;
    this.makeSelects();
    this.viewButtons = recording.views().map((view) => {
      const { label, about } = VIEWS[view];
      const button = el("button", { type: "button", class: "preset", title: `${label}: ${about} (m)`, onclick: () => choices.set({ view }) }, label);
      byId("views").append(button);
      return { button, view };
    });
    this.chips = recording.allocators.map((allocator) => {
      const word = recording.meta.allocators[allocator] ?? `allocator ${allocator}`;
      const share = el("span", { class: "chip-share" });
      const button = el("button", { type: "button", class: "chip", title: `Memory from ${word}. Click counts it or leaves it out; Shift-click counts it alone.` }, el("span", {}, word), share);
      button.addEventListener("click", (event) => {
        const allocators = event.shiftKey ? 1 << allocator : choices.values.allocators ^ (1 << allocator);
        choices.set({ allocators: recording.allocators.some((other) => (allocators >> other) & 1) ? allocators : -1 });
      });
      byId("states").append(button);
      return { allocator, button, share };
    });
  }

  showFilters(values) {
    const { recording, sums } = this;
    const isWhole = recording.isWhole(values);
    byId("stretch").replaceChildren(el("b", {}, this.whatIsShown(values)), ` ${formatBytes(sums.allBytes)} in ${formatCount(sums.allBlocks)} blocks`,
      isWhole || !isOfStretch(values.view) ? "" : el("button", { type: "button", class: "clear", title: "Select the whole recording (Escape)", "aria-label": "Clear the stretch of time", onclick: () => this.timeline.clear() }, "✕"));
    this.showSelects(values);
    for (const { button, view } of this.viewButtons) button.setAttribute("aria-pressed", String(values.view === view));
    const all = [...sums.ofAllocator.values()].reduce((sum, amount) => sum + amount, 0);
    for (const { allocator, button, share } of this.chips) {
      button.setAttribute("aria-pressed", String(Boolean((values.allocators >> allocator) & 1)));
      share.textContent = formatShare(sums.ofAllocator.get(allocator), all);
    }
    byId("unit-select").value = values.unit;
    byId("wide-button").setAttribute("aria-pressed", String(values.wide));
  }

  /** What the graph is of, in words. */
  whatIsShown({ view, from, to, at }) {
    const { recording } = this;
    const moment = (bucket) => formatMoment(recording.moment(bucket), recording.bucketSeconds);
    const isWhole = from === 0 && to === recording.bucketCount;
    const stretch = `${moment(from)} – ${moment(to)}`;
    return {
      peak: "In use at the peak:",
      moment: `In use at ${moment(at + 1)}:`,
      left: isWhole ? "In use at the end:" : `Given in ${stretch}, in use at its end:`,
      gone: isWhole ? "Given and taken back:" : `Given and taken back in ${stretch}:`,
      given: isWhole ? "Given in all:" : `Given in ${stretch}:`,
      temporary: "Given and soon taken back:",
    }[view];
  }
}

/** Whether a view is of what was given in the stretch. */
const isOfStretch = (view) => ["left", "gone", "given"].includes(view);

startPage("recording", 1, (data) => new MemoryPage(new Memory(data)));
