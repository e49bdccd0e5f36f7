// The table of functions, lines or files: own and total, sortable, searchable; it says in words what the graph shows.

/** Rows that are shown first; a button shows more. */
const TABLE_ROWS = 100;

/** Of each list its title, what one entry is called, and what several are. */
const LISTS = {
  functions: ["Functions", "function", "functions"],
  lines: ["Hot lines", "line", "lines"],
  files: ["Files", "file", "files"],
};

class Table {
  constructor(recording, choices) {
    this.recording = recording;
    this.choices = choices;
    this.body = byId("table-body");
    this.limit = TABLE_ROWS;
    for (const sort of ["own", "total", "name"]) {
      byId(`sort-${sort}`).firstElementChild.addEventListener("click", () => choices.set({ sort }));
    }
    for (const list of Object.keys(LISTS)) byId(`list-${list}`).addEventListener("click", () => choices.set({ list }));
    const { more } = recording;
    if (more) byId("sort-total").after(el("th", { scope: "col", id: "sort-more" }, el("button", { type: "button", disabled: true, title: more.about }, more.title)));
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-code]");
      if (row) this.open(row);
    });
    this.body.addEventListener("keydown", (event) => this.key(event));
  }

  /** Entries of the chosen list: function, line, own and total ticks. A file's are those of its hottest line. */
  entries(values, sums) {
    const { recording } = this;
    const matches = searcher(recording, values.search);
    const names = recording.functionName;
    const name = (entry) => (values.list === "files" ? recording.fileShort[recording.functionFile[entry.code]] : names[entry.code]);
    const order = {
      own: (a, b) => b.own - a.own || b.total - a.total,
      total: (a, b) => b.total - a.total || b.own - a.own,
      name: (a, b) => name(a).localeCompare(name(b)) || a.line - b.line,
    };
    const list = values.list === "files" ? this.files(sums, matches) : this.functionsOrLines(values, sums, matches);
    return list.sort(order[values.sort]);
  }

  files(sums, matches) {
    const { recording } = this;
    const found = matches && new Set([...matches.keys()].filter((code) => matches[code]).map((code) => recording.functionFile[code]));
    const list = [];
    for (const [file, line] of recording.hottestLines(sums).entries()) {
      if (line < 0 || (found && !found.has(file))) continue;
      list.push({ code: recording.lineFunction[line], line: recording.lineNumber[line], own: sums.fileOwn[file], total: sums.fileTotal[file] });
    }
    return list;
  }

  functionsOrLines(values, sums, matches) {
    const { recording } = this;
    const byLine = values.list === "lines";
    const own = byLine ? sums.lineOwn : sums.functionOwn;
    const total = byLine ? sums.lineTotal : sums.functionTotal;
    const list = [];
    for (let key = 0; key < total.length; key += 1) {
      if (total[key] === 0) continue;
      const code = byLine ? recording.lineFunction[key] : key;
      if (matches && !matches[code]) continue;
      list.push({ code, line: byLine ? recording.lineNumber[key] : 0, own: own[key], total: total[key] });
    }
    return list;
  }

  update(values, sums) {
    this.values = values;
    this.sums = sums;
    this.list = this.entries(values, sums);
    for (const sort of ["own", "total", "name"]) {
      const direction = sort === "name" ? "ascending" : "descending";
      byId(`sort-${sort}`).setAttribute("aria-sort", values.sort === sort ? direction : "none");
    }
    for (const list of Object.keys(LISTS)) byId(`list-${list}`).setAttribute("aria-pressed", String(values.list === list));
    const [title, one, several] = LISTS[values.list];
    byId("table-title").textContent = title;
    byId("sort-name").firstElementChild.textContent = values.list === "files" ? "File" : "Function";
    byId("table-note").textContent = `${formatCount(this.list.length)} ${this.list.length === 1 ? one : several}`;
    this.fill();
  }

  fill() {
    const focused = this.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const rows = this.list.slice(0, this.limit).map((entry) => this.row(entry));
    if (this.list.length > this.limit) {
      const more = () => {
        this.limit *= 4;
        this.fill();
      };
      rows.push(el("tr", {}, el("td", { colspan: 4 }, el("button", { type: "button", onclick: more }, `Show more of ${formatCount(this.list.length)}`))));
    }
    if (rows.length === 0) rows.push(el("tr", {}, el("td", { colspan: 4, class: "empty" }, this.recording.nothing[1])));
    this.body.replaceChildren(...rows);
    const active = (focused && this.body.querySelector(`[data-key="${focused}"]`)) || this.body.querySelector(".chosen") || this.body.querySelector("tr[data-code]");
    if (active) active.tabIndex = 0;
    if (focused) active?.focus({ preventScroll: true });
  }

  row(entry) {
    const { recording, sums, values } = this;
    const kind = KINDS[recording.functionKind[entry.code]];
    const place = values.list === "lines" ? recording.place(entry.code, entry.line) : recording.place(entry.code);
    const share = (ticks) => {
      const bar = el("i", { class: "bar-fill", "aria-hidden": "true" });
      bar.style.width = `${sums.whole ? (100 * ticks) / sums.whole : 0}%`;
      return el("td", { class: "share", title: recording.format(ticks) }, bar, el("span", {}, formatShare(ticks, sums.whole)));
    };
    const swatch = el("i", { class: `kind kind-${recording.functionKind[entry.code]}`, title: kind, role: "img", "aria-label": kind });
    const file = recording.functionFile[entry.code];
    const chosen = {
      functions: values.selected === entry.code,
      lines: values.selected === entry.code && values.line === entry.line,
      files: values.selected !== null && recording.functionFile[values.selected] === file,
    }[values.list];
    const label = values.list === "files" ? recording.fileShort[file] || kind : recording.functionName[entry.code];
    const title = values.list === "files" ? recording.meta.files[file] : `${recording.functionName[entry.code]}\n${recording.meta.files[file]}`;
    const beside = values.list === "files" ? `${entry.line && recording.hasLines ? `hottest line ${entry.line} · ` : ""}${recording.functionName[entry.code]}` : place;
    const key = { functions: entry.code, lines: recording.lineId(file, entry.line), files: file }[values.list];
    const more = recording.more && el("td", { class: "more" }, recording.more.of({ functions: "function", lines: "line", files: "file" }[values.list], key, sums));
    return el("tr", {
      "data-code": entry.code, "data-line": entry.line, "data-key": `${entry.code}-${entry.line}`, tabindex: -1,
      class: chosen ? "chosen" : null, "aria-selected": chosen ? "true" : null,
    }, share(entry.own), share(entry.total), more, el("td", { class: "name", title },
      swatch, el("span", { class: "function" }, label), el("span", { class: "place" }, beside)));
  }

  open(row) {
    const line = this.values.list === "functions" ? null : Number(row.dataset.line);
    this.choices.set({ selected: Number(row.dataset.code), line });
  }

  focus() {
    this.body.querySelector('tr[tabindex="0"]')?.focus();
  }

  key(event) {
    const row = event.target.closest("tr[data-code]");
    if (!row || event.target !== row) return;
    const rows = [...this.body.querySelectorAll("tr[data-code]")];
    const index = rows.indexOf(row);
    const steps = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + 10, PageUp: index - 10, Home: 0, End: rows.length - 1 };
    if (event.key === "Enter" || event.key === " ") {
      this.open(row);
    } else if (event.key in steps) {
      const next = rows[Math.max(0, Math.min(rows.length - 1, steps[event.key]))];
      row.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    } else {
      return;
    }
    event.preventDefault();
  }
}
