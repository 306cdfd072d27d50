//! What the client, the daemon and keepers say to each other: an app, and what its processes are doing.

mod app;
mod recent;
mod socket_name;
mod stats;
mod status;
mod times;
mod watched;

pub use app::{App, HIDDEN, LogFormat, Mode, Rotate};
pub use recent::{Change, Recent};
pub use socket_name::SocketName;
pub use stats::Stats;
pub use status::{Process, State, Status, Watching, Worker};
pub use times::Times;
pub use watched::Watched;
