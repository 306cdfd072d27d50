//! Whoever keeps what is in our store for the keeper after us: the daemon, over a connection of its own.
//!
//! Each descriptor that comes is told with a line `{"number":…,"about":…}` and travels with it; each that goes with `{"gone":…}`. Who does not
//! read is given up: it drops what it has, and begins anew.

use serde_json::json;

use super::Keeper;
use crate::sys::socket;

impl Keeper {
    /// This client is told of the store from now on.
    pub(super) fn add_guard(&mut self, client: u32) {
        // The others first, as to them this is no news.
        self.tell_guards();
        if let Some(client) = self.clients.get_mut(&client) {
            client.guards = true;
        }
        for number in self.store.numbers() {
            self.tell_guard(client, number);
        }
    }

    /// Tells what has changed.
    pub(super) fn tell_guards(&mut self) {
        let news = std::mem::take(&mut self.store.news);
        if news.is_empty() {
            return;
        }
        let guards = self.clients.iter().filter(|(_, client)| client.guards).map(|(number, _)| *number);
        let guards: Vec<u32> = guards.collect();
        // Nobody has a connection for it as long as there is nothing: whoever hears that there is comes then.
        self.changed |= guards.is_empty();
        for guard in guards {
            for number in &news {
                self.tell_guard(guard, *number);
            }
        }
    }

    fn tell_guard(&mut self, guard: u32, number: u32) {
        let Some(client) = self.clients.get(&guard) else { return };
        let (line, fd) = match self.store.get(number) {
            Some((about, fd)) => (json!({ "number": number, "about": about }), Some(fd)),
            None => (json!({ "gone": number }), None),
        };
        let text = format!("{line}\n");
        if socket::send_with(&client.lines, text.as_bytes(), fd.as_slice()).ok() != Some(text.len()) {
            self.drop_client(guard);
        }
    }
}
