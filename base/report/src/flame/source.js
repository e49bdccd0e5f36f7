// The selected function, or a line of it: who calls it, whom it calls, and its source with the heat of each line.

const SOURCE_LINE_HEIGHT = 18;
/** Lines of a file are drawn only around what is in view. */
const SOURCE_MARGIN_LINES = 30;
const NEIGHBOURS_MAX = 6;

class SourceView {
  constructor(recording, choices) {
    this.recording = recording;
    this.choices = choices;
    this.scroll = byId("source-scroll");
    this.box = byId("source-lines");
    this.file = null;
    this.scroll.addEventListener("scroll", () => this.drawLines());
    new ResizeObserver(() => this.drawLines()).observe(this.scroll);
    byId("close-button").addEventListener("click", () => this.close());
    byId("hottest-button").addEventListener("click", () => this.goToHottest());
    this.box.addEventListener("click", (event) => {
      const row = event.target.closest(".line.hot");
      // A text that was marked is to be copied.
      if (row && getSelection().isCollapsed) this.choose(Number(row.dataset.line));
    });
  }

  /** Shows the callers and callees of a line that is in view; a second time, those of the function again. */
  choose(line) {
    const again = this.choices.values.line === line;
    this.staysInPlace = true;
    this.choices.set({ selected: this.heat.get(line).code, line: again ? null : line });
  }

  close() {
    const inside = byId("detail-pane").contains(document.activeElement);
    this.choices.set({ selected: null });
    if (inside) byId("flame-canvas").focus({ preventScroll: true });
  }

  /** To the source, or where there is none, to the first control of the details. */
  focus() {
    (this.scroll.hidden ? byId("zoom-button") : this.scroll).focus();
  }

  update(values, sums, changed) {
    const code = values.selected;
    byId("detail-pane").hidden = code === null;
    document.body.classList.toggle("has-detail", code !== null);
    if (code === null) {
      this.file = null;
      return;
    }
    const { recording } = this;
    this.code = code;
    this.sums = sums;
    byId("detail-title").textContent = recording.functionName[code];
    byId("detail-title").title = recording.functionName[code];
    const file = recording.functionFile[code];
    const own = sums.functionOwn[code];
    const total = sums.functionTotal[code];
    byId("detail-facts").replaceChildren(
      el("b", {}, recording.format(own)), ` own (${formatShare(own, sums.whole)}) · `,
      el("b", {}, recording.format(total)), ` total (${formatShare(total, sums.whole)}) · `,
      el("span", { class: "path", title: recording.meta.files[file] }, recording.place(code) || KINDS[3]), ` · ${KINDS[recording.functionKind[code]]}`);
    this.heat = recording.heatOfFile(file, sums);
    this.showNeighbours(values, sums);
    this.showFile(file);
    if (this.staysInPlace) this.current = values.line ?? 0;
    else if (!changed || changed.has("selected") || changed.has("line")) this.goTo(values.line || this.hottestLine());
    this.staysInPlace = false;
    this.drawLines(true);
  }

  /** Callers and callees of the chosen line, else of the function, each a link. */
  showNeighbours({ selected, line }, sums) {
    const { recording } = this;
    const id = line === null ? undefined : recording.lineId(recording.functionFile[selected], line);
    this.showLineFacts(line, id, sums);
    const ofFunction = ([other, ticks]) => ({ other, line: null, place: recording.place(other), ticks });
    const ofLine = ([caller, ticks]) => {
      const other = recording.lineFunction[caller];
      return { other, line: recording.lineNumber[caller], place: recording.place(other, recording.lineNumber[caller]), ticks };
    };
    const found = id === undefined ? recording.neighbours(selected, sums) : recording.neighboursOfLine(id, sums);
    const whole = id === undefined ? sums.functionTotal[selected] : sums.lineTotal[id];
    byId("neighbours").replaceChildren(
      this.neighbourList("Called by", found.callers.map(id === undefined ? ofFunction : ofLine), whole),
      this.neighbourList("Calls", found.callees.map(ofFunction), whole),
    );
  }

  neighbourList(title, entries, whole) {
    const item = ({ other, line, place, ticks }) => el("li", {},
      el("button", { type: "button", class: "link", title: place, onclick: () => this.choices.set({ selected: other, line }) },
        this.recording.functionName[other], el("span", { class: "at" }, place)),
      el("span", { class: "share-text", title: this.recording.format(ticks) }, formatShare(ticks, whole)));
    const more = entries.length > NEIGHBOURS_MAX ? el("li", { class: "more" }, `and ${entries.length - NEIGHBOURS_MAX} more`) : null;
    return el("div", { class: "neighbour-list" }, el("h3", {}, title),
      entries.length ? el("ul", {}, entries.slice(0, NEIGHBOURS_MAX).map(item), more) : el("p", { class: "empty" }, "none"));
  }

  /** Own and total of the chosen line, and the way back to the whole function. */
  showLineFacts(line, id, sums) {
    const facts = byId("line-facts");
    facts.hidden = line === null;
    if (facts.hidden) return;
    const [own, total] = id === undefined ? [0, 0] : [sums.lineOwn[id], sums.lineTotal[id]];
    const amount = (ticks) => el("b", {}, this.recording.format(ticks));
    facts.replaceChildren(
      el("b", {}, `Line ${line}`), ": ", amount(own), ` own (${formatShare(own, sums.whole)}) · `,
      amount(total), ` total (${formatShare(total, sums.whole)}) `,
      el("button", { type: "button", class: "link", onclick: () => this.choices.set({ line: null }) }, "whole function"),
    );
  }

  showFile(file) {
    if (this.file === file) return;
    this.file = file;
    const source = this.recording.meta.sources[file] ?? { missing: "the recording kept no source" };
    const note = byId("source-note");
    note.textContent = source.missing ? `No source: ${source.missing}.` : source.from === "disk" ? "Read from disk when this page was made; not changed since the recording." : "";
    note.hidden = note.textContent === "";
    this.lines = source.missing ? [] : source.text.split(/\r\n|\r|\n/);
    this.inString = stringStates(this.lines);
    byId("source-head").hidden = this.scroll.hidden = Boolean(source.missing);
    this.box.style.height = `${this.lines.length * SOURCE_LINE_HEIGHT}px`;
    this.widest = this.lines.reduce((most, line) => Math.max(most, line.length), 0);
  }

  /** The line of the selected function in which, calls included, the most time was spent. */
  hottestLine() {
    const { recording, sums, code } = this;
    let best = recording.functionLine[code];
    let most = [-1, -1];
    for (let line = 0; line < recording.lineCount; line += 1) {
      if (recording.lineFunction[line] !== code || sums.lineTotal[line] === 0) continue;
      const weight = [sums.lineTotal[line], sums.lineOwn[line]];
      if (weight[0] > most[0] || (weight[0] === most[0] && weight[1] > most[1])) {
        most = weight;
        best = recording.lineNumber[line];
      }
    }
    return best;
  }

  goToHottest() {
    if (this.file === null) return;
    this.goTo(this.hottestLine());
    this.drawLines(true);
    this.focus();
  }

  goTo(line) {
    this.current = line;
    this.scroll.scrollTop = Math.max(0, (line - 1) * SOURCE_LINE_HEIGHT - this.scroll.clientHeight / 3);
    this.scroll.scrollLeft = 0;
  }

  /** Puts the lines around the view into the document. */
  drawLines(force = false) {
    if (this.file === null || this.lines.length === 0) return;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / SOURCE_LINE_HEIGHT) - SOURCE_MARGIN_LINES);
    const last = Math.min(this.lines.length, Math.ceil((this.scroll.scrollTop + this.scroll.clientHeight) / SOURCE_LINE_HEIGHT) + SOURCE_MARGIN_LINES);
    if (!force && this.drawn && this.drawn[0] === first && this.drawn[1] === last) return;
    this.drawn = [first, last];
    const rows = [];
    for (let index = first; index < last; index += 1) rows.push(this.line(index));
    const focused = this.box.contains(document.activeElement) ? document.activeElement.closest(".line").dataset.line : null;
    this.box.replaceChildren(...rows);
    if (focused) this.box.querySelector(`[data-line="${focused}"] button`)?.focus({ preventScroll: true });
  }

  line(index) {
    const { recording, sums } = this;
    const number = index + 1;
    const heat = this.heat.get(number);
    const share = (ticks) => (ticks ? formatShare(ticks, sums.whole) : "");
    const row = el("div", {
      class: `line${heat ? " hot" : ""}${number === this.current ? " current" : ""}`,
      "data-line": number,
      title: heat ? `own ${recording.format(heat.own)}, total ${recording.format(heat.total)}: click shows callers and callees` : null,
    }, this.lineNumber(number, heat), el("span", { class: "own" }, heat ? share(heat.own) : ""),
      el("span", { class: "total" }, heat ? share(heat.total) : ""), el("code", {}, colourLine(this.lines[index], this.inString[index])));
    row.style.top = `${index * SOURCE_LINE_HEIGHT}px`;
    row.style.setProperty("--widest", `${this.widest}ch`);
    if (heat && sums.whole) row.style.setProperty("--heat", `${Math.round(Math.sqrt(heat.total / sums.whole) * 42)}%`);
    return row;
  }

  /** The number of a line with samples is a button, so that the keyboard reaches it; a click anywhere does the same. */
  lineNumber(number, heat) {
    if (!heat) return el("span", { class: "number" }, String(number));
    const chosen = this.choices.values.line === number;
    return el("button", { type: "button", class: "number", "aria-pressed": String(chosen), "aria-label": `Line ${number}: callers and callees` }, String(number));
  }
}

const KEYWORDS = /^(?:False|None|True|and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield)$/;
const TOKENS = /("""|'''|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?)|(#.*)|([A-Za-z_]\w*)/g;

/** For each line the kind of triple quotes that it begins in, or "". */
function stringStates(lines) {
  let open = "";
  return lines.map((line) => {
    const before = open;
    for (const [token] of line.matchAll(/"""|'''|#.*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g)) {
      if (open) {
        if (token.startsWith(open)) open = "";
      } else if (token === '"""' || token === "'''") {
        open = token;
      }
    }
    return before;
  });
}

/** A line as text and lightly coloured spans; a rough reading, made for the eye alone. */
function colourLine(line, inString) {
  const parts = [];
  let position = 0;
  if (inString) {
    const end = line.indexOf(inString);
    position = end < 0 ? line.length : end + 3;
    parts.push(el("span", { class: "string" }, line.slice(0, position)));
  }
  TOKENS.lastIndex = position;
  for (let match = TOKENS.exec(line); match; match = TOKENS.exec(line)) {
    let [text, string, comment, word] = match;
    if (word && !KEYWORDS.test(word)) continue;
    if (string === '"""' || string === "'''") {
      const end = line.indexOf(string, TOKENS.lastIndex);
      TOKENS.lastIndex = end < 0 ? line.length : end + 3;
      text = line.slice(match.index, TOKENS.lastIndex);
    }
    parts.push(line.slice(position, match.index), el("span", { class: string ? "string" : comment ? "comment" : "keyword" }, text));
    position = TOKENS.lastIndex;
  }
  parts.push(line.slice(position));
  return parts;
}
