//! The life of one process: what happens to it, and what is to be done then.
//!
//! ```text
//!                         ready, or alive long enough               asked to stop
//!   Stopped ──▶ Launching ────────────────────────────▶ Online ─────────────────────▶ Stopping
//!      ▲          │  ▲   │ not ready in time                │ ends by itself              │  its whole tree
//!      │          │  │   └──────────▶ Stopping ─┐           ▼                             │  is gone
//!      │          │  └─────────── Waiting ◀─────┴─── (again, or given up) ──▶ Errored     ▼
//!      └──────────┴───────────────────────────────────────────────────────────────── Stopped, or Launching again
//! ```
//!
//! Pure: an event and the time go in, the new state is kept and actions come out. Nothing here knows processes or clocks, so
//! that every state can be tested with every event.

mod rules;

use crate::model::State;
pub use rules::Rules;

/// How long (ms) at least until one is tried again that could not be started.
const START_AGAIN: u64 = 1000;
/// How long (ms) until those are killed again who are still there after having been killed.
const KILL_AGAIN: u64 = 100;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is wanted.
    Start,
    /// It was wanted before the keeper was there, and nobody waits to hear of it.
    Resume,
    /// It is not wanted any more.
    Stop,
    /// It is wanted anew.
    Restart,
    /// It could not be started.
    SpawnFailed,
    /// It has said that it is ready.
    Ready,
    /// It needs so many more milliseconds for what it is doing.
    Extend(u64),
    /// It has said that it is about to end, though nobody has asked it to.
    Leaves,
    /// It has not said for too long that it lives, or that it does not work.
    Hung,
    /// The time is over that it had for what it is doing.
    Timeout,
    /// It has ended.
    Exited(End),
    /// Nothing is left of what it had started.
    TreeGone,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the process.
    Spawn,
    /// Ask it to end.
    AskToEnd,
    /// The same, for another one that starts at once.
    AskToMakeRoom,
    /// End it at once, so that it tells where it was.
    Abort,
    /// Ask what it has left behind to end.
    AskRestToEnd,
    /// Kill it with all that it has started.
    KillTree,
}

/// What a process that is stopping has ended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It stays stopped.
    Stay,
    /// It starts again at once.
    Again,
    /// It was not ready in time, and counts as crashed.
    Crash,
    /// It ends by itself, or as it hangs: what is done then is decided then.
    ByItself,
    /// It has ended by itself; what it had started is about to follow.
    Decide(End, bool),
}

/// Where in its life a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Stopped,
    Launching,
    Online,
    Stopping { then: Then, main_gone: bool },
    Waiting,
    Errored,
}

/// The life of one process.
#[derive(Clone, Debug)]
pub struct Life {
    phase: Phase,
    /// When the time for what it is doing is over (ms).
    deadline: Option<u64>,
    started_at: u64,
    /// When somebody asked for it, as long as it has not been ready since.
    asked_at: Option<u64>,
    /// Whether it was started last because it had ended by itself, and nobody waits to hear of it.
    by_itself: bool,
    /// How often it was started again since somebody asked for it.
    pub restarts: u64,
    /// How often in a row it ended too soon.
    pub unstable: u32,
    /// How it ended last.
    pub last_end: Option<End>,
    /// Why it is not running, when something went wrong.
    pub trouble: Option<Trouble>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It could not be started.
    NotStarted,
    /// It was not ready in time.
    NotReady,
    /// It used more memory than it may.
    TooLarge,
    /// It did not say that it lives.
    Hung,
    /// It ended too soon too often.
    CrashLoop,
}

impl Default for Life {
    fn default() -> Life {
        Life {
            phase: Phase::Stopped,
            deadline: None,
            started_at: 0,
            asked_at: None,
            by_itself: false,
            restarts: 0,
            unstable: 0,
            last_end: None,
            trouble: None,
        }
    }
}

impl Life {
    /// What users are told.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Stopped => State::Stopped,
            Phase::Launching => State::Launching,
            Phase::Online => State::Online,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Waiting => State::Waiting,
            Phase::Errored => State::Errored,
        }
    }

    /// When [`Event::Timeout`] is due (ms).
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// When it was started last (ms).
    pub fn started_at(&self) -> u64 {
        self.started_at
    }

    /// Whether it has come to where it was told to go, or whoever waits for that has waited long enough.
    pub fn is_settled(&self) -> bool {
        match self.phase {
            Phase::Launching => self.trouble == Some(Trouble::NotReady),
            Phase::Stopping { .. } => false,
            _ => true,
        }
    }

    /// Whether nothing of it is running or will be.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Errored)
    }

    /// Something has happened at `now` (ms). Returns what is to be done.
    pub fn on(&mut self, event: Event, rules: &Rules, now: u64) -> Vec<Action> {
        match (self.phase, event) {
            (Phase::Stopped | Phase::Errored | Phase::Waiting, Event::Start | Event::Restart) => {
                self.unstable = 0;
                // What did not run is started, and not started anew: as PM2 counts.
                if self.phase == Phase::Waiting {
                    self.restarts += 1;
                }
                self.launch(rules, now)
            }
            (Phase::Stopped, Event::Resume) => self.launch_by_itself(rules, now),
            (Phase::Waiting, Event::Stop) => self.rest(Phase::Stopped),
            (Phase::Errored, Event::Stop) => self.rest(Phase::Stopped),
            (Phase::Waiting, Event::Timeout) => {
                self.restarts += 1;
                self.launch_by_itself(rules, now)
            }
            (Phase::Launching, Event::Ready) => self.go_online(),
            (Phase::Launching, Event::Timeout) if rules.ready_within.is_none() => self.go_online(),
            (Phase::Launching, Event::Timeout) => {
                self.trouble = Some(Trouble::NotReady);
                if rules.may_be_late {
                    self.deadline = None;
                    return Vec::new();
                }
                self.stop(Then::Crash, rules, now)
            }
            (Phase::Launching, Event::SpawnFailed) => {
                self.trouble = Some(Trouble::NotStarted);
                // What it needs may be on its way, as when a new version is being put in its place.
                if !self.by_itself || rules.is_crash_loop(self.unstable + 1) {
                    return self.rest(Phase::Errored);
                }
                self.unstable += 1;
                let pause = rules.pause(self.unstable);
                self.wait(pause.max(START_AGAIN), now)
            }
            (Phase::Launching | Phase::Stopping { .. }, Event::Extend(time)) => {
                self.deadline = self.deadline.map(|at| at.max(now.saturating_add(time)));
                Vec::new()
            }
            (Phase::Launching | Phase::Online, Event::Stop) => self.stop(Then::Stay, rules, now),
            (Phase::Launching | Phase::Online, Event::Restart) => {
                self.unstable = 0;
                self.stop(Then::Again, rules, now)
            }
            (Phase::Launching | Phase::Online, Event::Leaves) => {
                // It takes the time that it needs.
                self.phase = Phase::Stopping { then: Then::ByItself, main_gone: false };
                self.deadline = None;
                Vec::new()
            }
            (Phase::Launching | Phase::Online, Event::Hung) => {
                self.trouble = Some(Trouble::Hung);
                self.stop(Then::ByItself, rules, now);
                vec![Action::Abort]
            }
            (
                Phase::Launching | Phase::Online | Phase::Stopping { then: Then::ByItself, main_gone: false },
                Event::Exited(end),
            ) => {
                self.last_end = Some(end);
                let soon = now.saturating_sub(self.started_at) < rules.min_uptime;
                if rules.leaves_rest && self.starts_again(end, soon, rules) {
                    return self.after_end(Then::Decide(end, soon), rules, now);
                }
                self.phase = Phase::Stopping { then: Then::Decide(end, soon), main_gone: true };
                self.deadline = Some(now.saturating_add(rules.kill_timeout));
                vec![Action::AskRestToEnd]
            }
            (Phase::Stopping { main_gone, .. }, Event::Stop) => {
                self.phase = Phase::Stopping { then: Then::Stay, main_gone };
                self.hurry(Action::AskToEnd, rules, now)
            }
            (Phase::Stopping { main_gone, .. }, Event::Start | Event::Restart) => {
                self.phase = Phase::Stopping { then: Then::Again, main_gone };
                self.hurry(Action::AskToMakeRoom, rules, now)
            }
            (Phase::Stopping { then, .. }, Event::Exited(end)) => {
                self.last_end = Some(end);
                self.phase = Phase::Stopping { then, main_gone: true };
                vec![Action::AskRestToEnd]
            }
            (Phase::Stopping { .. }, Event::Timeout) => {
                // Whoever is left is looked for and killed again until nobody is.
                self.deadline = Some(now.saturating_add(KILL_AGAIN));
                vec![Action::KillTree]
            }
            (Phase::Stopping { then, main_gone: true }, Event::TreeGone) => self.after_end(then, rules, now),
            // What comes late, or changes nothing.
            _ => Vec::new(),
        }
    }

    fn launch_by_itself(&mut self, rules: &Rules, now: u64) -> Vec<Action> {
        let asked_at = self.asked_at;
        let actions = self.launch(rules, now);
        self.asked_at = asked_at;
        self.by_itself = true;
        // It ends again and again, each time before the time is over in which it has to be ready: whoever waits for it has waited long enough.
        let is_late = |within: u64| self.asked_at.is_some_and(|at| now.saturating_sub(at) >= within);
        if rules.ready_within.is_some_and(is_late) {
            self.trouble = Some(Trouble::NotReady);
        }
        actions
    }

    fn launch(&mut self, rules: &Rules, now: u64) -> Vec<Action> {
        self.by_itself = false;
        self.phase = Phase::Launching;
        self.started_at = now;
        self.asked_at = Some(now);
        self.trouble = None;
        self.deadline = Some(now.saturating_add(rules.ready_within.unwrap_or(rules.alive_after)));
        vec![Action::Spawn]
    }

    fn go_online(&mut self) -> Vec<Action> {
        self.phase = Phase::Online;
        self.asked_at = None;
        self.deadline = None;
        self.trouble = None;
        Vec::new()
    }

    fn stop(&mut self, then: Then, rules: &Rules, now: u64) -> Vec<Action> {
        self.phase = Phase::Stopping { then, main_gone: false };
        self.deadline = Some(now.saturating_add(rules.kill_timeout));
        vec![if then == Then::Stay { Action::AskToEnd } else { Action::AskToMakeRoom }]
    }

    /// One that has been ending by itself is asked to; others have been.
    fn hurry(&mut self, how: Action, rules: &Rules, now: u64) -> Vec<Action> {
        if self.deadline.is_some() {
            return Vec::new();
        }
        self.deadline = Some(now.saturating_add(rules.kill_timeout));
        vec![how]
    }

    /// Whether another one follows one that has ended by itself.
    fn starts_again(&self, end: End, soon: bool, rules: &Rules) -> bool {
        let asked_not_to = matches!(end, End::Code(code) if rules.stop_exit_codes.contains(&code));
        rules.autorestart && !asked_not_to && !(soon && rules.is_crash_loop(self.unstable + 1))
    }

    /// Whether it runs, or is about to: nobody has stopped it, and it is not given up.
    pub fn is_wanted(&self) -> bool {
        !matches!(self.phase, Phase::Stopped | Phase::Errored | Phase::Stopping { then: Then::Stay, .. })
    }

    fn rest(&mut self, phase: Phase) -> Vec<Action> {
        self.phase = phase;
        self.deadline = None;
        Vec::new()
    }

    fn after_end(&mut self, then: Then, rules: &Rules, now: u64) -> Vec<Action> {
        match then {
            Then::Stay => {
                self.trouble = None;
                self.rest(Phase::Stopped)
            }
            Then::Again => {
                self.restarts += 1;
                self.launch(rules, now)
            }
            Then::Decide(End::Code(code), _) if !rules.autorestart || rules.stop_exit_codes.contains(&code) => {
                self.rest(Phase::Stopped)
            }
            Then::Decide(..) | Then::Crash | Then::ByItself if !rules.autorestart => self.rest(Phase::Stopped),
            Then::Decide(_, false) => {
                self.unstable = 0;
                self.again_later(rules, now)
            }
            Then::Decide(_, true) | Then::Crash | Then::ByItself => {
                self.unstable += 1;
                if rules.is_crash_loop(self.unstable) {
                    self.trouble = Some(Trouble::CrashLoop);
                    return self.rest(Phase::Errored);
                }
                self.again_later(rules, now)
            }
        }
    }

    fn again_later(&mut self, rules: &Rules, now: u64) -> Vec<Action> {
        let pause = rules.pause(self.unstable);
        if pause == 0 {
            self.restarts += 1;
            return self.launch_by_itself(rules, now);
        }
        self.wait(pause, now)
    }

    fn wait(&mut self, pause: u64, now: u64) -> Vec<Action> {
        self.phase = Phase::Waiting;
        self.deadline = Some(now.saturating_add(pause));
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
