// What threads do, and the colours for it.

/** Label and colours [light, dark] of each state, by the word that the recording uses. */
const STATES = {
  "python": { label: "Python", colours: ["#2f74c0", "#5aa2ec"], about: "on a processor, running Python bytecode" },
  "native": { label: "native code", colours: ["#12836f", "#3fbda4"], about: "on a processor, inside a C function" },
  "gil-wait": { label: "GIL wait", colours: ["#d1401f", "#ff7a57"], about: "blocked until another thread gives up the GIL", hatched: 0.6 },
  "io-wait": { label: "I/O wait", colours: ["#c98a00", "#eab83d"], about: "blocked in a read, write, poll or the disk" },
  "lock-wait": { label: "lock wait", colours: ["#b698c6", "#745a87"], about: "blocked on a lock, queue or condition", hatched: 0.3 },
  "sleep": { label: "sleep", colours: ["#c3cbd3", "#47515c"], about: "asleep for a given time" },
  "child-wait": { label: "child wait", colours: ["#b3bf8a", "#647346"], about: "waiting for a child process" },
  "stopped": { label: "stopped", colours: ["#5c5c66", "#8f8f9c"], about: "stopped by a signal or a debugger" },
  "lost": { label: "lost", colours: ["#e3c7c3", "#5a3a36"], about: "the sample was missed or could not be read", hatched: 0.6 },
};

/** The order in which states are stacked: work at the bottom, waiting above it. */
const STACK_ORDER = ["python", "native", "gil-wait", "io-wait", "lock-wait", "child-wait", "sleep", "stopped", "lost"];

const stateOf = (word) => STATES[word] ?? { label: word, colours: ["#888", "#888"], about: word };

/** The colour of a state in the theme that is shown. */
const stateColour = (word) => stateOf(word).colours[theme.dark ? 1 : 0];
