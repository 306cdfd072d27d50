//! The acceptor, as the primary's JavaScript drives it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{
    Result,
    bindgen_prelude::{FnArgs, Function},
};
use napi_derive::napi;

use crate::acceptor::Acceptor as Running;
use crate::policy;
use crate::sys::{descriptors, libc, listen};
use crate::trusted::Trusted;

use super::link::Link;
use super::sockets::{Address, Binding};
use super::{exception, number};

/// What decides which client gets which seat under `SCHED_STICKY`: 32 hexadecimal digits.
#[napi(catch_unwind)]
pub fn sticky_key() -> String {
    format!("{:032x}", policy::key())
}

/// Takes that of the primary before this one, so that clients keep their seats. Returns whether it was one, and in time.
#[napi(catch_unwind)]
pub fn adopt_sticky_key(key: String) -> bool {
    key.len() == 32 && u128::from_str_radix(&key, 16).is_ok_and(policy::adopt_key)
}

/// The one acceptor of a primary.
#[napi]
pub struct Acceptor {
    acceptor: Running,
}

#[napi]
impl Acceptor {
    /// Starts the thread. `onWarning(text)` is called when something happens that the user should know;
    /// `onGivenUp(worker, reason)` when a worker gets nothing any more: what it says makes no sense or does not end, or its queue
    /// does not work. Others have got what it had not taken; it is still to be removed.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        on_warning: Function<String, ()>,
        on_given_up: Option<Function<FnArgs<(u32, String)>, ()>>,
    ) -> Result<Acceptor> {
        let warn = on_warning.build_threadsafe_function().weak::<true>().build()?;
        let told = on_given_up.map(|tell| tell.build_threadsafe_function().weak::<true>().build()).transpose()?;
        let acceptor = Running::start(
            Box::new(move |text| {
                warn.call(text.to_string(), ThreadsafeFunctionCallMode::NonBlocking);
            }),
            Box::new(move |worker, why| {
                if let Some(told) = &told {
                    told.call((worker, why.to_string()).into(), ThreadsafeFunctionCallMode::NonBlocking);
                }
            }),
        );
        Ok(Acceptor { acceptor: acceptor.map_err(|error| exception(&error))? })
    }

    /// Adds a worker by its link. `seat` is the number by which clients stick to it, the smallest that is free by default. Returns the number that names it, and never another one: with the number of a worker that has
    /// been removed, everything here does nothing.
    #[napi(catch_unwind)]
    pub fn add_worker(&self, link: &mut Link, seat: Option<u32>) -> Result<u32> {
        let ends = link.take_ends().ok_or_else(|| napi::Error::from_reason("the worker has been added already"))?;
        self.acceptor.add_worker(ends, seat).map_err(|error| exception(&error))
    }

    /// The worker has died or disconnected; what it has not taken goes to others. Returns how many connections it had
    /// taken that were not over.
    #[napi(catch_unwind)]
    pub fn remove_worker(&self, worker: u32) -> f64 {
        self.acceptor.remove_worker(worker) as f64
    }

    /// Binds, listens, and returns the listener's id (1 or more), or a negative errno. `policy` is the number of one of
    /// the policies under which the acceptor accepts. `senders`: who is believed when it says first whom a connection is from (PROXY
    /// protocol), for a policy that goes by that.
    #[napi(catch_unwind)]
    pub fn listen(&self, binding: Binding, policy: u32, senders: Option<Vec<String>>) -> i32 {
        number(self.try_listen(&binding, policy, senders.as_deref()))
    }

    /// A listening socket of the worker's own on the address of a listener that was bound with `reusePort`. Returns a
    /// descriptor that the caller must pass to `closeFd`, or a negative errno.
    #[napi(catch_unwind)]
    pub fn own_socket(&self, listener: u32, worker: u32, backlog: i32) -> i32 {
        number(self.acceptor.own_socket(listener, worker, backlog).map(IntoRawFd::into_raw_fd))
    }

    /// Closes the listening socket at once.
    #[napi(catch_unwind)]
    pub fn close_listener(&self, listener: u32) {
        self.acceptor.close_listener(listener);
    }

    /// The same, but what has come by then is still given to its workers.
    #[napi(catch_unwind)]
    pub fn finish_listener(&self, listener: u32) {
        self.acceptor.finish_listener(listener);
    }

    /// Whether connections of a listener that was finished still wait for a worker.
    #[napi(catch_unwind)]
    pub fn is_finishing(&self) -> bool {
        self.acceptor.is_finishing()
    }

    /// The address that a TCP listener is bound to.
    #[napi(catch_unwind)]
    pub fn address(&self, listener: u32) -> Option<Address> {
        self.acceptor.address(listener).map(|address: SocketAddr| address.into())
    }

    /// One more socket of a listener that was bound with `reusePort`: what `fd` names. Returns 0 or a negative errno.
    #[napi(catch_unwind)]
    pub fn add_socket(&self, listener: u32, fd: i32) -> i32 {
        number(listen::existing(fd).and_then(|fd| self.acceptor.add_socket(listener, fd)).map(|()| 0))
    }

    /// A duplicate of a listener's socket, or of one of them, for whoever keeps it for the time after us. Returns a descriptor that
    /// the caller must pass to `closeFd`, or a negative errno.
    #[napi(catch_unwind)]
    pub fn listener_fd(&self, listener: u32) -> i32 {
        number(self.acceptor.socket(listener).map(IntoRawFd::into_raw_fd))
    }

    /// The worker gets connections of that listener from now on.
    #[napi(catch_unwind)]
    pub fn add_member(&self, listener: u32, worker: u32) {
        self.acceptor.add_member(listener, worker);
    }

    /// From now on what comes back from the worker `old` goes to `heir`, as long as that one serves the same listener and its
    /// loop turns; clients that stick to `old` stick to `heir`.
    #[napi(catch_unwind)]
    pub fn succeed(&self, old: u32, heir: u32) {
        self.acceptor.succeed(old, heir);
    }

    /// Makes an idle worker's event loop turn.
    #[napi(catch_unwind)]
    pub fn nudge(&self, worker: u32) {
        self.acceptor.nudge(worker);
    }

    /// The worker cannot use the socket of its own.
    #[napi(catch_unwind)]
    pub fn disown(&self, listener: u32, worker: u32) {
        self.acceptor.disown(listener, worker);
    }

    /// Duplicates of all of a listener's sockets, which the caller must pass to `closeFd`; nothing when there is no room for them.
    #[napi(catch_unwind)]
    pub fn listener_fds(&self, listener: u32) -> Vec<i32> {
        let sockets = self.acceptor.sockets(listener).unwrap_or_default();
        sockets.into_iter().map(IntoRawFd::into_raw_fd).collect()
    }

    /// Another primary accepts from all our sockets from now on: what nobody has taken, and what comes back, goes to it over a pair of
    /// `packetPair`. Both ends are taken.
    #[napi(catch_unwind)]
    pub fn hand_over(&self, out: i32, back: i32) {
        if let (Ok(out), Ok(back)) = (descriptors::adopt_number(out), descriptors::adopt_number(back)) {
            self.acceptor.hand_over(out, back);
        }
    }

    /// The other primary has died: we accept again, and have back what it had not received.
    #[napi(catch_unwind)]
    pub fn hand_back(&self) {
        self.acceptor.hand_back();
    }

    /// How many connections have gone to the other primary, and how many are still to go.
    #[napi(catch_unwind)]
    pub fn crossing(&self) -> Vec<u32> {
        let (crossed, waiting) = self.acceptor.crossing();
        vec![u32::try_from(crossed).unwrap_or(u32::MAX), u32::try_from(waiting).unwrap_or(u32::MAX)]
    }

    /// What comes from another primary over this end of a pair goes to our workers. `theirs` are its listeners' ids, `ours` those here.
    #[napi(catch_unwind)]
    pub fn add_source(&self, fd: i32, theirs: Vec<u32>, ours: Vec<u32>) -> i32 {
        let listeners: HashMap<u32, u32> = theirs.into_iter().zip(ours).collect();
        number(descriptors::adopt_number(fd).and_then(|fd| self.acceptor.add_source(fd, listeners)).map(|()| 0))
    }

    /// It gets none any more. Returns how many workers still do.
    #[napi(catch_unwind)]
    pub fn remove_member(&self, listener: u32, worker: u32) -> u32 {
        self.acceptor.remove_member(listener, worker) as u32
    }
}

impl Acceptor {
    fn try_listen(&self, binding: &Binding, policy: u32, senders: Option<&[String]>) -> io::Result<i32> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let parse = |texts: &[String]| Trusted::parse(texts.iter().map(String::as_str)).ok_or_else(invalid);
        let policy = policy::by_number(policy, senders.map(parse).transpose()?).ok_or_else(invalid)?;
        let fd: OwnedFd = binding.bind()?;
        listen::listen(fd.as_fd(), binding.backlog.unwrap_or(0))?;
        let id = self.acceptor.add_listener(fd, binding.fd.is_some(), policy)?;
        i32::try_from(id).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
    }
}
