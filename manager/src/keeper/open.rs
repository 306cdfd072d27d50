//! A keeper begins: takes its folder, opens what it needs, and ends what the keeper before has left.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use serde_json::json;

use super::birth::{self, Begin, Birth, Born};
use super::leftovers::{self, Note};
use super::life::{Event, Rules};
use super::output::Outputs;
use super::store::Store;
use super::{ANOTHER, Keeper, PROTOCOL, hooks, token};
use crate::logs::console::{Console, Look};
use crate::sys::poll::Poller;
use crate::sys::process;
use crate::sys::signals::{self, Signals};
use crate::sys::socket::{self, Door};
use crate::sys::{datagram::NotifySocket, procfs};

/// Runs a keeper until it is told to quit. `console`: where lines go besides their files, and what they look like there.
pub fn run(born: Born, console: Option<(Look, [OwnedFd; 2])>) -> io::Result<()> {
    let Born { line, birth, kept } = born;
    match Keeper::open(birth, kept, console) {
        Ok((mut keeper, begin, before)) => {
            keeper.add_client(line);
            keeper.begin(begin, before);
            keeper.run()
        }
        Err(error) => {
            birth::refuse(line, &error.to_string());
            Err(error)
        }
    }
}

impl Keeper {
    /// Returns besides what it begins with, and what the keeper before has written down.
    fn open(
        birth: File,
        kept: Vec<OwnedFd>,
        console: Option<(Look, [OwnedFd; 2])>,
    ) -> io::Result<(Keeper, Begin, Option<Note>)> {
        let birth = Birth::read(birth)?;
        let (folder, app) = (birth.folder.into_owned(), birth.app.into_owned());
        birth::call_ourselves(&["keeper".as_ref(), "--dir".as_ref(), folder.as_os_str()]);
        // Never removed: whoever had opened it by then would have a lock of his own.
        let lock =
            File::options().write(true).create(true).truncate(false).mode(0o600).open(folder.join("keeper.json"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => io::Error::new(io::ErrorKind::AddrInUse, ANOTHER),
            other => other.into(),
        })?;
        process::adopt_orphans()?;
        signals::survive_full_files()?;
        let signals =
            Signals::open(&[Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR2])?;
        let (poller, notify) = (Poller::new()?, NotifySocket::open()?);
        let door = Door::new(socket::listen_private(&folder.join("keeper.sock"))?);
        poller.add(&signals, token::SIGNALS)?;
        poller.add(&door, token::LISTENER)?;
        poller.add(&notify, token::NOTIFY)?;
        let home = folder.parent().and_then(Path::parent).unwrap_or(&folder);
        let console = console.map(|(look, ends)| Console::new(look, ends, home)).transpose()?;
        let before = Note::read(&folder);
        let mut keeper = Keeper {
            folder,
            rules: Rules::from(&app),
            app,
            began: Instant::now(),
            poller,
            signals,
            door,
            notify,
            clients: BTreeMap::new(),
            last_client: 0,
            pending: Vec::new(),
            instances: Vec::new(),
            store: Store::default(),
            outputs: Outputs::new(console)?,
            ordered: BTreeMap::new(),
            workers: Vec::new(),
            asked: BTreeMap::new(),
            last_asked: 0,
            memory_look: None,
            schedule: None,
            watch: None,
            hooks: hooks::Hooks::default(),
            changed: false,
            note: Note::default(),
            quitting: false,
            forgets: false,
            lock,
        };
        // Who asks meanwhile waits.
        if let Some(before) = &before {
            leftovers::end(before, &keeper.app);
        }
        for (about, fd) in birth.kept.into_iter().map(Cow::into_owned).zip(kept) {
            keeper.store.keep(about, fd, &keeper.poller);
        }
        keeper.store.open(&keeper.app.sockets, Path::new(&keeper.app.cwd), &keeper.poller)?;
        keeper.poller.add(&keeper.outputs.writer, token::LOGS)?;
        keeper.set_count(keeper.app.processes());
        keeper.plan_schedule()?;
        keeper.introduce();
        Ok((keeper, birth.begin, before))
    }

    /// Tells who we are: a number alone may be another process's tomorrow. Nobody needs it who can ask; a full disk may be without.
    fn introduce(&self) {
        let pid = std::process::id();
        let start = i32::try_from(pid).ok().and_then(procfs::stat).map(|stat| stat.start);
        let about =
            json!({ "pid": pid, "startTime": start, "version": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL });
        let _ = self.lock.set_len(0).and_then(|()| self.lock.write_all_at(about.to_string().as_bytes(), 0));
    }

    /// Does what it was born for: nobody has to be there to ask.
    fn begin(&mut self, begin: Begin, before: Option<Note>) {
        if begin != Begin::Nothing {
            self.start_anew(&before.unwrap_or_default(), begin == Begin::Start);
            self.plan_watch();
            self.follow_up();
        }
    }

    /// Starts what ran, or was about to, when the keeper before us ended: all, where nobody knows, or somebody has asked for all.
    fn start_anew(&mut self, before: &Note, all: bool) {
        for number in 0..self.instances.len() {
            let noted = before.instances.iter().find(|noted| noted.instance == number as u32);
            let instance = &mut self.instances[number];
            instance.is_stopped = !all && noted.is_some_and(|noted| noted.stopped);
            // The next run of one that has times begins when it is time.
            if self.app.cron.is_some() || !all && noted.is_some_and(|noted| !noted.wanted) {
                continue;
            }
            // It is one more time.
            instance.life.restarts = noted.filter(|noted| noted.wanted).map_or(0, |noted| noted.restarts + 1);
            self.event(number, if all || noted.is_none() { Event::Start } else { Event::Resume });
        }
    }
}
