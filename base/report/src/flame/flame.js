// The flame graph: one canvas, drawn anew for what is in view; only frames wider than half a pixel are visited.
//
// A frame's place is a stretch of [0, 1], the whole selection. The view is a window [left, right] on it: zooming
// moves the window, so frames above and below stay where they belong.

const FRAME_HEIGHT = 19;
const FRAME_FONT = "12px system-ui, sans-serif";
/** Frames narrower than this, in pixels, are not drawn. */
const FRAME_WIDTH_MIN = 0.5;

class Flame {
  constructor(recording, choices) {
    this.recording = recording;
    this.choices = choices;
    this.colours = new FrameColours(recording);
    this.canvas = byId("flame-canvas");
    this.scroll = byId("flame-scroll");
    this.window = [0, 1];
    this.focus = ROOT; // the node that the keyboard is on
    this.hovered = null;
    this.widths = new Map();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.scroll);
  }

  // ---- Data -------------------------------------------------------------------------------------------

  /** Takes a newly summed tree; the zoomed and the focused frame are found again by their paths. */
  update(values, tree) {
    const focusPath = this.tree ? this.pathOf(this.focus) : "";
    this.tree = tree;
    this.values = values;
    this.placed = new Map([[ROOT, [0, 1]]]);
    this.zoomed = this.nodeAt(values.zoom);
    this.focus = this.nodeAt(focusPath);
    this.stopAnimation();
    this.window = this.placeOf(this.zoomed);
    this.hovered = null;
    this.showCrumbs();
    this.search();
    if (values.flip !== this.flipped) this.scroll.scrollTop = values.flip ? this.scroll.scrollHeight : 0;
    this.flipped = values.flip;
    if (document.activeElement === this.canvas) byId("flame-status").textContent = this.describe(this.focus);
  }

  /** Functions (and lines, and groups) from the root to a node, as the address keeps them. */
  pathOf(node) {
    const steps = [];
    for (; node > ROOT; node = this.tree.parent[node]) {
      const line = this.tree.line[node];
      steps.push(line ? `${this.tree.code[node]}:${line}` : String(this.tree.code[node]));
    }
    return steps.reverse().join(".");
  }

  /** The node of a path, or the last one on it that has samples in this selection. */
  nodeAt(path) {
    let node = ROOT;
    for (const step of path ? path.split(".") : []) {
      const [code, line = 0] = step.split(":").map(Number);
      const child = this.tree.childrenOf(node).find((next) => this.tree.code[next] === code && this.tree.line[next] === line);
      if (child === undefined) break;
      node = child;
    }
    return node;
  }

  /** The stretch of [0, 1] of a node. */
  placeOf(node) {
    const known = this.placed.get(node);
    if (known) return known;
    const parent = this.tree.parent[node];
    let [left] = this.placeOf(parent);
    const scale = 1 / (this.tree.total[ROOT] || 1);
    for (const child of this.tree.childrenOf(parent)) {
      const right = left + this.tree.total[child] * scale;
      this.placed.set(child, [left, right]);
      left = right;
    }
    return this.placed.get(node);
  }

  depthOf(node) {
    let depth = 0;
    for (; node > ROOT; node = this.tree.parent[node]) depth += 1;
    return depth;
  }

  nameOf(node) {
    const { recording, tree } = this;
    const code = tree.code[node];
    if (node === ROOT) return "all";
    if (code >= 0) return recording.functionName[code];
    const group = -1 - code;
    if (this.values.group === "process") return recording.processLabel[group];
    const process = recording.processes.length > 1 ? ` · ${recording.processLabel[recording.threadProcess[group]]}` : "";
    return `${recording.threadLabel[group]}${process}`;
  }

  placeName(node) {
    const code = this.tree.code[node];
    return node === ROOT || code < 0 ? "" : this.recording.place(code, this.tree.line[node] || undefined);
  }

  // ---- Search -----------------------------------------------------------------------------------------

  /** Marks matching functions and says which share of the samples has one on its stack. */
  search() {
    const { values, tree } = this;
    const matches = searcher(this.recording, values.search);
    this.matches = matches;
    byId("search").classList.toggle("invalid", matches === undefined);
    const result = byId("search-result");
    if (!matches) {
      result.textContent = matches === undefined ? "not a regular expression" : "";
    } else {
      let ticks = 0;
      const rootTree = tree instanceof LeafTree ? tree.tree : tree;
      const within = new Uint8Array(rootTree.total.length);
      for (let node = 1; node < within.length; node += 1) {
        const code = rootTree.code[node];
        within[node] = within[rootTree.parent[node]] || (code >= 0 && matches[code]) ? 1 : 0;
        if (within[node]) ticks += rootTree.own[node];
      }
      this.matchedTicks = ticks;
      result.textContent = `${formatShare(ticks, tree.total[ROOT])} · ${this.recording.format(ticks)}`;
    }
    this.draw();
  }

  /** Moves the focus to the next (1) or previous (−1) matching frame in view, in the order of the picture. */
  nextMatch(direction) {
    if (!this.matches || !this.frames) return;
    const all = this.frames.filter((frame) => this.isMatch(frame.node)).sort((a, b) => a.depth - b.depth || a.left - b.left);
    if (all.length === 0) return;
    const index = all.findIndex((frame) => frame.node === this.focus);
    const start = index < 0 ? (direction > 0 ? -1 : 0) : index;
    this.focusOn(all[(start + direction + all.length) % all.length].node);
  }

  isMatch(node) {
    const code = this.tree.code[node];
    return Boolean(this.matches) && code >= 0 && this.matches[code] === 1;
  }

  // ---- Drawing ----------------------------------------------------------------------------------------

  /** Collects the frames that the window shows: left, width, depth, node; and the greatest depth. */
  layOut(width) {
    const { tree } = this;
    const [from, to] = this.window;
    const scale = width / (to - from);
    const whole = tree.total[ROOT];
    const frames = [];
    let deepest = 0;
    if (whole === 0) return { frames, deepest };
    const visit = [[ROOT, 0, 1, 0]];
    while (visit.length > 0) {
      const [node, left, right, depth] = visit.pop();
      const x = Math.max(0, (left - from) * scale);
      const end = Math.min(width, (right - from) * scale);
      if (end - x < FRAME_WIDTH_MIN) continue;
      frames.push({ node, left: x, width: end - x, depth, cut: left < from });
      deepest = Math.max(deepest, depth);
      let childLeft = left;
      for (const child of tree.childrenOf(node)) {
        const childRight = childLeft + tree.total[child] / whole;
        // Children come largest first: once one is too narrow, all that follow are.
        if ((childRight - childLeft) * scale < FRAME_WIDTH_MIN) break;
        if (childRight > from && childLeft < to) visit.push([child, childLeft, childRight, depth + 1]);
        childLeft = childRight;
      }
    }
    return { frames, deepest };
  }

  draw() {
    if (!this.tree) return;
    const width = this.scroll.clientWidth;
    const height = this.scroll.clientHeight;
    if (width === 0 || height === 0) return;
    const { frames, deepest } = this.layOut(width);
    this.frames = frames;
    this.deepest = deepest;
    const wasAtBottom = this.values.flip && this.scroll.scrollTop + height >= this.scroll.scrollHeight - 2;
    const full = (deepest + 1) * FRAME_HEIGHT + 2;
    byId("flame-spacer").style.height = `${Math.max(full, height)}px`;
    if (wasAtBottom) this.scroll.scrollTop = this.scroll.scrollHeight;
    this.full = Math.max(full, height);
    this.paint(width, height);
  }

  topOf(depth) {
    return this.values.flip ? this.full - (depth + 1) * FRAME_HEIGHT - 1 : depth * FRAME_HEIGHT + 1;
  }

  paint(width, height) {
    const context = prepareCanvas(this.canvas, width, height);
    const offset = this.scroll.scrollTop;
    const text = theme.variable("--frame-text");
    const dim = theme.variable("--frame-dim");
    const gap = theme.variable("--panel");
    context.font = FRAME_FONT;
    context.textBaseline = "middle";
    const zoomDepth = this.depthOf(this.zoomed);
    for (const frame of this.frames) {
      const top = this.topOf(frame.depth) - offset;
      if (top > height || top + FRAME_HEIGHT < 0) continue;
      const shown = Math.max(frame.width - (frame.width > 3 ? 1 : 0), FRAME_WIDTH_MIN);
      const match = this.isMatch(frame.node);
      context.globalAlpha = this.matches && !match ? 0.35 : frame.depth < zoomDepth ? 0.6 : 1;
      context.fillStyle = frame.node === ROOT ? theme.variable("--root") : match ? theme.variable("--match") : this.colours.of(this.tree.code[frame.node], this.values.colour);
      context.fillRect(frame.left, top, shown, FRAME_HEIGHT - 1);
      context.globalAlpha = 1;
      if (match && frame.width > 4) {
        context.strokeStyle = theme.variable("--match-line");
        context.strokeRect(frame.left + 0.5, top + 0.5, shown - 1, FRAME_HEIGHT - 2);
      }
      if (frame.width > 28) this.label(context, frame, top, match ? theme.variable("--match-text") : text, dim);
    }
    for (const [node, colour, dash] of [[this.hovered, theme.variable("--text"), []], [document.activeElement === this.canvas ? this.focus : null, theme.variable("--focus"), []]]) {
      const frame = node === null ? null : this.frames.find((item) => item.node === node);
      if (!frame) continue;
      const top = this.topOf(frame.depth) - offset;
      context.lineWidth = 2;
      context.setLineDash(dash);
      context.strokeStyle = gap;
      context.strokeRect(frame.left + 2.5, top + 2.5, Math.max(1, frame.width - 6), FRAME_HEIGHT - 6);
      context.strokeStyle = colour;
      context.strokeRect(frame.left + 1, top + 1, Math.max(1, frame.width - 3), FRAME_HEIGHT - 3);
      context.lineWidth = 1;
    }
    if (this.tree.total[ROOT] === 0) {
      context.fillStyle = theme.variable("--muted");
      context.font = "13px system-ui, sans-serif";
      context.fillText(this.recording.nothing[0], 12, 24);
    }
  }

  /** Name, and where there is room the place and the share, cut at whole characters. */
  label(context, frame, top, text, dim) {
    const room = frame.width - 8;
    const name = this.nameOf(frame.node);
    const middle = top + FRAME_HEIGHT / 2;
    const shown = this.fit(context, name, room);
    context.fillStyle = text;
    context.globalAlpha = this.matches && !this.isMatch(frame.node) ? 0.6 : 1;
    context.fillText(shown, frame.left + 4, middle);
    const used = this.widthOf(context, shown);
    if (shown === name && room - used > 60) {
      const share = formatShare(this.tree.total[frame.node], this.tree.total[ROOT]);
      const more = `${this.placeName(frame.node)}  ${share}`;
      const shownMore = this.widthOf(context, more) + 10 <= room - used ? more : share;
      context.fillStyle = dim;
      if (this.widthOf(context, shownMore) + 10 <= room - used) context.fillText(shownMore, frame.left + 4 + used + 8, middle);
    }
    context.globalAlpha = 1;
  }

  widthOf(context, text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      if (this.widths.size > 20000) this.widths.clear();
      width = context.measureText(text).width;
      this.widths.set(text, width);
    }
    return width;
  }

  fit(context, text, room) {
    if (this.widthOf(context, text) <= room) return text;
    let [low, high] = [0, text.length];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(`${text.slice(0, middle)}…`).width <= room) low = middle;
      else high = middle - 1;
    }
    return low > 1 ? `${text.slice(0, low)}…` : "";
  }

  // ---- Zoom -------------------------------------------------------------------------------------------

  zoomTo(node) {
    this.zoomed = node;
    this.choices.set({ zoom: this.pathOf(node) });
    this.showCrumbs();
    this.animateTo(this.placeOf(node));
  }

  /** One step out: the parent of the zoomed frame, or the whole when the window was moved by hand. */
  zoomOut() {
    if (this.zoomed === ROOT && this.window[0] === 0 && this.window[1] === 1) return false;
    this.focusOn(this.zoomed);
    this.zoomTo(this.zoomed === ROOT ? ROOT : this.tree.parent[this.zoomed]);
    return true;
  }

  animateTo(goal) {
    this.stopAnimation();
    const start = [...this.window];
    const began = performance.now();
    const duration = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 160;
    const step = (now) => {
      const part = duration === 0 ? 1 : Math.min(1, Math.max(0, (now - began) / duration));
      const eased = 1 - (1 - part) ** 3;
      this.window = part === 1 ? [...goal] : [0, 1].map((side) => start[side] + (goal[side] - start[side]) * eased);
      this.draw();
      this.animation = part < 1 ? requestAnimationFrame(step) : null;
    };
    if (duration === 0) step(began);
    else this.animation = requestAnimationFrame(step);
  }

  stopAnimation() {
    if (this.animation) cancelAnimationFrame(this.animation);
    this.animation = null;
  }

  /** Scales the window by `factor` around a pixel; the window stays within the whole. */
  zoomWindow(factor, x) {
    const width = this.scroll.clientWidth;
    const [from, to] = this.window;
    const size = Math.min(1, Math.max(1e-9, (to - from) * factor));
    const middle = from + ((to - from) * x) / width;
    this.setWindow(middle - (size * x) / width, size);
  }

  setWindow(from, size) {
    from = Math.max(0, Math.min(1 - size, from));
    this.stopAnimation();
    this.window = [from, from + size];
    this.draw();
  }

  showCrumbs() {
    const path = [];
    for (let node = this.zoomed; node >= ROOT; node = this.tree.parent[node]) path.unshift(node);
    // A deep path keeps its ends, which say most.
    const shown = path.length > 9 ? [...path.slice(0, 2), null, ...path.slice(-6)] : path;
    byId("crumbs").replaceChildren(...shown.map((node) => {
      if (node === null) return el("span", { class: "crumb-gap" }, `… ${path.length - 8} more …`);
      const current = node === this.zoomed;
      return el("button", { type: "button", class: "crumb", "aria-current": current ? "true" : null, onclick: () => this.zoomTo(node) }, this.nameOf(node));
    }));
    byId("crumbs").hidden = path.length < 2;
  }

  // ---- Focus, status, tooltip -------------------------------------------------------------------------

  focusOn(node) {
    this.focus = node;
    this.reveal(node);
    this.draw();
    byId("flame-status").textContent = this.describe(node);
  }

  /** Scrolls so that a frame's row is in view. */
  reveal(node) {
    const top = this.topOf(this.depthOf(node));
    const { scrollTop, clientHeight } = this.scroll;
    if (top < scrollTop) this.scroll.scrollTop = top - FRAME_HEIGHT;
    else if (top + FRAME_HEIGHT * 2 > scrollTop + clientHeight) this.scroll.scrollTop = top + FRAME_HEIGHT * 2 - clientHeight;
  }

  describe(node) {
    const { tree, recording } = this;
    const total = tree.total[node];
    const parts = [this.nameOf(node), this.placeName(node), `total ${recording.format(total)} (${formatShare(total, tree.total[ROOT])})`];
    if (!(tree instanceof LeafTree)) parts.push(`own ${recording.format(tree.own[node])} (${formatShare(tree.own[node], tree.total[ROOT])})`);
    if (this.zoomed !== ROOT) parts.push(`${formatShare(total, tree.total[this.zoomed])} of the zoomed function`);
    return parts.filter(Boolean).join(" · ");
  }

  tooltip(node, x, y) {
    const { tree, recording } = this;
    const total = tree.total[node];
    const whole = tree.total[ROOT];
    const line = (name, ticks) => el("div", { class: "tip-line" }, `${name} `, el("b", {}, recording.format(ticks)), ` ${formatShare(ticks, whole)}`);
    const code = tree.code[node];
    showTooltip([
      el("div", { class: "tip-title" }, this.nameOf(node)),
      code >= 0 ? el("div", { class: "tip-file" }, keepEnd(recording.meta.files[recording.functionFile[code]] || "no file", 70), tree.line[node] || recording.functionLine[code] ? `:${tree.line[node] || recording.functionLine[code]}` : "") : null,
      line("total", total),
      tree instanceof LeafTree ? null : line("own", tree.own[node]),
      this.zoomed === ROOT ? null : el("div", { class: "tip-line" }, el("b", {}, formatShare(total, tree.total[this.zoomed])), " of the zoomed function"),
      code >= 0 ? el("div", { class: "tip-more" }, KINDS[recording.functionKind[code]]) : null,
    ].filter(Boolean), x, y);
  }

  frameAt(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const x = clientX - box.left;
    const y = clientY - box.top + this.scroll.scrollTop;
    return this.frames?.find((frame) => {
      const top = this.topOf(frame.depth);
      return y >= top && y < top + FRAME_HEIGHT && x >= frame.left && x < frame.left + frame.width;
    });
  }

  // ---- Mouse and keys ---------------------------------------------------------------------------------

  listen() {
    const { canvas } = this;
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      drag = { x: event.clientX, window: [...this.window], moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag) {
        const distance = event.clientX - drag.x;
        drag.moved ||= Math.abs(distance) > 4;
        const size = drag.window[1] - drag.window[0];
        if (drag.moved && size < 1) {
          hideTooltip();
          return this.setWindow(drag.window[0] - (distance / this.scroll.clientWidth) * size, size);
        }
      }
      const frame = this.frameAt(event.clientX, event.clientY);
      const node = frame?.node ?? null;
      if (node !== this.hovered) {
        this.hovered = node;
        this.paint(this.scroll.clientWidth, this.scroll.clientHeight);
      }
      if (frame) this.tooltip(frame.node, event.clientX, event.clientY);
      else hideTooltip();
    });
    canvas.addEventListener("pointerup", (event) => {
      const click = drag && !drag.moved;
      drag = null;
      const frame = click && this.frameAt(event.clientX, event.clientY);
      if (!frame) return;
      this.focusOn(frame.node);
      this.selectFunction(frame.node);
      this.zoomTo(frame.node === this.zoomed && frame.node !== ROOT ? this.tree.parent[frame.node] : frame.node);
    });
    canvas.addEventListener("pointerleave", () => {
      this.hovered = null;
      hideTooltip();
      if (this.frames) this.paint(this.scroll.clientWidth, this.scroll.clientHeight);
    });
    canvas.addEventListener("wheel", (event) => {
      const x = event.clientX - canvas.getBoundingClientRect().left;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        this.zoomWindow(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 200), x);
      } else if (event.deltaX && this.window[1] - this.window[0] < 1) {
        event.preventDefault();
        const size = this.window[1] - this.window[0];
        this.setWindow(this.window[0] + (event.deltaX / this.scroll.clientWidth) * size, size);
      }
    }, { passive: false });
    this.scroll.addEventListener("scroll", () => this.frames && this.paint(this.scroll.clientWidth, this.scroll.clientHeight));
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const kind of ["focus", "blur"]) {
      canvas.addEventListener(kind, () => {
        if (!this.tree) return;
        this.draw();
        if (kind === "focus") byId("flame-status").textContent = this.describe(this.focus);
      });
    }
  }

  /** Zooms to the caller of a function's largest frame, so that the frame stands among its neighbours. */
  showFunction(code) {
    if (code === null) return;
    let best = ROOT;
    const visit = [ROOT];
    while (visit.length > 0) {
      for (const child of this.tree.childrenOf(visit.pop())) {
        // Frames below cannot be larger than the best one so far.
        if (best !== ROOT && this.tree.total[child] <= this.tree.total[best]) continue;
        if (this.tree.code[child] === code) best = child;
        else visit.push(child);
      }
    }
    if (best === ROOT) return;
    this.canvas.focus({ preventScroll: true });
    this.zoomTo(this.tree.parent[best]);
    this.focusOn(best);
  }

  selectFunction(node) {
    const code = this.tree.code[node];
    if (code >= 0) this.choices.set({ selected: code });
  }

  key(event) {
    const inward = this.values.flip ? "ArrowUp" : "ArrowDown";
    const outward = this.values.flip ? "ArrowDown" : "ArrowUp";
    const siblings = () => (this.focus === ROOT ? [ROOT] : this.tree.childrenOf(this.tree.parent[this.focus]));
    const beside = (step) => siblings()[siblings().indexOf(this.focus) + step];
    let next;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    switch (event.key) {
      case inward: next = this.tree.childrenOf(this.focus)[0]; break;
      case outward: next = this.focus === ROOT ? undefined : this.tree.parent[this.focus]; break;
      case "ArrowLeft": next = beside(-1); break;
      case "ArrowRight": next = beside(1); break;
      case "Home": next = ROOT; break;
      case "End": for (next = this.focus; this.tree.childrenOf(next).length; ) [next] = this.tree.childrenOf(next); break;
      case "Enter": this.zoomTo(this.focus); this.selectFunction(this.focus); break;
      case " ": this.selectFunction(this.focus); break;
      case "Backspace": this.zoomOut(); break;
      case "+": case "=": case "-": this.zoomWindow(event.key === "-" ? 1.5 : 1 / 1.5, this.scroll.clientWidth / 2); break;
      default: return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (next === undefined) return;
    // A frame outside the zoomed one can only be seen from further out.
    if (!this.isWithin(next, this.zoomed) && !this.isWithin(this.zoomed, next)) this.zoomTo(this.tree.parent[next]);
    this.focusOn(next);
  }

  isWithin(node, ancestor) {
    for (; node > ancestor || node > ROOT; node = this.tree.parent[node]) if (node === ancestor) return true;
    return node === ancestor;
  }
}

/**
 * For each function 1 where its name or file matches; null without a search, undefined when it cannot be read.
 * Small letters match capitals too; a capital matches only itself.
 */
function searcher(recording, text) {
  if (!text) return null;
  let expression;
  try {
    expression = new RegExp(text, /[A-Z]/.test(text) ? "u" : "iu");
  } catch {
    return undefined;
  }
  const files = recording.meta.files.map((file) => expression.test(file));
  return Uint8Array.from(recording.functionName, (name, code) =>
    expression.test(name) || files[recording.functionFile[code]] ? 1 : 0);
}
