//! How much memory instances use, where that is limited.

use super::instance::Instance;
use super::life::Event;
use super::{Keeper, MEMORY_LOOK};
use crate::model::{Mode, State};
use crate::sys::procfs;

impl Keeper {
    /// Only what runs and has a limit is looked at.
    pub(super) fn plan_memory_look(&mut self) {
        let wanted = self.app.max_memory > 0
            && self.app.mode == Mode::Program
            && self.instances.iter().any(Instance::is_running);
        self.memory_look = wanted.then(|| self.memory_look.unwrap_or_else(|| self.now() + MEMORY_LOOK));
    }

    /// Whoever uses more than it may, with all that it has started, starts anew.
    pub(super) fn look_at_memory(&mut self) {
        self.memory_look = None;
        for (number, tree) in self.trees().iter().enumerate() {
            let bytes = procfs::bytes(tree.iter().map(|stat| stat.resident).sum());
            if bytes > self.app.max_memory && self.instances[number].life.state() == State::Online {
                self.instances[number].is_too_large();
                let message =
                    format!("used {} MiB, more than {} MiB, and starts anew", bytes >> 20, self.app.max_memory >> 20);
                self.incident("memory", Some(number as u32), &message);
                self.event(number, Event::Restart);
            }
        }
    }
}
