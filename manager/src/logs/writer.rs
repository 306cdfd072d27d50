//! The thread of a keeper that writes its logs, so that a slow disk never stops the keeper.
//!
//! It is there from the first process on whose output goes into a file. What it is told is done in order: feeds that had lines
//! before an order was given are written before it is carried out.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::archive::Compressor;
use super::feed::{Batch, Feed};
use super::sink::{Plan, Sink};
use crate::sys::memory;
use crate::sys::wake::Wake;

/// Bytes of its stack, of which it touches a few pages as long as nothing unusual happens.
const STACK: usize = 1 << 20;
/// Buffers of so many bytes are given back when there has been nothing to do for this long.
const LARGE: usize = 64 * 1024;
const QUIET: Duration = Duration::from_secs(1);

/// What it is told to do.
pub enum Order {
    /// Nothing: what was there before is written.
    Written,
    /// Open all files anew by their names.
    Reopen,
    /// Empty these.
    Flush(Vec<Arc<Plan>>),
}

/// An order that was carried out, by its number.
pub type Done = (u64, Result<(), String>);

#[derive(Default)]
struct Work {
    feeds: Vec<Arc<Feed>>,
    orders: Vec<(u64, Order)>,
    done: Vec<Done>,
}

struct Shared {
    work: Mutex<Work>,
    more: Condvar,
    /// Tells the loop that something is done, or that there is room again.
    wake: Wake,
}

/// The keeper's end of it.
pub struct Writer {
    shared: Arc<Shared>,
    is_running: bool,
    last: u64,
}

impl Writer {
    /// Without a thread yet.
    pub fn new() -> io::Result<Writer> {
        let shared = Shared { work: Mutex::default(), more: Condvar::new(), wake: Wake::new()? };
        Ok(Writer { shared: Arc::new(shared), is_running: false, last: 0 })
    }

    /// Makes sure that the thread runs.
    pub fn start(&mut self) -> io::Result<()> {
        if !self.is_running {
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new().name("logs".into()).stack_size(STACK).spawn(move || write(&shared))?;
            self.is_running = true;
        }
        Ok(())
    }

    /// A feed has lines.
    pub fn tell(&self, feed: &Arc<Feed>) {
        self.shared.lock().feeds.push(Arc::clone(feed));
        self.shared.more.notify_one();
    }

    /// Gives an order. Returns its number.
    pub fn order(&mut self, order: Order) -> io::Result<u64> {
        self.start()?;
        self.last += 1;
        self.shared.lock().orders.push((self.last, order));
        self.shared.more.notify_one();
        Ok(self.last)
    }

    /// What was done since.
    pub fn done(&self) -> Vec<Done> {
        self.shared.wake.clear();
        std::mem::take(&mut self.shared.lock().done)
    }
}

impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files, by their paths: several feeds may share them.
struct Sinks {
    known: BTreeMap<PathBuf, Sink>,
    compressor: Compressor,
}

impl Sinks {
    fn get(&mut self, plan: &Arc<Plan>) -> &mut Sink {
        let compressor = &self.compressor;
        let sink =
            self.known.entry(plan.path.clone()).or_insert_with(|| Sink::new(Arc::clone(plan), compressor.clone()));
        sink.set_plan(plan);
        sink
    }

    fn write(&mut self, feed: &Feed, spare: Vec<u8>) -> (Vec<u8>, bool) {
        let batch = feed.lock().take(spare);
        if !feed.plans.is_empty() {
            let dressed = if feed.stamp.is_raw() { None } else { Some(feed.stamp.dress(&batch)) };
            let Batch { bytes, marks } = dressed.as_ref().unwrap_or(&batch);
            for plan in &feed.plans {
                self.get(plan).write(bytes, marks, feed.stamp.source);
            }
        }
        if let Some((console, dress)) = &feed.console {
            console.write(dress.on(&batch).as_ref().unwrap_or(&batch), feed.stamp.source.stream);
        }
        let wanted = feed.lock().wrote(batch.bytes.len());
        (batch.bytes, wanted)
    }

    fn carry_out(&mut self, order: Order) -> Result<(), String> {
        let said = |path: &PathBuf, error: io::Error| format!("the log file \"{}\": {error}", path.display());
        match order {
            Order::Written => Ok(()),
            Order::Reopen => {
                let all = self.known.iter_mut().map(|(path, sink)| sink.reopen().map_err(|error| said(path, error)));
                // All of them, whatever becomes of one.
                all.fold(Ok(()), Result::and)
            }
            Order::Flush(plans) => {
                let all = plans.iter().map(|plan| self.get(plan).flush().map_err(|error| said(&plan.path, error)));
                all.fold(Ok(()), Result::and)
            }
        }
    }
}

fn write(shared: &Shared) {
    let mut sinks = Sinks { known: BTreeMap::new(), compressor: Compressor::default() };
    let mut spare = Vec::new();
    // Those that may have large buffers.
    let mut large: Vec<Arc<Feed>> = Vec::new();
    let mut work = shared.lock();
    loop {
        while work.feeds.is_empty() && work.orders.is_empty() {
            if large.is_empty() {
                work = shared.more.wait(work).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = shared.more.wait_timeout(work, QUIET).unwrap_or_else(PoisonError::into_inner);
            work = waited.0;
            if waited.1.timed_out() && work.feeds.is_empty() {
                drop(work);
                spare = Vec::new();
                large.drain(..).for_each(|feed| feed.lock().shrink());
                memory::give_back();
                work = shared.lock();
            }
        }
        let (feeds, orders) = (std::mem::take(&mut work.feeds), std::mem::take(&mut work.orders));
        drop(work);
        for feed in feeds {
            let (buffer, has_room) = sinks.write(&feed, spare);
            spare = buffer;
            if has_room {
                shared.wake.wake();
            }
            if spare.capacity() > LARGE && !large.iter().any(|one| Arc::ptr_eq(one, &feed)) {
                large.push(feed);
            }
        }
        let done: Vec<Done> = orders.into_iter().map(|(number, order)| (number, sinks.carry_out(order))).collect();
        work = shared.lock();
        if !done.is_empty() {
            work.done.extend(done);
            shared.wake.wake();
        }
    }
}
