// Makes the picture one that can be zoomed and searched. Without this script it is a plain picture.
//
// Frames come callers first, each with the number of its first sample (`data-s`) and how many it has (`data-n`):
// whatever is zoomed, places follow from these and are never rounded twice.

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const HTML = "http://www.w3.org/1999/xhtml";
  const PADDING = 4;
  const NARROWEST_VIEW = 420;
  const svg = document.currentScript?.ownerSVGElement ?? document.documentElement;
  const height = Number(svg.getAttribute("height"));
  const alone = svg === document.documentElement;
  const heading = svg.querySelector(".head");
  const note = svg.querySelector(".note");
  const noteText = note.textContent;
  const headingText = svg.querySelector("title").textContent;

  const frames = [...svg.querySelectorAll("g[data-n]")].map((group) => {
    const rect = group.querySelector("rect");
    const about = group.querySelector("title").textContent;
    return {
      group, rect, about,
      text: group.querySelector("text"),
      label: about.slice(0, about.lastIndexOf(": ")),
      start: Number(group.dataset.s),
      count: Number(group.dataset.n),
      y: Number(rect.getAttribute("y")),
      hit: false,
    };
  });
  if (frames.length === 0) return;
  const frameOf = new Map(frames.map((frame) => [frame.group, frame]));
  const all = frames[0];
  let zoomed = all;
  let width = 0;
  let character = 6.7;

  // ---- Controls ---------------------------------------------------------------------------------------

  const make = (name, attributes, text = "") => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const box = make("foreignObject", { y: 3, width: 232, height: 24 });
  const search = document.createElementNS(HTML, "input");
  search.type = "search";
  search.placeholder = "Search or regex  /";
  search.setAttribute("aria-label", "Search functions and files");
  search.spellcheck = false;
  box.append(search);
  const reset = make("text", { y: 38, class: "link", role: "button", tabindex: 0 }, "Reset zoom");
  const matched = make("text", { y: 38, class: "matched", "text-anchor": "end", role: "status" });
  svg.append(box, reset, matched);

  // ---- What is shown ----------------------------------------------------------------------------------

  const inside = (frame, outer) =>
    frame.y >= outer.y && frame.start >= outer.start && frame.start + frame.count <= outer.start + outer.count;

  function shorten(text, room) {
    const letters = [...text];
    return letters.length > room ? `${letters.slice(0, room - 1).join("")}…` : text;
  }

  /** Writes as much of a label as a frame has room for. */
  function write(frame, left, size) {
    const room = Math.floor((size - 2 * PADDING) / character);
    if (room < 3) {
      if (frame.text) frame.text.textContent = "";
      return;
    }
    if (!frame.text) {
      frame.text = make("text", { y: frame.y + 13 });
      frame.group.append(frame.text);
    }
    frame.text.textContent = shorten(frame.label, room);
    frame.text.setAttribute("x", left + PADDING);
  }

  function draw() {
    for (const frame of frames) {
      // What led to the zoomed frame stays, as wide as all of it.
      const leads = frame !== zoomed && inside(zoomed, frame);
      const shown = leads || inside(frame, zoomed);
      frame.group.style.display = shown ? "" : "none";
      if (!shown) continue;
      const left = leads ? 0 : ((frame.start - zoomed.start) / zoomed.count) * width;
      const size = leads ? width : (frame.count / zoomed.count) * width;
      frame.rect.setAttribute("x", left);
      frame.rect.setAttribute("width", size);
      frame.group.classList.toggle("leads", leads);
      frame.group.classList.toggle("hit", frame.hit);
      write(frame, left, size);
    }
    reset.style.display = zoomed === all ? "none" : "";
    tellMatches();
  }

  /** A picture of its own takes the window's width, so that letters keep their size. */
  function fit() {
    width = Math.max(NARROWEST_VIEW, alone ? document.documentElement.clientWidth || innerWidth : svg.clientWidth);
    svg.setAttribute("width", alone ? width : "100%");
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    all.text ??= all.group.appendChild(make("text", { y: all.y + 13 }));
    all.text.textContent = "mmmmmmmmmm";
    character = all.text.getComputedTextLength() / 10 || character;
    box.setAttribute("x", width - 236);
    matched.setAttribute("x", width - 4);
    heading.textContent = shorten(headingText, Math.floor((width - 250) / (character * 1.28)));
    draw();
  }

  // ---- Search -----------------------------------------------------------------------------------------

  function matcher(text) {
    if (text === "") return () => false;
    try {
      const pattern = new RegExp(text, "i");
      return (label) => pattern.test(label);
    } catch {
      // An expression that is not finished is a text.
      const part = text.toLowerCase();
      return (label) => label.toLowerCase().includes(part);
    }
  }

  function find() {
    const matches = matcher(search.value);
    for (const frame of frames) frame.hit = matches(frame.label);
    draw();
  }

  /** The share of what is zoomed that lies in matches; a match within a match counts once. */
  function tellMatches() {
    let until = zoomed.start;
    let ticks = 0;
    for (const frame of frames) {
      if (!frame.hit || frame.start < until) continue;
      if (inside(frame, zoomed)) {
        ticks += frame.count;
        until = frame.start + frame.count;
      } else if (inside(zoomed, frame)) {
        ticks = zoomed.count;
        break;
      }
    }
    const share = ((100 * ticks) / zoomed.count).toFixed(1);
    matched.textContent = search.value === "" ? "" : `${share} % matched`;
    const room = search.value === "" ? 0 : matched.getComputedTextLength() + 16;
    reset.setAttribute("x", width - room - 74);
  }

  // ---- Choices ----------------------------------------------------------------------------------------

  /** The view as the address keeps it, so that it can be shared. */
  function keep() {
    const parts = [];
    if (zoomed !== all) parts.push(`zoom=${frames.indexOf(zoomed)}`);
    if (search.value !== "") parts.push(`search=${encodeURIComponent(search.value)}`);
    try {
      history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
    } catch {
      // A picture in a sandbox has no address of its own.
    }
  }

  function restore() {
    const kept = new URLSearchParams(location.hash.slice(1));
    zoomed = frames[Number(kept.get("zoom"))] ?? all;
    search.value = kept.get("search") ?? "";
    for (const frame of frames) frame.hit = false;
    find();
  }

  function zoom(frame) {
    zoomed = frame;
    draw();
    if (alone) keep();
  }

  svg.classList.add("live");
  svg.addEventListener("click", (event) => {
    const frame = frameOf.get(event.target.closest("g"));
    if (frame) zoom(frame);
  });
  const tell = (text) => (note.textContent = shorten(text, Math.floor((width - 250) / character)));
  svg.addEventListener("mouseover", (event) => tell(frameOf.get(event.target.closest("g"))?.about ?? noteText));
  svg.addEventListener("mouseleave", () => tell(noteText));
  reset.addEventListener("click", () => zoom(all));
  reset.addEventListener("keydown", (event) => event.key === "Enter" && zoom(all));
  search.addEventListener("input", () => {
    find();
    if (alone) keep();
  });
  if (alone) {
    addEventListener("resize", fit);
    addEventListener("hashchange", restore);
    addEventListener("keydown", (event) => {
      const wantsSearch = (event.key === "/" && event.target !== search) || (event.key === "f" && (event.ctrlKey || event.metaKey));
      if (wantsSearch) {
        search.select();
        search.focus();
      } else if (event.key === "Escape" && search.value !== "") {
        search.value = "";
        find();
        keep();
      } else if (event.key === "Escape") {
        search.blur();
        zoom(all);
      } else {
        return;
      }
      event.preventDefault();
    });
  }
  fit();
  if (alone) restore();
})();
