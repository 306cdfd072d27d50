//! What happens to the processes of instances, and what is done then: the hands of [`super::life`].

use std::io;
use std::path::Path;

use nix::sys::signal::Signal;

use super::instance::{Gifts, Instance};
use super::life::{self, Action, Event};
use super::{Keeper, token, tree};
use crate::logs::place;
use crate::model::{Mode, State};
use crate::sys::{process, procfs};

impl Keeper {
    /// Something has happened to an instance: does what follows from it.
    pub(super) fn event(&mut self, number: usize, event: Event) {
        let now = self.now();
        let Some(instance) = self.instances.get_mut(number) else { return };
        let before = (instance.life.state(), instance.life.trouble);
        let actions = instance.life.on(event, &self.rules, now);
        let changed = before != (instance.life.state(), instance.life.trouble) || !actions.is_empty();
        // What follows from it may have troubles of its own.
        self.tell_trouble(number, event, before);
        for action in actions {
            match action {
                Action::Spawn => self.spawn(number),
                Action::AskToEnd => self.ask_to_end(number),
                Action::AskToMakeRoom => self.ask_to_make_room(number),
                Action::Abort => self.signal_main(number, Signal::SIGABRT),
                Action::AskRestToEnd => {
                    self.signal_tree(number, self.kill_signal());
                    self.look_for_gone_trees();
                }
                Action::KillTree => self.signal_tree(number, Signal::SIGKILL),
            }
        }
        self.changed |= changed;
        if changed {
            // It is to say that it lives from when it is online on.
            self.feed_watchdog(number);
            if self.instances[number].life.is_at_rest() {
                self.store.abandon(number as u32, Path::new(&self.app.cwd), &self.poller);
            }
        }
    }

    pub(super) fn spawn(&mut self, number: usize) {
        self.forget_process(number);
        if let Err(problem) = self.try_spawn(number) {
            self.instances[number].problem = Some(problem);
            self.event(number, Event::SpawnFailed);
        }
    }

    fn try_spawn(&mut self, number: usize) -> Result<(), String> {
        let home = self.home().to_owned();
        let which = self.instances[number].number;
        // A primary is none of the instances: its workers are.
        let writes_as = if self.app.mode == Mode::Cluster { place::NO_INSTANCE } else { which };
        let wires = self.outputs.wires(&self.app, &home, writes_as)?;
        let sockets = self.store.of(which).collect();
        let gifts = Gifts { notify: self.notify.name(), sockets, outputs: &wires.theirs, reads: wires.streams() };
        let instance = &mut self.instances[number];
        instance.spawn(&self.app, &gifts)?;
        let running = instance.running.as_ref().ok_or("it has gone")?;
        let connected = self.outputs.connect(wires, &self.app, writes_as, running.pid, &self.poller, token::OUTPUT);
        let watched = connected.and_then(|()| {
            let ipc = running.ipc.iter().map(|ipc| self.poller.add(ipc, token::IPC + u64::from(which)));
            ipc.collect::<io::Result<()>>()
        });
        watched.map_err(|error| error.to_string())
    }

    /// What is left of the process before. What still comes of its output, from others that have it, is read on.
    pub(super) fn forget_process(&mut self, number: usize) {
        let Some(running) = self.instances[number].running.take() else { return };
        for watched in running.watched() {
            self.poller.remove(watched);
        }
    }

    /// Children have ended: instances, or what they left behind.
    pub(super) fn on_ended(&mut self) {
        while let Some((pid, end)) = process::next_ended() {
            if !self.on_hook_ended(pid, end) {
                self.on_end(pid, end);
            }
        }
        self.look_for_gone_trees();
    }

    /// This one has ended; if it is an instance's main process, that has.
    pub(super) fn on_end(&mut self, pid: i32, end: life::End) {
        let instance = self.instances.iter_mut().position(|instance| {
            instance
                .running
                .as_mut()
                .is_some_and(|running| running.pid == pid && !std::mem::replace(&mut running.ended, true))
        });
        if let Some(number) = instance {
            // One that was about to follow it goes on without it.
            if self.promote(number) {
                return;
            }
            if self.app.mode == Mode::Cluster {
                self.primary_is_gone();
            }
            self.when_logged(number, end);
        }
    }

    /// Those who wait for the rest of their tree go on when nothing is left of it.
    pub(super) fn look_for_gone_trees(&mut self) {
        let waits = |instance: &Instance| instance.life.state() == State::Stopping && !instance.is_running();
        let waiting: Vec<usize> = (0..self.instances.len())
            .filter(|number| waits(&self.instances[*number]) && !self.is_being_logged(*number))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let trees = self.trees();
        for number in waiting {
            if !self.app.treekill || trees[number].is_empty() {
                self.when_all_logged(number);
            }
        }
    }

    /// All that belongs to each instance.
    pub(super) fn trees(&self) -> Vec<Vec<procfs::Stat>> {
        if !process::has_children() {
            // What has lost its parent is our child: there is nothing, and no need to look at all processes of the machine.
            return vec![Vec::new(); self.instances.len()];
        }
        let known: Vec<(usize, tree::Root)> = self
            .instances
            .iter()
            .enumerate()
            .filter_map(|(number, one)| Some((number, one.root(&self.app)?)))
            .collect();
        let roots: Vec<tree::Root> = known.iter().map(|(_, root)| root.clone()).collect();
        let mut trees = vec![Vec::new(); self.instances.len()];
        let keeper = i32::try_from(std::process::id()).unwrap_or(0);
        for ((number, _), tree) in known.into_iter().zip(tree::trees(keeper, &roots, &self.hooks.sessions())) {
            trees[number] = tree;
        }
        trees
    }
}
