//! What rcluster's benchmarks measure with: a load generator and a floor.
//!
//! * `load` (`src/bin/load.rs`) offers HTTP/1.1 load from one thread and prints one JSON object.
//!   [`options`] says what was asked for, [`engine`] runs the connections, [`modes`] decides when the
//!   next one is opened, [`tally`] counts and reports.
//! * `floor` (`src/bin/floor.rs`) accepts, passes and answers with nothing else in the way: what the
//!   kernel alone costs when connections are handed from one process to others.
//! * `begin` (`src/bin/begin.rs`) says when it began: what starting a program takes.
//!
//! `unsafe` lives in [`sys`] only.

pub mod client;
pub mod engine;
pub mod floor;
pub mod modes;
pub mod options;
pub mod response;
pub mod rng;
pub mod sys;
pub mod tally;
