//! What somebody may have to see to: told to those who listen, and to what the app has run for it.

use serde_json::{Value, json};

use super::instance::Instance;
use super::life::{End, Event, Trouble};
use super::{Keeper, output};
use crate::logs::place::Stream;
use crate::model::{Mode, State};

/// Bytes of a sentence at most: a program has it in a variable.
const LONGEST: usize = 2000;

/// What the primary of a cluster may say.
const OF_PRIMARIES: [&str; 6] = ["crash", "crash-loop", "hang", "memory", "reload-failed", "upgraded"];

impl Keeper {
    /// Such has happened: a word for it, to which instance or worker, and a sentence.
    pub(super) fn incident(&mut self, kind: &str, instance: Option<u32>, message: &str) {
        let message = shortened(message);
        let incident = json!({ "kind": kind, "instance": instance, "message": message });
        self.publish(&json!({ "event": "incident", "incident": incident }));
        self.run_hooks(&json!({
            "event": "incident", "kind": kind, "app": self.app.name, "namespace": self.app.namespace, "instance": instance,
            "message": message, "at": output::now(),
        }));
    }

    /// The primary of a cluster has said such of itself or a worker.
    pub(super) fn incident_of_primary(&mut self, said: &Value) {
        let text = |member: &str| said[member].as_str().unwrap_or_default();
        let seat = said["seat"].as_u64().and_then(|seat| u32::try_from(seat).ok());
        if let Some(kind) = OF_PRIMARIES.into_iter().find(|kind| *kind == text("kind")) {
            self.incident(kind, seat, text("message"));
        }
    }

    /// Writes a line of ours into the app's log.
    pub(super) fn say(&mut self, stream: Stream, text: &str) {
        let home = self.home().to_owned();
        self.outputs.say(&self.app, &home, stream, text);
    }

    /// Something has happened to an instance that was in this state, with this trouble: perhaps somebody has to see to it.
    pub(super) fn tell_trouble(&mut self, number: usize, event: Event, before: (State, Option<Trouble>)) {
        let ended =
            self.app.stop_exit_codes.iter().map(|code| End::Code(*code)).chain([End::Code(0)]).collect::<Vec<_>>();
        let Some(Instance { life, .. }) = self.instances.get(number) else { return };
        let ran = matches!(before.0, State::Launching | State::Online);
        let is_new = life.trouble != before.1;
        let said = || self.instances[number].status(&self.app).last_error.unwrap_or_default();
        let told = match (event, life.trouble) {
            (Event::TreeGone, Some(Trouble::CrashLoop)) if is_new => Some(("crash-loop", said())),
            (Event::Hung, Some(Trouble::Hung)) if ran => Some(("hang", said())),
            (Event::SpawnFailed, Some(Trouble::NotStarted)) => Some(("crash", said())),
            // One that may be late goes on.
            (Event::Timeout, Some(Trouble::NotReady)) if ran && life.state() == State::Stopping => {
                Some(("crash", said()))
            }
            (Event::Exited(end), _) if ran && !ended.contains(&end) => Some(("crash", in_words(end))),
            _ => None,
        };
        // A primary is none of the instances.
        let instance = (self.app.mode == Mode::Program).then_some(number as u32);
        if let Some((kind, message)) = told {
            self.incident(kind, instance, &message);
        }
    }
}

/// As much of it as an incident may have.
fn shortened(message: &str) -> &str {
    let end = (0..=LONGEST.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
    &message[..end.unwrap_or_default()]
}

fn in_words(end: End) -> String {
    match end {
        End::Code(code) => format!("ended with code {code}"),
        End::Signal(number) => match nix::sys::signal::Signal::try_from(number) {
            Ok(signal) => format!("was ended by {}", signal.as_str()),
            Err(_) => format!("was ended by signal {number}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_is_too_long_ends_between_two_characters() {
        assert_eq!(shortened("short"), "short");
        let long = format!("{}é and more", "x".repeat(LONGEST - 1));
        assert_eq!(shortened(&long), "x".repeat(LONGEST - 1));
    }
}
