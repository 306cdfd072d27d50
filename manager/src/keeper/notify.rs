//! What programs tell of themselves, in systemd's words (sd_notify(3)).

use super::Keeper;
use super::life::Event;
use super::store::{self, About, Taken, Whose};
use super::token;
use crate::logs::place::Stream;
use crate::model::{Mode, State};
use crate::sys::datagram::Told;
use crate::sys::{process, procfs};

/// Characters of what a program says that it is doing.
const LONGEST_STATUS: usize = 512;

/// The worker that a board belongs to: its place and its process.
fn whose(text: &str) -> Option<Whose> {
    let (seat, pid) = text.split_once(' ')?;
    Some(Whose { seat: seat.parse().ok()?, pid: pid.parse().ok().filter(|pid| *pid > 0)? })
}

impl Keeper {
    /// Programs have told something. What comes from a process that is none of the app's is dropped, with its descriptors; so are those
    /// of `BARRIER=1`, by which the sender learns that all that it told before has been heard.
    pub(super) fn on_told(&mut self) {
        while let Ok(Some(told)) = self.notify.next() {
            if let Some(number) = self.sender(told.pid) {
                self.apply(number, told);
            }
        }
    }

    /// The instance that a process belongs to.
    fn sender(&self, pid: i32) -> Option<usize> {
        // Usually the process itself, or its child; only else the whole tree is looked at.
        let parent = procfs::stat(pid).map(|stat| stat.parent);
        let known = |wanted: i32| {
            self.instances.iter().position(|one| one.running.as_ref().is_some_and(|running| running.pid == wanted))
        };
        known(pid)
            .or_else(|| known(parent?))
            .or_else(|| self.trees().iter().position(|tree| tree.iter().any(|stat| stat.pid == pid)))
    }

    fn apply(&mut self, number: usize, told: Told) {
        let value = |name: &str| told.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let time = |name: &str| Some(value(name)?.parse::<u64>().ok()?.div_ceil(1000));
        if told.lost_fds {
            self.tell_lost(number);
        }
        let before = self.instances[number].told.clone();
        let said = &mut self.instances[number].told;
        if let Some(status) = value("STATUS") {
            let text: String = status.chars().filter(|letter| !letter.is_control()).take(LONGEST_STATUS).collect();
            said.status = Some(text).filter(|text| !text.is_empty());
        }
        if value("RELOADING") == Some("1") {
            said.reloading = true;
        }
        if let Some(pid) = value("MAINPID").and_then(|text| text.parse().ok()) {
            self.set_main(number, told.pid, pid);
        }
        if let Some(pid) = value("RCLUSTER_NEXT").and_then(|text| text.parse().ok()) {
            return self.on_next(number, told.pid, pid, told.fds);
        }
        if value("READY") == Some("1") {
            self.instances[number].told.reloading = false;
            // What it has said before by its channel comes before: how its workers are.
            if self.app.mode == Mode::Cluster {
                self.on_message(number as u32);
            }
            self.event(number, Event::Ready);
        }
        if let Some(time) = time("EXTEND_TIMEOUT_USEC") {
            self.event(number, Event::Extend(time));
        }
        if value("STOPPING") == Some("1") {
            self.event(number, Event::Leaves);
        }
        if let Some(interval) = time("WATCHDOG_USEC") {
            self.instances[number].told.watchdog = Some(interval);
            self.feed_watchdog(number);
        }
        match value("WATCHDOG") {
            Some("1") => self.feed_watchdog(number),
            Some("trigger") => self.event(number, Event::Hung),
            _ => {}
        }
        self.changed |= before.status != self.instances[number].told.status
            || before.reloading != self.instances[number].told.reloading;
        let instance = self.instances[number].number;
        if value("FDSTOREREMOVE") == Some("1")
            && let Some(name) = value("FDNAME")
        {
            self.store.remove(instance, name, &self.poller);
        }
        if let Some(about) = value("RCLUSTER_OUTPUT") {
            let is_primary = self.instances[number].running.as_ref().is_some_and(|running| {
                running.pid == told.pid || running.next.as_ref().is_some_and(|next| next.pid == told.pid)
            });
            if self.app.mode == Mode::Cluster && is_primary {
                self.read_worker(about, told.fds);
            }
        } else if let Some(whose) = value("RCLUSTER_BOARD").and_then(whose) {
            if self.app.mode == Mode::Cluster {
                self.forget_boards_of_the_dead();
                let about = About { instance: Some(instance), name: String::new(), watched: false, board: Some(whose) };
                for fd in told.fds {
                    self.store.keep(about.clone(), fd, &self.poller);
                }
            }
        } else if value("FDSTORE") == Some("1") {
            let name = store::valid_or_default(value("FDNAME").unwrap_or("stored")).to_owned();
            let about = About { instance: Some(instance), name, watched: value("FDPOLL") != Some("0"), board: None };
            for fd in told.fds {
                if self.store.keep(about.clone(), fd, &self.poller) == Taken::NoRoom {
                    self.tell_lost(number);
                }
            }
        }
    }

    /// A process has left something that cannot be kept. It has no way to hear of it (sd_notify(3)): whoever reads its log does, once for
    /// each process.
    fn tell_lost(&mut self, number: usize) {
        let instance = &mut self.instances[number];
        if std::mem::replace(&mut instance.told.lost_fds, true) {
            return;
        }
        let (which, most) = (instance.number, store::most());
        let text = format!(
            "instance {which} has left more descriptors than can be kept for the process after it ({most} at most: see \"ulimit -n\")"
        );
        self.say(Stream::Error, &text);
        self.incident("descriptors", Some(which), &text);
    }

    /// Nobody needs the numbers of workers that are not there any more.
    pub(super) fn forget_boards_of_the_dead(&mut self) {
        let known: Vec<i32> = self.workers.iter().filter_map(|worker| worker.pid).collect();
        // A new one is there before the primary has told of it.
        let is_gone =
            |whose: Whose| !known.contains(&whose.pid) && procfs::stat(whose.pid).is_none_or(|stat| stat.is_zombie);
        self.store.forget_boards(is_gone, &self.poller);
    }

    /// It lives: it has to say so again within that time. Before it is online nobody waits for that.
    pub(super) fn feed_watchdog(&mut self, number: usize) {
        let (now, common) = (self.now(), self.app.watchdog);
        let instance = &mut self.instances[number];
        let interval = instance.told.watchdog.unwrap_or(common);
        let is_watched = interval > 0 && instance.life.state() == State::Online;
        instance.told.alive_until = is_watched.then(|| now.saturating_add(interval));
    }

    /// Another process of its tree is the main one from now on. The main process alone says so: with any other of its tree, a worker or a
    /// tool, the keeper would follow that one's life.
    fn set_main(&mut self, number: usize, teller: i32, pid: i32) {
        let running = self.instances[number].running.as_ref();
        let Some(running) = running.filter(|running| running.pid == teller) else { return };
        if self.app.mode == Mode::Cluster {
            // It has told of that one before.
            if running.next.as_ref().is_some_and(|next| next.pid == pid) {
                self.promote(number);
            }
            return;
        }
        let is_its_own = self.trees()[number].iter().any(|stat| stat.pid == pid);
        let Some(running) = self.instances[number].running.as_mut().filter(|running| !running.ended) else { return };
        if !is_its_own || running.pid == pid {
            return;
        }
        let Ok(main) = process::open(pid) else { return };
        if self.poller.add(&main, token::MAIN + number as u64).is_err() {
            return;
        }
        if let Some(before) = running.main.replace(main) {
            self.poller.remove(&before);
        }
        running.pid = pid;
        running.start = procfs::stat(pid).map(|stat| stat.start);
        self.changed = true;
    }

    /// A main process that somebody else may have started has ended: if it is our child by now, we are told how.
    pub(super) fn on_main_ended(&mut self, number: u32) {
        let index = number as usize;
        let Some(running) = self.instances.get_mut(index).and_then(|one| one.running.as_mut()) else { return };
        if let Some(main) = running.main.take() {
            self.poller.remove(&main);
            let end = process::end_of(running.pid);
            let pid = running.pid;
            self.on_end(pid, end);
        }
        self.look_for_gone_trees();
    }
}
