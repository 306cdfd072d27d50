//! What is due by the clock: `cron` starts a program that ends by itself, `cronRestart` starts anew what runs.
//!
//! The keeper does it, as it goes on when the daemon is dead. There is one timer, for the next time alone. It goes by the wall clock and hears
//! when that is set: what was due while the clock jumped or the machine slept is done once, and what was done is not done again when the
//! clock is set back by some hours.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::life::Event;
use super::primary::NOBODY;
use super::{Keeper, token};
use crate::model::{Mode, State, Times};
use crate::say::say;
use crate::sys::timer::Timer;

/// A clock that is set back by more than that was wrong before: then times count again.
const SMALL_STEP: SignedDuration = SignedDuration::from_hours(3);

/// The times of an app.
pub struct Schedule {
    times: Times,
    /// What it was made of.
    of: (String, Option<String>),
    timer: Timer,
    due: Option<Timestamp>,
    /// What was done last.
    done: Option<Timestamp>,
}

/// From when on times count.
fn begin(now: Timestamp, done: Option<Timestamp>) -> Timestamp {
    done.filter(|done| *done > now && done.duration_since(now) <= SMALL_STEP).unwrap_or(now)
}

impl Schedule {
    fn plan(&mut self, now: Timestamp) -> std::io::Result<()> {
        self.due = self.times.after(begin(now, self.done));
        match self.due {
            Some(due) => self.timer.set(due.as_second(), i64::from(due.subsec_nanosecond())),
            None => Ok(()),
        }
    }

    /// When (ms since 1970) something is due next.
    pub fn next(&self) -> Option<u64> {
        self.due.and_then(|due| u64::try_from(due.as_millisecond()).ok())
    }
}

impl Keeper {
    /// The app may have other times now.
    pub(super) fn plan_schedule(&mut self) -> std::io::Result<()> {
        let line = self.app.cron.as_ref().or(self.app.cron_restart.as_ref());
        let of = line.map(|line| (line.clone(), self.app.cron_timezone.clone()));
        if self.schedule.as_ref().map(|schedule| &schedule.of) == of.as_ref() {
            return Ok(());
        }
        if let Some(schedule) = self.schedule.take() {
            self.poller.remove(&schedule.timer);
        }
        let Some(of) = of else { return Ok(()) };
        let times = Times::parse(&of.0, of.1.as_deref()).map_err(std::io::Error::other)?;
        let mut schedule = Schedule { times, of, timer: Timer::new()?, due: None, done: None };
        schedule.plan(Timestamp::now())?;
        self.poller.add(&schedule.timer, token::SCHEDULE)?;
        self.schedule = Some(schedule);
        self.changed = true;
        Ok(())
    }

    /// It is time, or the clock was set.
    pub(super) fn on_schedule(&mut self) {
        let Some(schedule) = &mut self.schedule else { return };
        schedule.timer.read();
        let now = Timestamp::now();
        let is_due = schedule.due.is_some_and(|due| due <= now);
        if is_due {
            schedule.done = schedule.due;
        }
        if let Err(error) = schedule.plan(now) {
            say(&format!("rclusterd: the next time could not be set: {error}"));
        }
        self.changed = true;
        if is_due && !self.quitting {
            self.do_what_is_due();
        }
    }

    fn do_what_is_due(&mut self) {
        let is_run = self.app.cron.is_some();
        let wanted = |number: &usize| self.app.cron_when_stopped || !self.instances[*number].is_stopped;
        let due: Vec<usize> = (0..self.instances.len()).filter(wanted).collect();
        for number in due {
            let state = self.instances[number].life.state();
            let event = match state {
                // One that is not through is let alone.
                State::Stopped | State::Errored if is_run => Event::Start,
                _ if is_run => continue,
                // It is starting anew just now.
                State::Launching => continue,
                State::Online if self.app.mode == Mode::Cluster => {
                    // Nobody waits for what comes of it. One that is still under way is let alone.
                    if !self.reloads_by_itself() {
                        self.ask_primary(NOBODY, Value::Null, json!({ "rcluster": "reload" }));
                    }
                    continue;
                }
                _ => Event::Restart,
            };
            self.instances[number].is_stopped = false;
            self.event(number, event);
        }
        self.plan_watch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_a_little_does_nothing_twice_and_one_that_was_wrong_counts_anew() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let done = Some(at("2026-06-01T03:00:00Z"));
        assert_eq!(begin(at("2026-06-01T02:30:00Z"), done), at("2026-06-01T03:00:00Z"));
        assert_eq!(begin(at("2026-06-01T03:00:01Z"), done), at("2026-06-01T03:00:01Z"));
        assert_eq!(begin(at("2025-06-01T03:00:00Z"), done), at("2025-06-01T03:00:00Z"));
    }
}
