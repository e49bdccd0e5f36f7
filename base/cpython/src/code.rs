//! Code objects: names, file and lines, read once each.
