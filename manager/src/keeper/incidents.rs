//! What somebody may have to see to: told to those who listen, and written into the app's log.

use serde_json::json;

use super::Keeper;
use crate::logs::place::Stream;

impl Keeper {
    /// Such has happened: a word for it, to which instance, and a sentence.
    pub(super) fn incident(&mut self, kind: &str, instance: Option<u32>, message: &str) {
        self.say(Stream::Error, message);
        let incident = json!({ "kind": kind, "instance": instance, "message": message });
        self.publish(&json!({ "event": "incident", "incident": incident }));
    }

    /// Writes a line of ours into the app's log.
    pub(super) fn say(&mut self, stream: Stream, text: &str) {
        let home = self.home().to_owned();
        self.outputs.say(&self.app, &home, stream, text);
    }
}
