// What the user has chosen, kept in the address after `#` so that a view can be shared, and told to listeners.

class Choices {
  /** `initial`: what the page starts with; `parse(name, text)` a value of the address, undefined where it is none. */
  constructor(initial, parse, bucketCount) {
    this.initial = initial;
    this.parse = parse;
    this.bucketCount = bucketCount;
    this.values = { ...this.initial, ...this.read() };
    this.listeners = [];
    this.pending = null;
    addEventListener("hashchange", () => this.set({ ...this.initial, ...this.read() }));
  }

  /** Calls `listener(values, changed)` once a frame after something has changed; `changed` is a set of names. */
  listen(listener) {
    this.listeners.push(listener);
  }

  set(patch) {
    // A line belongs to the function that it was chosen with.
    if ("selected" in patch && !("line" in patch)) patch = { ...patch, line: null };
    const changed = Object.keys(patch).filter((name) => this.values[name] !== patch[name]);
    if (changed.length === 0) return;
    Object.assign(this.values, patch);
    this.pending ??= new Set();
    if (this.pending.size === 0) requestAnimationFrame(() => this.tell());
    for (const name of changed) this.pending.add(name);
  }

  /** Tells listeners at once; normally the next frame does. */
  tell() {
    const changed = this.pending;
    this.pending = null;
    if (!changed || changed.size === 0) return;
    for (const listener of this.listeners) listener(this.values, changed);
    clearTimeout(this.writing);
    // Browsers limit how often the address may change, and a drag changes it every frame.
    this.writing = setTimeout(() => this.write(), 150);
  }

  write() {
    const parts = Object.entries(this.values)
      .filter(([name, value]) => value !== this.initial[name])
      .map(([name, value]) => `${name}=${encodeURIComponent(value === null ? "" : String(value))}`);
    try {
      history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
    } catch {
      // A page in a sandbox may not change its address; the view then cannot be shared, and works.
    }
  }

  /** The address's choices, each checked: a link may come from another recording. */
  read() {
    const found = {};
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      const value = this.parse(name, text);
      if (value !== undefined) found[name] = value;
    }
    if ((found.from ?? 0) >= (found.to ?? this.bucketCount)) {
      delete found.from;
      delete found.to;
    }
    return found;
  }
}
