//! How a run is shown while it goes on. Today: as pytest itself shows it.
