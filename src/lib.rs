//! The native core of rcluster: what happens to a connection between the kernel and a worker's server, and to a
//! message between two processes.
//!
//! | module | what it is |
//! |---|---|
//! | [`acceptor`] | the primary's thread: accepts, picks, sends, takes back |
//! | [`policy`] | which worker gets the next connection |
//! | [`connection_queue`] | the packets between the acceptor and a worker |
//! | [`board`], [`board_layout`] | what a worker tells without sending anything |
//! | [`channel`] | messages: the format, what is to be written, what was read |
//! | [`proxy_header`], [`trusted`] | what a proxy says first on a connection, and who is believed |
//! | [`js`] | the classes that JavaScript sees |
//! | [`sys`] | the one door to the kernel, to libuv and to raw N-API |

pub mod acceptor;
pub mod board;
pub mod board_layout;
pub mod channel;
pub mod connection_queue;
pub mod js;
pub mod policy;
pub mod proxy_header;
pub mod sys;
pub mod trusted;
