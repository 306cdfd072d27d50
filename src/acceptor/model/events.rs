//! Events made of bytes.

use std::time::Duration;

use super::{MOST_AT_ONCE, MOST_WORKERS, OWN_SOCKETS, STICKY, World};
use crate::connection_queue::Notice;
use crate::sys::{fault, libc};

/// The calls that are made to fail.
pub const CALLS: [&str; 26] = [
    "accept4",
    "sendmsg",
    "recvmsg",
    "epoll_ctl",
    "epoll_wait",
    "fcntl",
    "getsockname",
    "setsockopt",
    "write",
    "bind",
    "epoll_create1",
    "eventfd2",
    "fstat",
    "ftruncate",
    "getpeername",
    "getsockopt",
    "ioctl",
    "listen",
    "memfd_create",
    "mmap",
    "poll",
    "prlimit64",
    "read",
    "shutdown",
    "socket",
    "socketpair",
];
/// How they fail.
pub const ERRORS: [i32; 22] = [
    libc::EPERM,
    libc::EINTR,
    libc::EIO,
    libc::EBADF,
    libc::EAGAIN,
    libc::ENOMEM,
    libc::EACCES,
    libc::EINVAL,
    libc::ENFILE,
    libc::EMFILE,
    libc::ENOSPC,
    libc::EPIPE,
    libc::EPROTO,
    libc::ENOTSOCK,
    libc::EMSGSIZE,
    libc::EOPNOTSUPP,
    libc::ECONNABORTED,
    libc::ECONNRESET,
    libc::ENOBUFS,
    libc::ETIMEDOUT,
    libc::ENOSR,
    libc::ETOOMANYREFS,
];

/// Makes events of bytes, and checks what comes of them. Panics when a connection is lost or given away twice, or when the acceptor
/// spins.
pub fn run(bytes: &[u8]) {
    let mut bytes = bytes.iter().map(|byte| usize::from(*byte));
    let mut next = move || bytes.next();
    fault::none();
    let first = next().unwrap_or(0);
    let policy = 2 + first as u32 % 4;
    let behind_proxies = policy == STICKY && first / 4 % 2 == 1;
    let mut world = if behind_proxies { World::behind_proxies() } else { World::new(policy) };
    while let (Some(event), Some(which)) = (next(), next()) {
        let (worker, other) = (which % MOST_WORKERS, which / MOST_WORKERS);
        match event % 17 {
            0 | 1 => (0..=which * MOST_AT_ONCE / 256).for_each(|_| world.connect(which)),
            3 if behind_proxies => world.say_more(which),
            2 | 3 => world.take(worker, 1 + other % 3),
            4 => world.give_back(worker, Notice::Closed),
            5 => world.give_back(worker, Notice::Full),
            6 => world.pass_on(worker),
            7 => world.say_available(worker),
            8 => {
                let added = world.add_worker();
                if let Some(added) = added {
                    world.add_member(added, which);
                    world.give_socket(added, which);
                }
            }
            9 => world.kill(worker),
            10 => {
                world.add_member(worker, other);
                world.give_socket(worker, other);
            }
            11 => world.remove_member(worker, other),
            12 => world.succeed(worker, other % MOST_WORKERS),
            13 => world.end(worker),
            // Seldom, as there are not many.
            16 if which % 4 == 0 => {
                // That nothing has come is believed, and then it is closed: what fails there has tests of its own.
                fault::none();
                world.finish_listener(other);
            }
            16 => world.take(worker, 9),
            14 => world.pass(Duration::from_millis(which as u64)),
            _ => match next().unwrap_or(0) {
                lie if lie % 32 == 0 => world.lie(worker, &[which as u8; 5]),
                first => {
                    let (call, errno) = (CALLS[first % CALLS.len()], ERRORS[which % ERRORS.len()]);
                    let times = match errno {
                        // That nothing has come to a socket which is about to be closed is believed.
                        libc::EAGAIN if call == "accept4" && policy == OWN_SOCKETS => 0,
                        // That a queue is empty is not said again and again when it is not.
                        libc::EAGAIN => 1,
                        _ => 1 + first / 100,
                    };
                    world.fail(call, errno, which / ERRORS.len(), times);
                }
            },
        }
        world.turn();
        world.kill_given_up();
    }
    world.finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first byte of an input where `sticky` goes by what proxies say.
    const BEHIND_PROXIES: u8 = 6;

    #[test]
    fn what_only_a_slow_worker_serves_reaches_it_though_another_is_idle() {
        run(include_bytes!("../../../fuzz/corpus/acceptor/given-back"));
    }

    #[test]
    fn a_poller_that_could_not_be_told_what_to_report_is_told_later() {
        run(include_bytes!("../../../fuzz/corpus/acceptor/interest-not-told"));
    }

    #[test]
    fn whatever_happens_no_connection_is_lost_or_given_away_twice() {
        let seeds = std::env::var("MODEL_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(120u64);
        for seed in 0..seeds {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
            let mut byte = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let length = 20 + usize::from(byte());
            let mut bytes: Vec<u8> = (0..length).map(|_| byte()).collect();
            if seed % 3 == 0 {
                bytes[0] = BEHIND_PROXIES;
            }
            let result = std::panic::catch_unwind(|| run(&bytes));
            assert!(result.is_ok(), "seed {seed}: {bytes:?}");
        }
    }
}
