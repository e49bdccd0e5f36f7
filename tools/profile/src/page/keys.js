// The keyboard beyond what single parts handle themselves: what this page has beside what every page has.

const KEY_HELP = [
  ["Everywhere", [
    ["1 2 3 4", "go to the time line, flame graph, table, source"],
    ["/", "search functions and files"],
    ["n  N", "next and previous match in the flame graph"],
    ["p  P", "next and previous process"],
    ["t  T", "next and previous thread"],
    ["s", "next set of states: all, on a processor, waiting"],
    ["Esc", "clear the innermost: zoom, search, details, stretch of time"],
    ["0", "clear every filter"],
    ["d", "dark or light"],
    ["?", "this list"],
  ]],
  ...KEYS_OF_EVERY_PAGE,
];
