// Words and numbers as people read them, and the one way to make elements.
//
// Invariant of the whole page: text of a recording reaches the document as text nodes and attributes only,
// through `el`. Nothing here or elsewhere parses a string as HTML.

/** An element with attributes (or `on…` handlers) and children (elements or text). */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const byId = (id) => document.getElementById(id);

/** Three significant digits, never in exponent form. */
function digits(value) {
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return value.toFixed(0);
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A duration: `1 h 02 min`, `12.3 s`, `45.0 ms`. */
function formatTime(seconds) {
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${String(Math.floor(seconds / 60) % 60).padStart(2, "0")} min`;
  if (seconds >= 100) return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  if (seconds >= 1 || seconds === 0) return `${digits(seconds)} s`;
  if (seconds >= 1e-3) return `${digits(seconds * 1e3)} ms`;
  return `${digits(seconds * 1e6)} µs`;
}

/** A point of time with as many decimals as `step` (seconds) asks for: `3.25 s`, `12:03`. */
function formatMoment(seconds, step) {
  const decimals = step >= 1 ? 0 : Math.min(4, Math.ceil(-Math.log10(step)));
  if (seconds < 60) return `${seconds.toFixed(decimals)} s`;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = (seconds % 60).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Bytes in binary units. */
function formatBytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit ? digits(bytes) : bytes} ${units[unit]}`;
}

/** A share of 1 in percent. */
function formatShare(part, whole) {
  if (!whole) return "–";
  if (part === 0) return "0 %";
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.05) return "< 0.1 %";
  return `${percent >= 99.95 ? "100" : percent.toFixed(1)} %`;
}

/** A whole number with thin spaces between thousands. */
function formatCount(count) {
  return Math.round(count).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Shortens text to `length` characters, keeping the end, which tells files apart. */
function keepEnd(text, length) {
  return text.length <= length ? text : `…${text.slice(text.length - length + 1)}`;
}
