// The figures beside the graph: allocators, sizes of blocks, and resident memory beside the heap.

function showFigures(memory) {
  const { figures } = memory.meta;
  const dialog = byId("figures");
  dialog.replaceChildren(
    el("div", { class: "bar" }, el("h2", { id: "figures-title" }, "Figures"), el("span", { class: "spacer" }),
      el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    el("div", { class: "figure-groups" },
      figureTable("By function", "What was given in all", ["Function", "Blocks", "Bytes"],
        figures.allocators.map(([name, amount]) => [name, formatCount(amount.blocks), formatBytes(amount.bytes)])),
      figures.sizes.length ? sizesOf(figures.sizes) : null,
      figures.resident ? residentOf(figures.resident) : null),
  );
  dialog.showModal();
}

function figureTable(title, about, heads, rows) {
  return el("section", {}, el("h3", {}, title), el("p", { class: "about" }, about),
    el("table", { class: "figure" }, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))));
}

/** Sizes of blocks: a bar for each power of two. */
function sizesOf(sizes) {
  const most = sizes.reduce((max, [, count]) => Math.max(max, count), 1);
  const bar = (count) => {
    const fill = el("i", { class: "size-bar", "aria-hidden": "true" });
    fill.style.width = `${(100 * count) / most}%`;
    return fill;
  };
  return figureTable("By size", "How many blocks of each size were given", ["From", "Blocks", ""],
    sizes.map(([from, count]) => [formatBytes(from), formatCount(count), bar(count)]));
}

/** What was resident when most was, and what is known of it. */
function residentOf(resident) {
  return el("section", {}, el("h3", {}, "Resident memory"), el("p", { class: "about" }, resident.about),
    el("table", { class: "figure" }, el("tbody", {}, resident.parts.map(({ name, bytes, within }) =>
      el("tr", { class: within ? "within" : null }, el("td", {}, name), el("td", {}, formatBytes(bytes)))))),
    resident.notes.map((note) => el("p", { class: "about" }, note)));
}
