//! How a run is shown while it goes on: live on a terminal, else as pytest itself writes it.

pub mod live;
pub mod machine;
pub mod terminal;
