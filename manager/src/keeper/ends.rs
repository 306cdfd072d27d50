//! How processes are told to end.

use nix::sys::signal::Signal;

use super::Keeper;
use crate::model::Mode;
use crate::sys::process;

impl Keeper {
    pub(super) fn kill_signal(&self) -> Signal {
        self.app.kill_signal.parse().unwrap_or(Signal::SIGINT)
    }

    /// The next one finds the sockets of this one where it can leave them.
    pub(super) fn ask_to_make_room(&mut self, number: usize) {
        let has_heard =
            self.app.mode == Mode::Cluster && self.instances[number].send_message("{\"rcluster\":\"make-room\"}");
        if !has_heard {
            self.ask_to_end(number);
        }
    }

    pub(super) fn signal_main(&self, number: usize, signal: Signal) {
        if let Some(running) = self.instances[number].running.as_ref().filter(|running| !running.ended) {
            // One that is not there any more is about to be collected.
            let _ = process::signal(running.pid, signal as i32);
        }
    }

    pub(super) fn ask_to_end(&mut self, number: usize) {
        let instance = &mut self.instances[number];
        if self.app.shutdown_with_message && instance.send_message("\"shutdown\"") {
            return;
        }
        self.signal_main(number, self.kill_signal());
    }

    pub(super) fn signal_tree(&mut self, number: usize, signal: Signal) {
        if !self.app.treekill {
            self.signal_main(number, signal);
            return;
        }
        for stat in &self.trees()[number] {
            let _ = process::signal(stat.pid, signal as i32);
        }
    }
}
