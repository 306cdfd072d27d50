//! What a cluster's primary and its keeper say to each other, over the primary's message channel.

use serde_json::{Value, json};

use super::Keeper;

/// The number of a client that there never is: what is asked in its name nobody waits for.
pub const NOBODY: u32 = 0;

/// The code of what a primary was asked that has ended before it has answered. Whether another one starts is for its keeper to decide, and for
/// nobody else.
pub const PRIMARY_ENDED: &str = "ERR_RCLUSTER_PRIMARY_ENDED";

impl Keeper {
    /// Whether workers are being replaced without somebody having asked for it.
    pub(super) fn reloads_by_itself(&self) -> bool {
        self.asked.values().any(|(client, _)| *client == NOBODY)
    }

    /// The primary has said something. Returns whether it was meant for us.
    pub(super) fn on_primary(&mut self, line: &str) -> bool {
        let Ok(mut message) = serde_json::from_slice::<Value>(line.as_bytes()) else { return false };
        match message.get("rcluster").and_then(Value::as_str) {
            Some("workers") => {
                self.workers = serde_json::from_value(message["workers"].take()).unwrap_or_default();
                self.forget_boards_of_the_dead();
                self.changed = true;
            }
            Some("incident") => self.incident_of_primary(&message),
            Some("answer") => self.on_answer(message),
            Some("given-up") => self.on_next_given_up(&message["pid"]),
            _ => return false,
        }
        true
    }

    pub(super) fn on_answer(&mut self, mut message: Value) {
        let asked = message.get("seq").and_then(Value::as_u64).and_then(|seq| self.asked.remove(&seq));
        let Some((client, id)) = asked else { return };
        if client == NOBODY {
            self.on_own_reload(message.get("error").and_then(|error| error["message"].as_str()));
        }
        let answer = match message.get("error") {
            Some(error) => json!({ "id": id, "error": error }),
            None => json!({ "id": id, "ok": message["result"].take() }),
        };
        // How its workers are by now.
        self.tell_changes();
        self.send(client, &answer);
    }

    /// Asks the primary; whoever wants to know is answered when it has answered. Returns whether it could be asked.
    pub(super) fn ask_primary(&mut self, client: u32, id: Value, mut request: Value) -> bool {
        self.last_asked += 1;
        request["seq"] = self.last_asked.into();
        let asked = self.instances.first_mut().is_some_and(|primary| primary.send_message(&request.to_string()));
        if asked {
            self.asked.insert(self.last_asked, (client, id));
        }
        asked
    }

    /// The primary is gone: it answers nothing any more.
    pub(super) fn primary_is_gone(&mut self) {
        self.workers.clear();
        self.store.forget_boards(|_| true, &self.poller);
        for (client, id) in std::mem::take(&mut self.asked).into_values() {
            let error = json!({ "code": PRIMARY_ENDED, "message": "the primary has ended meanwhile" });
            self.send(client, &json!({ "id": id, "error": error }));
        }
    }
}
