// The keyboard beyond what single parts handle themselves, and the list of keys that `?` shows.

/** Keys for what a page without lines does not have. */
const KEYS_OF_LINES = ["l", "h"];

/** Shows the keys: groups of a title and pairs of keys and what they do. */
function showKeys(groups, recording) {
  const dialog = byId("keys");
  dialog.replaceChildren(
    el("div", { class: "bar" }, el("h2", { id: "keys-title" }, "Keys"), el("span", { class: "spacer" }),
      el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    el("div", { class: "key-groups" }, groups.map(([title, keys]) => el("section", {}, el("h3", {}, title),
      el("dl", {}, keys.filter(([key]) => recording.hasLines || !KEYS_OF_LINES.includes(key)).map(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)]))))),
  );
  dialog.showModal();
}

/** What every page with a flame graph has. */
const KEYS_OF_EVERY_PAGE = [
  ["Time line", [
    ["← →", "move the cursor"],
    ["Shift ← →", "select a stretch"],
    ["[  ]", "start and end the stretch at the cursor"],
    ["Ctrl ← →, PgUp PgDn", "larger steps"],
    ["Tab", "to the handles of the stretch, then ← →"],
  ]],
  ["Flame graph", [
    ["↑ ↓ ← →", "to the caller, the largest callee, the neighbours"],
    ["Home  End", "to the root, down the hottest path"],
    ["Enter", "zoom and show the function"],
    ["Space", "show the function"],
    ["Backspace", "zoom out"],
    ["+ −", "widen and narrow"],
    ["g", "group by nothing, process, thread"],
    ["l", "split functions by line"],
    ["i", "callers of the innermost functions"],
    ["o", "root at the top or bottom"],
    ["c", "colour by kind, file, function"],
  ]],
  ["Table and source", [
    ["↑ ↓ Enter", "choose a function"],
    ["r", "sort by own, total, name"],
    ["v", "functions, lines, files"],
    ["h", "hottest line of the function"],
    ["z", "its largest frame in the flame graph"],
  ]],
];

/** Connects global keys to `page`'s parts; `more` are keys that only this page has. */
function listenToKeys(page, groups, more) {
  const { choices, recording } = page;
  const cycle = (list, value, step = 1) => list[(list.indexOf(value) + step + list.length) % list.length];
  const next = (name, ...list) => () => choices.set({ [name]: cycle(list, choices.values[name]) });
  const toggle = (name) => () => choices.set({ [name]: !choices.values[name] });
  const cycleThread = (step) => () => {
    const threads = recording.threads.map((_, index) => index)
      .filter((thread) => choices.values.process === null || recording.threadProcess[thread] === choices.values.process);
    choices.set({ thread: cycle([null, ...threads], choices.values.thread, step) });
  };
  const cycleProcess = (step) => () =>
    choices.set({ process: cycle([null, ...recording.processes.keys()], choices.values.process, step), thread: null });
  const actions = {
    "1": () => byId("time-scroll").focus(),
    "2": () => byId("flame-canvas").focus(),
    "3": () => page.focusTable(),
    "4": () => (choices.values.selected === null ? page.focusTable() : page.source.focus()),
    "/": () => byId("search").select(),
    "?": () => showKeys(groups, recording),
    n: () => page.flame.nextMatch(1),
    N: () => page.flame.nextMatch(-1),
    p: cycleProcess(1),
    P: cycleProcess(-1),
    t: cycleThread(1),
    T: cycleThread(-1),
    d: () => theme.toggle(),
    g: next("group", "none", "process", "thread"),
    c: next("colour", "kind", "file", "function"),
    r: next("sort", "own", "total", "name"),
    v: next("list", "functions", ...(recording.hasLines ? ["lines"] : []), "files"),
    l: recording.hasLines ? toggle("lines") : null,
    i: toggle("invert"),
    o: toggle("flip"),
    h: recording.hasLines ? () => page.source.goToHottest() : null,
    z: () => page.flame.showFunction(choices.values.selected),
    "0": () => page.clearFilters(),
    Escape: () => page.clearInnermost(),
    ...more,
  };
  // A fast typist's next key must find what the last one changed, though the frame that shows it is not yet due.
  document.addEventListener("keydown", () => choices.tell(), { capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
    const typing = event.target.matches?.("input, select, textarea");
    if (typing && event.key === "Escape" && event.target.id === "search") {
      if (choices.values.search) choices.set({ search: "" });
      else byId("flame-canvas").focus();
      event.preventDefault();
      return;
    }
    const action = actions[event.key];
    if (typing || !action) return;
    event.preventDefault();
    action();
  });
}
