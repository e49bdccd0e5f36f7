// Colours for both themes. Colour never says anything that words, order or a pattern do not say as well.

/** Hue and saturation of each kind of code (see KINDS): our own code is warm, so that the eye finds it. */
const KIND_HUES = [[27, 88], [282, 42], [205, 52], [60, 6], [165, 42], [340, 52]];

const theme = {
  dark: false,
  choice: null, // "light", "dark" or null for the system's

  /** Takes the stored choice, else the system's preference. */
  start(changed) {
    const system = matchMedia("(prefers-color-scheme: dark)");
    try {
      this.choice = localStorage.getItem("naja-theme");
    } catch {
      // Some browsers refuse storage to local files; the choice then lasts as long as the page.
    }
    const apply = () => {
      this.dark = this.choice ? this.choice === "dark" : system.matches;
      document.documentElement.dataset.theme = this.dark ? "dark" : "light";
      changed();
    };
    this.toggle = () => {
      this.choice = this.dark ? "light" : "dark";
      try {
        localStorage.setItem("naja-theme", this.choice);
      } catch {
        // See above.
      }
      apply();
    };
    system.addEventListener("change", apply);
    // Paper is white, whatever the screen shows.
    addEventListener("beforeprint", () => {
      this.onScreen = this.choice;
      this.choice = "light";
      apply();
    });
    addEventListener("afterprint", () => {
      this.choice = this.onScreen;
      apply();
    });
    apply();
  },

  /** A colour of the style sheet, for drawing. */
  variable(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  },

};

/** A number from text that looks random and is always the same. */
function hash(text) {
  let value = 2166136261;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 16777619);
  value = Math.imul(value ^ (value >>> 15), 2246822507);
  return (value ^ (value >>> 13)) >>> 0;
}

/** Colour of a frame: `{ fill, text }`. `scheme` is kind, file or function. */
class FrameColours {
  constructor(recording) {
    this.recording = recording;
    this.known = new Map();
    this.key = "";
  }

  of(code, scheme) {
    const key = `${scheme} ${theme.dark}`;
    if (key !== this.key) {
      this.key = key;
      this.known.clear();
    }
    let fill = this.known.get(code);
    if (!fill) {
      fill = this.make(code, scheme);
      this.known.set(code, fill);
    }
    return fill;
  }

  make(code, scheme) {
    if (code < 0) return theme.dark ? "hsl(220 8% 34%)" : "hsl(220 12% 84%)";
    const { recording } = this;
    const file = recording.meta.files[recording.functionFile[code]];
    const name = recording.functionName[code];
    const shade = hash(file) % 9; // Neighbours of one file share a shade, so that files stand apart.
    let [hue, saturation] = KIND_HUES[recording.functionKind[code]];
    if (scheme === "kind") hue += (shade % 3) * 5 - 5;
    else if (scheme === "file") [hue, saturation] = [hash(file) % 360, file ? 55 : 4];
    else [hue, saturation] = [hash(file + name) % 360, 52];
    const lightness = theme.dark ? 27 + shade : 72 + shade;
    return `hsl(${hue} ${theme.dark ? saturation * 0.62 : saturation}% ${lightness}%)`;
  }
}

/** A canvas pattern: `colour` with diagonal lines of some strength, for states that must not rest on colour alone. */
function hatch(context, colour, strength) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const draw = tile.getContext("2d");
  draw.fillStyle = colour;
  draw.fillRect(0, 0, 6, 6);
  draw.strokeStyle = `rgb(${theme.dark ? "0 0 0" : "255 255 255"} / ${strength})`;
  draw.lineWidth = 1.4;
  draw.beginPath();
  draw.moveTo(-1, 7);
  draw.lineTo(7, -1);
  draw.stroke();
  return context.createPattern(tile, "repeat");
}

/** Sizes a canvas to its box in device pixels and gives its cleared context in page pixels. */
function prepareCanvas(canvas, width, height) {
  const ratio = Math.min(devicePixelRatio || 1, 3);
  const [deviceWidth, deviceHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== deviceWidth || canvas.height !== deviceHeight) {
    canvas.width = deviceWidth;
    canvas.height = deviceHeight;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
