// Puts the parts together: decodes the recording, connects choices to sums and sums to what is shown.

/** Choices after which everything must be summed again. */
const FILTERS = ["from", "to", "process", "thread", "states"];

class ProfilePage extends FlamePage {
  constructor(recording) {
    super(recording, new Choices(initialChoices(recording), (name, text) => parseChoice(recording, name, text), recording.bucketCount), FILTERS);
    showSummary(recording);
    this.presets = makePresets(recording);
    this.begin(new Timeline(recording, this.choices), KEY_HELP, { s: () => this.nextPreset() });
  }

  // ---- Filters ----------------------------------------------------------------------------------------

  makeFilters() {
    const { recording, choices } = this;
    this.makeSelects();
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
    this.showSelects(values);
    const all = sums.stateTicks.reduce((sum, ticks) => sum + ticks, 0);
    for (const { state, word, button, swatch, share } of this.chips) {
      button.setAttribute("aria-pressed", String(Boolean((values.states >> state) & 1)));
      share.textContent = formatShare(sums.stateTicks[state], all);
      const context = swatch.getContext("2d");
      context.fillStyle = stateOf(word).hatched ? hatch(context, stateColour(word), stateOf(word).hatched) : stateColour(word);
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

startPage("recording", 1, (data) => new ProfilePage(new Recording(data)));
