//! Reads strings, dictionaries and instances, as far as names need it.
