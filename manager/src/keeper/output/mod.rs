//! What processes write, on its way from their pipes to the thread that writes logs.
//!
//! A stream that brings a little now and then is read when it has something. One that goes on and on is read once in a while
//! instead, so that neither its program nor we are woken for each line, and its pipe is made larger. When [`feed::MOST_HELD`] bytes wait for
//! the disk, the stream is not read for [`stream::PATIENCE`], which makes its program wait; then lines are dropped and counted until the disk has
//! caught up, and the count is written where they are missing.

mod plans;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use crate::logs::console::Console;
use crate::logs::feed::{self, Feed};
use crate::logs::format::Stamp;
use crate::logs::margin::Source;
use crate::logs::place::{self, Stream};
use crate::logs::sink::Plan;
use crate::logs::writer::{Order, Writer};
use crate::model::{App, Mode};
use crate::sys::poll::Poller;
use crate::sys::spawn;
pub use plans::family;
use plans::{plan, plans};
pub use stream::now;
use stream::{Output, Pace};

/// So many lines of ours wait for the disk at most.
const MOST_SAID: usize = 256;

/// All streams of a keeper's processes, those of processes that have ended and left them to others included.
pub struct Outputs {
    open: BTreeMap<u32, Output>,
    /// What came of streams that have ended, and is not in its file yet.
    ended: Vec<Arc<Feed>>,
    last: u32,
    /// The thread that writes.
    pub writer: Writer,
    console: Option<Arc<Console>>,
    scratch: Vec<u8>,
}

/// Pipes for a process that is about to be started.
pub struct Wires {
    /// What becomes its standard output and its standard error.
    pub theirs: [OwnedFd; 2],
    ours: [Option<OurEnd>; 2],
}

/// What we read, and where it goes.
type OurEnd = (OwnedFd, Vec<Arc<Plan>>);

impl Wires {
    /// Which streams go to us: their numbers, one after the other.
    pub fn streams(&self) -> String {
        ["1", "2"].into_iter().zip(&self.ours).filter_map(|(number, ours)| ours.is_some().then_some(number)).collect()
    }
}

impl Outputs {
    /// None yet. What comes of them goes to `console` besides their files.
    pub fn new(console: Option<Console>) -> io::Result<Outputs> {
        Ok(Outputs {
            open: BTreeMap::new(),
            ended: Vec::new(),
            last: 0,
            writer: Writer::new()?,
            console: console.map(Arc::new),
            scratch: Vec::new(),
        })
    }

    /// The pipes for an instance. The error says in words what is wrong with its log files.
    pub fn wires(&mut self, app: &App, home: &Path, instance: u32) -> Result<Wires, String> {
        let plans = plans(app, home);
        let plan = |path| plans.iter().find(|plan| plan.path == path).cloned();
        let mut wire = |stream: Stream| -> Result<(OwnedFd, Option<OurEnd>), String> {
            let files = [place::file(app, home, instance, stream), place::common_file(app, instance)];
            let mut plans: Vec<Arc<Plan>> = files.into_iter().flatten().filter_map(plan).collect();
            plans.dedup();
            let failed = |error: io::Error| format!("could not be started: {error}");
            if plans.is_empty() && self.console.is_none() {
                // Nobody wants it: nobody has to read it.
                let null = std::fs::File::options().read(true).write(true).open("/dev/null").map_err(failed)?;
                return Ok((null.into(), None));
            }
            for plan in &plans {
                place::check(&plan.path)?;
            }
            self.writer.start().map_err(failed)?;
            let (ours, theirs) = spawn::output_pipe().map_err(failed)?;
            Ok((theirs, Some((ours, plans))))
        };
        let ((out, our_out), (error, our_error)) = (wire(Stream::Out)?, wire(Stream::Error)?);
        Ok(Wires { theirs: [out, error], ours: [our_out, our_error] })
    }

    /// Reads what a process writes that somebody else has started.
    pub fn adopt(
        &mut self,
        pipe: OwnedFd,
        source: Source,
        app: &App,
        home: &Path,
        poller: &Poller,
        token: u64,
    ) -> io::Result<()> {
        spawn::set_nonblocking(&pipe)?;
        self.writer.start()?;
        let files = [place::file(app, home, source.instance, source.stream), place::common_file(app, source.instance)];
        let family = family(app, home);
        let mut plans: Vec<_> = files.into_iter().flatten().map(|path| plan(app, home, path, &family)).collect();
        plans.dedup_by(|one, other| one.path == other.path);
        for plan in &plans {
            // What is wrong with it is told when there are lines.
            let _ = place::check(&plan.path);
        }
        self.add(pipe, plans, source, app, poller, token)
    }

    /// The process was started. `token` is what the poller reports them by, with their numbers.
    pub fn connect(
        &mut self,
        wires: Wires,
        app: &App,
        instance: u32,
        pid: i32,
        poller: &Poller,
        token: u64,
    ) -> io::Result<()> {
        for (ours, stream) in wires.ours.into_iter().zip([Stream::Out, Stream::Error]) {
            let Some((pipe, plans)) = ours else { continue };
            self.add(pipe, plans, Source { pid, instance, stream }, app, poller, token)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        pipe: OwnedFd,
        plans: Vec<Arc<Plan>>,
        source: Source,
        app: &App,
        poller: &Poller,
        token: u64,
    ) -> io::Result<()> {
        let stamp = Stamp { format: app.log_format, date: app.log_date_format.clone(), app: app.name.clone(), source };
        self.last = self.last.wrapping_add(1);
        poller.add(&pipe, token + u64::from(self.last))?;
        self.open.insert(self.last, Output::new(pipe, Arc::new(Feed::new(stamp, plans).with(self.console.clone()))));
        Ok(())
    }

    /// When (ms) something is to be done without anything having come.
    pub fn deadline(&self) -> Option<u64> {
        self.open
            .values()
            .filter_map(|output| match output.pace {
                Pace::Later(at) | Pace::Full(at) => Some(at),
                Pace::Told | Pace::Dropping => None,
            })
            .min()
    }

    /// A stream has something.
    pub fn on_ready(&mut self, number: u32, now: u64, poller: &Poller, token: u64) {
        let Some(output) = self.open.get_mut(&number) else { return };
        let before = output.pace;
        if output.read(now, &self.writer, &mut self.scratch) {
            self.watch(number, before, poller, token);
        } else {
            self.close(number, poller);
        }
    }

    /// Time has passed, or the disk has caught up.
    pub fn on_time(&mut self, now: u64, poller: &Poller, token: u64) {
        let due = |output: &Output| match output.pace {
            Pace::Later(at) => at <= now,
            Pace::Full(at) => at <= now || output.feed.lock().total() <= feed::MOST_HELD / 2,
            Pace::Dropping => output.feed.lock().total() <= feed::MOST_HELD / 2,
            Pace::Told => false,
        };
        let due: Vec<u32> = self.open.iter().filter(|(_, output)| due(output)).map(|(number, _)| *number).collect();
        for number in due {
            let Some(output) = self.open.get_mut(&number) else { continue };
            let before = output.pace;
            if matches!(before, Pace::Full(_)) && output.feed.lock().total() > feed::MOST_HELD / 2 {
                output.begin_dropping();
            } else if before == Pace::Dropping {
                output.end_dropping(&self.writer);
            }
            if output.read(now, &self.writer, &mut self.scratch) {
                self.watch(number, before, poller, token);
            } else {
                self.close(number, poller);
            }
        }
        if self.open.is_empty() {
            self.scratch = Vec::new();
        }
    }

    /// Reads all that a process has written before it ended. Returns whether some of its output is not in its file yet.
    pub fn drain(&mut self, pid: i32, now: u64, poller: &Poller, token: u64) -> bool {
        self.drain_of(|one| one == pid, now, poller, token)
    }

    /// The same, whoever has written it.
    pub fn drain_all(&mut self, now: u64, poller: &Poller, token: u64) -> bool {
        self.drain_of(|_| true, now, poller, token)
    }

    fn drain_of(&mut self, is_it: impl Fn(i32) -> bool, now: u64, poller: &Poller, token: u64) -> bool {
        let of_it = self.open.iter().filter(|(_, output)| is_it(output.feed.stamp.source.pid));
        let numbers: Vec<u32> = of_it.map(|(number, _)| *number).collect();
        self.ended.retain(|feed| feed.lock().is_waiting());
        let mut is_left = self.ended.iter().any(|feed| is_it(feed.stamp.source.pid));
        for number in &numbers {
            let Some(output) = self.open.get_mut(number) else { continue };
            let before = output.pace;
            let goes_on = output.drain(now, &self.writer, &mut self.scratch);
            // What it has of a line that others go on with does not wait for them.
            is_left |= output.feed.lock().is_waiting();
            if goes_on {
                self.watch(*number, before, poller, token);
            } else {
                self.close(*number, poller);
            }
        }
        is_left
    }

    fn watch(&self, number: u32, before: Pace, poller: &Poller, token: u64) {
        let Some(output) = self.open.get(&number) else { return };
        let is_watched = |pace| matches!(pace, Pace::Told | Pace::Dropping);
        if is_watched(before) == is_watched(output.pace) {
            return;
        }
        let watched = if is_watched(output.pace) {
            poller.add(&output.pipe, token + u64::from(number))
        } else {
            // Not even that its other side has gone is of interest now.
            poller.remove(&output.pipe);
            Ok(())
        };
        // It fails only when memory is short.
        debug_assert!(watched.is_ok());
    }

    fn close(&mut self, number: u32, poller: &Poller) {
        if let Some(output) = self.open.remove(&number) {
            poller.remove(&output.pipe);
            self.ended.retain(|feed| feed.lock().is_waiting());
            if output.feed.lock().is_waiting() {
                self.ended.push(output.feed);
            }
        }
    }

    /// Writes a line of the keeper's own into the app's log. With a disk that does not answer some are left out.
    pub fn say(&mut self, app: &App, home: &Path, stream: Stream, text: &str) {
        let is_one = app.mode == Mode::Program && app.instances == 1;
        let instance = if is_one { 0 } else { place::NO_INSTANCE };
        self.ended.retain(|feed| feed.lock().is_waiting());
        let files = [place::file(app, home, instance, stream), place::common_file(app, instance)];
        let family = family(app, home);
        let plans: Vec<_> = files.into_iter().flatten().map(|path| plan(app, home, path, &family)).collect();
        let is_kept = !plans.is_empty() || self.console.is_some();
        if !is_kept || self.ended.len() >= MOST_SAID || self.writer.start().is_err() {
            return;
        }
        let source = Source { pid: i32::try_from(std::process::id()).unwrap_or(0), instance, stream };
        let stamp = Stamp { format: app.log_format, date: app.log_date_format.clone(), app: app.name.clone(), source };
        let feed = Arc::new(Feed::new(stamp, plans).with(self.console.clone()));
        let mut held = feed.lock();
        held.bytes.extend_from_slice(format!("[rcluster] {}\n", text.replace('\n', " ")).as_bytes());
        held.frame(0, stream::now());
        held.told = true;
        drop(held);
        self.writer.tell(&feed);
        self.ended.push(feed);
    }

    /// Empties all log files of the app.
    pub fn flush(&mut self, app: &App, home: &Path) -> io::Result<u64> {
        self.writer.order(Order::Flush(plans(app, home)))
    }
}

#[cfg(test)]
mod tests {
    use super::stream::LARGE_PIPE;
    use super::*;
    use crate::sys::pipe;
    use std::io::Write;

    fn app(folder: &Path) -> App {
        let text = format!(r#"{{"name":"a","mode":"program","script":"a.js","cwd":"{}"}}"#, folder.display());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn all_that_an_ended_process_wrote_is_in_the_file_when_the_order_is_carried_out() {
        let folder = std::env::temp_dir().join(format!("rclusterd-output-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (app, poller) = (app(&folder), Poller::new().unwrap());
        let mut outputs = Outputs::new(None).unwrap();
        poller.add(&outputs.writer, 1).unwrap();
        let mut wires = outputs.wires(&app, &folder, 0).unwrap();
        assert!(wires.ours.iter().flatten().all(|(pipe, _)| pipe::grow(pipe, LARGE_PIPE)));
        let mut out = std::fs::File::from(std::mem::replace(
            &mut wires.theirs[0],
            std::fs::File::open("/dev/null").unwrap().into(),
        ));
        outputs.connect(wires, &app, 0, 77, &poller, 2 << 32).unwrap();
        // As much as its pipe holds, and a last line without an end.
        let text = format!("{}\nthe end", "x".repeat(LARGE_PIPE - 100));
        out.write_all(text.as_bytes()).unwrap();
        drop(out);
        // Where nothing is left the writer was as quick.
        if outputs.drain(77, 0, &poller, 2 << 32) {
            let order = outputs.writer.order(Order::Written).unwrap();
            let mut ready = Vec::new();
            while !outputs.writer.done().iter().any(|(number, _)| *number == order) {
                poller.wait(Some(1000), &mut ready).unwrap();
            }
        }
        assert_eq!(std::fs::read_to_string(folder.join("logs/a-out.log")).unwrap(), text + "\n");
        // Nothing more comes of it.
        assert!(outputs.open.is_empty() && !outputs.drain(77, 0, &poller, 2 << 32));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_end_of_a_process_waits_for_lines_of_streams_that_have_ended_before_it() {
        let folder = std::env::temp_dir().join(format!("rclusterd-ended-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (mut app, poller) = (app(&folder), Poller::new().unwrap());
        // Its writer waits until somebody reads there.
        let slow = folder.join("slow");
        nix::unistd::mkfifo(&slow, nix::sys::stat::Mode::S_IRWXU).unwrap();
        app.out_file = Some("slow".into());
        app.error_file = Some("NULL".into());
        let mut outputs = Outputs::new(None).unwrap();
        let mut wires = outputs.wires(&app, &folder, 0).unwrap();
        let null = std::fs::File::open("/dev/null").unwrap().into();
        let mut out = std::fs::File::from(std::mem::replace(&mut wires.theirs[0], null));
        outputs.connect(wires, &app, 0, 77, &poller, 2 << 32).unwrap();
        out.write_all(b"the end\n").unwrap();
        drop(out);
        while !outputs.open.is_empty() {
            outputs.on_ready(1, 0, &poller, 2 << 32);
        }
        assert!(outputs.drain(77, 0, &poller, 2 << 32));
        assert!(!outputs.drain(78, 0, &poller, 2 << 32));
        let mut read = std::io::BufReader::new(std::fs::File::open(&slow).unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut read, &mut line).unwrap();
        assert_eq!(line, "the end\n");
        while outputs.drain(77, 0, &poller, 2 << 32) {
            std::thread::yield_now();
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
