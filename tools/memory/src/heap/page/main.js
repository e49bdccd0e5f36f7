// Decodes figures and pools, draws the pools, fills the tables. Nothing of the data is ever parsed as HTML.

const byId = (id) => document.getElementById(id);
const FREE = 255, UNTOUCHED = 254, UNREADABLE = 253;

const unpack = async (id) => {
  const packed = Uint8Array.from(atob(byId(id).textContent), (one) => one.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

const bytes = (count) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit + 1 < units.length) { count /= 1024; unit += 1; }
  return `${unit && count < 10 && count % 1 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
};
const number = (value) => value.toLocaleString("en");
const percent = (share) => `${share && share < 0.0995 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
const element = (name, text, parent) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
};
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const swatch = (list, colour, text) => {
  const item = element("li", undefined, list);
  const box = element("span", undefined, item);
  box.className = "swatch";
  box.style.backgroundColor = colour;
  element("span", text, item);
};

const facts = (figures) => {
  const total = figures.total;
  const all = total.arenas * total.arena_bytes;
  const share = (part) => (all ? ` (${percent(part / all)})` : "");
  const highest = total.arenas_highest === null ? "" : `, ${number(total.arenas_highest)} at most`;
  const rows = [
    ["Arenas", `${number(total.arenas)} of ${bytes(total.arena_bytes)}: ${bytes(all)}${highest}`],
    ["In use", bytes(total.used_bytes) + share(total.used_bytes)],
    ["Blocks", number(total.blocks)],
    ["Free blocks", bytes(total.free_block_bytes) + share(total.free_block_bytes)],
    ["Free pools", bytes(total.free_pool_bytes) + share(total.free_pool_bytes)],
    ["Side by side", `${number(total.arenas_needed)} arenas would do`],
  ];
  if (figures.resident) rows.push(["Resident", bytes(figures.resident.total_bytes)]);
  for (const [name, value] of rows) {
    const pair = element("div", undefined, byId("facts"));
    element("dt", name, pair);
    element("dd", value, pair);
  }
};

const RESIDENT = [
  ["small objects (the arenas)", "arenas_bytes", "#0b8f7a"],
  ["malloc: the heap", "heap_bytes", "#d9772b"],
  ["malloc: heaps of threads", "thread_heaps_bytes", "#e0a458"],
  ["other memory without a file", "anonymous_bytes", "#7a6fc4"],
  ["the main thread's stack", "stack_bytes", "#c25b8a"],
  ["programs, libraries, files", "file_bytes", "#7b8794"],
];

const showResident = (resident) => {
  if (!resident) return;
  byId("resident-pane").hidden = false;
  const texts = [];
  for (const [name, field, colour] of RESIDENT) {
    const value = resident[field] ?? 0;
    if (!value) continue;
    const part = element("div", undefined, byId("resident-bar"));
    part.style.flex = `${value} 0 0`;
    part.style.backgroundColor = colour;
    part.title = `${name}: ${bytes(value)}`;
    texts.push(`${name} ${bytes(value)}`);
    swatch(byId("resident-legend"), colour, `${name} ${bytes(value)}, ${percent(value / resident.total_bytes)}`);
  }
  byId("resident-bar").setAttribute("aria-label", texts.join("; "));
};

const sizes = (classes) => {
  const body = byId("sizes").querySelector("tbody");
  for (const one of classes) {
    const row = element("tr", undefined, body);
    const share = one.blocks / Math.max(1, one.blocks + one.free_blocks);
    element("td", `${one.size_bytes} B`, row);
    element("td", number(one.pools), row);
    element("td", number(one.blocks), row);
    element("td", number(one.free_blocks), row);
    element("td", bytes(one.blocks * one.size_bytes), row);
    meter(row, share);
  }
};

/** A cell with a share as a number and as a bar. */
const meter = (row, share) => {
  const box = element("div", undefined, element("td", undefined, row));
  box.className = "meter";
  element("span", percent(share), box);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  bar.setAttribute("width", String(share * 100));
  bar.setAttribute("height", "10");
  svg.append(bar);
  box.append(svg);
};

const types = (objects) => {
  const SHOWN = 200;
  const all = objects.types.reduce((sum, one) => sum + one.bytes, 0);
  for (const one of objects.types.slice(0, SHOWN)) {
    const row = element("tr", undefined, byId("types").querySelector("tbody"));
    element("td", one.name ?? "parts of others: tables, items, buffers", row).className = "name";
    element("td", number(one.blocks), row);
    element("td", bytes(one.bytes), row);
    meter(row, one.bytes / Math.max(1, all));
  }
  const sample = objects.pools === objects.pools_looked_at ? "" : `A sample: ${number(objects.pools_looked_at)} of ${number(objects.pools)} pools. `;
  byId("types-note").textContent = `${sample}${number(objects.types.length)} types${objects.types.length > SHOWN ? `, of which ${SHOWN} are shown` : ""}.`;
};

/** The arenas with their pools: pairs of size class and fill. */
const decodePools = (packed, arenas) => {
  let at = 0;
  return arenas.map((arena) => {
    const count = packed[at];
    const pools = packed.subarray(at + 1, at + 1 + 2 * count);
    at += 1 + 2 * count;
    return { ...arena, pools };
  });
};

const mix = (from, to, share) => {
  const part = (colour, place) => parseInt(colour.slice(1 + 2 * place, 3 + 2 * place), 16);
  return `rgb(${[0, 1, 2].map((place) => Math.round(part(from, place) * (1 - share) + part(to, place) * share)).join(" ")})`;
};

const picture = (all, figures) => {
  const canvas = byId("picture"), context = canvas.getContext("2d");
  const CELL_MAX = 64;
  // A canvas has a limit: rows get lower where there are many arenas, and of very many, those with the least in use are drawn.
  const rows = Math.min(all.length, 8000);
  const height = all.length > 2000 ? 3 : all.length > 400 ? 5 : 10;
  let shown = [], width = 10;
  const order = () => {
    shown = [...all];
    if (byId("order").value === "share") shown.sort((a, b) => a.share - b.share);
    shown = shown.slice(0, rows);
  };
  const colour = (pool, fill, byFill, colours) => {
    if (pool === FREE) return colours.free;
    if (pool === UNTOUCHED) return colours.untouched;
    if (pool === UNREADABLE) return colours.bad;
    return byFill ? colours.fills[fill >> 4] : `hsl(${(pool * 360) / 32 + (pool % 2) * 40} 60% ${pool % 2 ? 62 : 48}%)`;
  };
  const draw = () => {
    const scale = window.devicePixelRatio || 1;
    width = Math.max(4, Math.floor((byId("picture-scroll").clientWidth - 2) / CELL_MAX));
    canvas.style.width = `${width * CELL_MAX}px`;
    canvas.style.height = `${height * shown.length}px`;
    canvas.width = width * CELL_MAX * scale;
    canvas.height = height * shown.length * scale;
    context.scale(scale, scale);
    const byFill = byId("colour").value === "fill";
    const fills = Array.from({ length: 16 }, (_, step) => mix(css("--sparse"), css("--full"), step / 15));
    const colours = { free: css("--free"), untouched: css("--untouched"), bad: css("--bad"), fills };
    const gap = height > 4 ? 1 : 0;
    shown.forEach((arena, row) => {
      for (let place = 0; place < arena.pools.length / 2; place += 1) {
        context.fillStyle = colour(arena.pools[2 * place], arena.pools[2 * place + 1], byFill, colours);
        context.fillRect(place * width, row * height, width - 1, height - gap);
      }
    });
    legend(byFill, colours);
  };
  const legend = (byFill, colours) => {
    const list = byId("picture-legend");
    list.replaceChildren();
    if (byFill) {
      for (const [step, text] of [[0, "few of its blocks in use"], [8, "half of them"], [15, "all"]]) swatch(list, colours.fills[step], text);
    } else {
      for (const one of figures.total.classes) swatch(list, colour(one.size_bytes / 16 - 1, 0, false, colours), `${one.size_bytes} B`);
    }
    swatch(list, colours.free, "free: no block in use");
    swatch(list, colours.untouched, "never used");
  };
  const tell = (row, place) => {
    const arena = shown[row];
    if (!arena) return;
    const pool = arena.pools[2 * place], fill = arena.pools[2 * place + 1];
    const what = pool === undefined ? "" : pool === FREE ? "a free pool" : pool === UNTOUCHED ? "a pool that was never used"
      : pool === UNREADABLE ? "a pool that could not be read" : `a pool of ${16 * (pool + 1)} B blocks, ${percent(fill / 255)} in use`;
    byId("status").textContent =
      `arena 0x${arena.address.toString(16)}: ${percent(arena.share)} in use, ${number(arena.blocks)} blocks, ${bytes(arena.used_bytes)}${what && "; " + what}`;
  };
  let at = { row: 0, place: 0 };
  canvas.addEventListener("mousemove", (event) => {
    at = { row: Math.floor(event.offsetY / height), place: Math.floor(event.offsetX / width) };
    tell(at.row, at.place);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    at.row = Math.min(shown.length - 1, Math.max(0, at.row + step[0]));
    at.place = Math.min(CELL_MAX - 1, Math.max(0, at.place + step[1]));
    tell(at.row, at.place);
  });
  const again = () => { order(); draw(); };
  byId("order").addEventListener("change", again);
  byId("colour").addEventListener("change", draw);
  window.addEventListener("resize", draw);
  byId("picture-note").textContent = all.length > rows
    ? `One row an arena, one cell a pool of ${bytes(figures.total.pool_bytes)}. The first ${number(rows)} of ${number(all.length)} arenas are drawn.`
    : `One row an arena, one cell a pool of ${bytes(figures.total.pool_bytes)}. An arena is given back when all its pools are free.`;
  again();
  return draw;
};

const main = async () => {
  const figures = JSON.parse(new TextDecoder().decode(await unpack("figures")));
  const process = figures.process;
  byId("command").textContent = `Heap of ${process.command || "process"} (${process.pid}), CPython ${process.version}`;
  facts(figures);
  for (const one of figures.advice) element("li", one.text, byId("advice"));
  showResident(figures.resident);
  sizes(figures.total.classes);
  types(figures.objects);
  const root = document.documentElement;
  if (matchMedia("(prefers-color-scheme: dark)").matches) root.dataset.theme = "dark";
  const draw = picture(decodePools(await unpack("pools"), figures.arenas), figures);
  const theme = () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; draw(); };
  byId("theme-button").addEventListener("click", theme);
  document.addEventListener("keydown", (event) => {
    if (event.key === "d" && !event.ctrlKey && !event.metaKey && event.target.tagName !== "SELECT") theme();
  });
};

main().catch((error) => {
  byId("fatal").hidden = false;
  byId("fatal").textContent = `This page cannot be shown: ${error.message}`;
});
