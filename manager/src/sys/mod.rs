//! The one door to the kernel: every `unsafe` block of the manager is below this folder.
//!
//! What a member must do: turn each failure into an [`std::io::Error`] on the spot, own each new descriptor on the very line of
//! the call, close-on-exec, and say above each `unsafe` block why it holds.

#![allow(unsafe_code)]

pub mod board;
pub mod datagram;
pub mod memory;
pub mod pipe;
pub mod poll;
pub mod priority;
pub mod process;
pub mod procfs;
pub mod random;
pub mod received;
pub mod service_manager;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod timer;
pub mod wake;

pub(crate) use nix::libc;
