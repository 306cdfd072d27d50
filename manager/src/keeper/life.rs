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

use crate::model::{App, State};

/// What an app wants of each of its processes. Times are milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Whether it is started again when it ends by itself.
    pub autorestart: bool,
    /// So many ends in a row that came too soon are a crash loop.
    pub max_restarts: u32,
    /// A process that ends before that has ended too soon.
    pub min_uptime: u64,
    /// One that says nothing and lives for so long is online.
    pub alive_after: u64,
    /// One that says when it is ready has so long; `None` where it need not say so.
    pub ready_within: Option<u64>,
    /// Whether one that was not ready by then may still come to it: it goes on launching, and whoever waits for it waits no longer.
    pub may_be_late: bool,
    /// Before each restart.
    pub restart_delay: u64,
    /// Before the first restart of a row, growing with each; 0 for none.
    pub exp_backoff: u64,
    /// Exit codes after which it is not started again.
    pub stop_exit_codes: Vec<i32>,
    /// After so long a process that was asked to stop is killed.
    pub kill_timeout: u64,
    /// Whether the next one may begin while what the one before has started is still there: workers of a primary that has died
    /// finish what they have, and end by themselves.
    pub leaves_rest: bool,
}

/// The longest pause that backing off leads to.
const LONGEST_PAUSE: u64 = 15_000;
/// How much longer each pause is than the one before, in tenths.
const GROWTH: u64 = 15;
/// What counts as too soon, and as alive, where an app does not say.
const MIN_UPTIME: u64 = 1000;
const ALIVE_AFTER: u64 = 50;

impl From<&App> for Rules {
    fn from(app: &App) -> Rules {
        // A cluster says when its workers listen. Ending those that are slow would keep them from ever doing so; the primary ends
        // workers that have to be ready and are not.
        let is_cluster = app.mode == crate::model::Mode::Cluster;
        Rules {
            autorestart: app.autorestart,
            max_restarts: app.max_restarts,
            min_uptime: app.min_uptime.unwrap_or(MIN_UPTIME),
            alive_after: app.min_uptime.unwrap_or(ALIVE_AFTER),
            ready_within: (app.wait_ready || is_cluster).then_some(app.listen_timeout),
            may_be_late: is_cluster && !app.wait_ready,
            restart_delay: app.restart_delay,
            exp_backoff: app.exp_backoff,
            stop_exit_codes: app.stop_exit_codes.clone(),
            kill_timeout: app.kill_timeout,
            leaves_rest: is_cluster,
        }
    }
}

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
                if self.phase == Phase::Waiting || event == Event::Restart {
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
                if !self.by_itself || self.unstable + 1 >= rules.max_restarts.max(1) {
                    return self.rest(Phase::Errored);
                }
                self.unstable += 1;
                let pause = rules.restart_delay.max(backoff(rules.exp_backoff, self.unstable));
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
        rules.autorestart && !asked_not_to && !(soon && self.unstable + 1 >= rules.max_restarts.max(1))
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
                if self.unstable >= rules.max_restarts.max(1) {
                    self.trouble = Some(Trouble::CrashLoop);
                    return self.rest(Phase::Errored);
                }
                self.again_later(rules, now)
            }
        }
    }

    fn again_later(&mut self, rules: &Rules, now: u64) -> Vec<Action> {
        let pause = rules.restart_delay.max(backoff(rules.exp_backoff, self.unstable));
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

/// How long (ms) at least until one is tried again that could not be started.
const START_AGAIN: u64 = 1000;

/// How long (ms) until those are killed again who are still there after having been killed.
const KILL_AGAIN: u64 = 100;

/// The pause before the next restart, after so many ends in a row that came too soon.
fn backoff(first: u64, unstable: u32) -> u64 {
    (1..unstable).fold(first, |pause, _| (pause * GROWTH / 10).min(LONGEST_PAUSE.max(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            autorestart: true,
            max_restarts: 3,
            min_uptime: 1000,
            alive_after: 50,
            ready_within: None,
            may_be_late: false,
            restart_delay: 0,
            exp_backoff: 0,
            stop_exit_codes: vec![7],
            kill_timeout: 1600,
            leaves_rest: false,
        }
    }

    /// A life to which these things have happened, one after the other at these times.
    fn lived(rules: &Rules, events: &[(u64, Event)]) -> (Life, Vec<Action>) {
        let mut life = Life::default();
        let mut last = Vec::new();
        for (now, event) in events {
            last = life.on(*event, rules, *now);
        }
        (life, last)
    }

    #[test]
    fn one_that_says_nothing_is_online_when_it_has_lived_for_a_while() {
        let (life, actions) = lived(&rules(), &[(0, Event::Start)]);
        assert_eq!((life.state(), life.deadline(), actions), (State::Launching, Some(50), vec![Action::Spawn]));
        let (life, _) = lived(&rules(), &[(0, Event::Start), (50, Event::Timeout)]);
        assert_eq!((life.state(), life.deadline()), (State::Online, None));
    }

    #[test]
    fn one_that_is_to_say_so_and_does_not_has_failed() {
        let rules = Rules { ready_within: Some(3000), ..rules() };
        let (life, actions) = lived(&rules, &[(0, Event::Start), (3000, Event::Timeout)]);
        assert_eq!((life.state(), life.trouble), (State::Stopping, Some(Trouble::NotReady)));
        assert_eq!(actions, [Action::AskToMakeRoom]);
        let end = Event::Exited(End::Signal(2));
        let events = [(0, Event::Start), (3000, Event::Timeout), (3001, end), (3002, Event::TreeGone)];
        let (life, actions) = lived(&rules, &events);
        assert_eq!((life.state(), life.unstable, actions), (State::Launching, 1, vec![Action::Spawn]));
    }

    #[test]
    fn a_stop_is_over_when_the_whole_tree_has_gone() {
        let end = Event::Exited(End::Code(0));
        let (life, actions) = lived(&rules(), &[(0, Event::Start), (60, Event::Ready), (70, Event::Stop), (80, end)]);
        assert_eq!((life.state(), actions), (State::Stopping, vec![Action::AskRestToEnd]));
        let events = [
            (0, Event::Start),
            (60, Event::Ready),
            (70, Event::Stop),
            (80, end),
            (1670, Event::Timeout),
            (1680, Event::TreeGone),
        ];
        assert_eq!(lived(&rules(), &events[..5]).1, [Action::KillTree]);
        assert_eq!(lived(&rules(), &events).0.state(), State::Stopped);
    }

    #[test]
    fn a_tree_that_seems_gone_while_the_process_runs_is_no_end() {
        let (life, _) =
            lived(&rules(), &[(0, Event::Start), (60, Event::Ready), (70, Event::Stop), (80, Event::TreeGone)]);
        assert_eq!(life.state(), State::Stopping);
    }

    #[test]
    fn ends_that_come_too_soon_are_counted_and_a_long_life_forgives_them() {
        let mut life = Life::default();
        let rules = rules();
        life.on(Event::Start, &rules, 0);
        let die = |life: &mut Life, now: u64| {
            life.on(Event::Exited(End::Code(1)), &rules, now);
            life.on(Event::TreeGone, &rules, now)
        };
        assert_eq!(die(&mut life, 10), [Action::Spawn]);
        assert_eq!(die(&mut life, 20), [Action::Spawn]);
        assert_eq!((life.unstable, life.restarts), (2, 2));
        assert_eq!(die(&mut life, 5000), [Action::Spawn]);
        assert_eq!(life.unstable, 0);
        for now in [5010, 5020, 5030] {
            die(&mut life, now);
        }
        assert_eq!((life.state(), life.trouble), (State::Errored, Some(Trouble::CrashLoop)));
    }

    #[test]
    fn exit_codes_that_are_meant_end_it_for_good() {
        let events = [(0, Event::Start), (2000, Event::Exited(End::Code(7))), (2001, Event::TreeGone)];
        assert_eq!(lived(&rules(), &events).0.state(), State::Stopped);
    }

    #[test]
    fn pauses_grow() {
        let pauses: Vec<_> = (1..5).map(|unstable| backoff(100, unstable)).collect();
        assert_eq!(pauses, [100, 150, 225, 337]);
        assert_eq!(backoff(100, 1000), LONGEST_PAUSE);
        assert_eq!(backoff(0, 1000), 0);
    }

    #[test]
    fn whoever_is_stopped_while_it_waits_stays_stopped() {
        let rules = Rules { restart_delay: 500, ..rules() };
        let events = [(0, Event::Start), (10, Event::Exited(End::Code(1))), (11, Event::TreeGone)];
        let (mut life, _) = lived(&rules, &events);
        assert_eq!((life.state(), life.deadline()), (State::Waiting, Some(511)));
        life.on(Event::Stop, &rules, 100);
        assert_eq!((life.state(), life.deadline()), (State::Stopped, None));
        assert!(life.on(Event::Timeout, &rules, 511).is_empty());
    }

    /// Whatever happens in whatever order: a process is started only when none is there, whatever waits has a deadline or an
    /// end to wait for, and what is at rest has none.
    #[test]
    fn every_event_in_every_state_keeps_the_books_right() {
        let events = [
            Event::Start,
            Event::Stop,
            Event::Restart,
            Event::SpawnFailed,
            Event::Ready,
            Event::Extend(10),
            Event::Timeout,
            Event::Exited(End::Code(0)),
            Event::Exited(End::Signal(9)),
            Event::TreeGone,
        ];
        let waiting = Rules { ready_within: Some(20), restart_delay: 5, autorestart: false, ..rules() };
        let variants = [rules(), waiting.clone(), Rules { may_be_late: true, ..waiting }];
        for rules in &variants {
            for number in 0..events.len().pow(5) {
                let mut life = Life::default();
                let mut running = false;
                let mut rest = number;
                for now in 0..5 {
                    let event = events[rest % events.len()];
                    rest /= events.len();
                    // Only what is there can end, and only once.
                    match event {
                        Event::Exited(_) | Event::SpawnFailed if !running => continue,
                        Event::TreeGone if running => continue,
                        Event::Exited(_) | Event::SpawnFailed => running = false,
                        _ => {}
                    }
                    if event == Event::SpawnFailed && life.state() != State::Launching {
                        running = true;
                        continue;
                    }
                    for action in life.on(event, rules, now * 10) {
                        if action == Action::Spawn {
                            assert!(!running, "started twice: {number} {life:?}");
                            running = true;
                        }
                    }
                    let waits = !life.is_settled() || life.state() == State::Waiting;
                    assert_eq!(life.deadline().is_some(), waits, "{number} {life:?}");
                    assert!(!(running && life.is_at_rest()), "forgotten: {number} {life:?}");
                }
            }
        }
    }

    #[test]
    fn one_that_may_be_late_is_online_when_it_says_so_and_never_before() {
        let rules = Rules { ready_within: Some(20), may_be_late: true, ..rules() };
        let late = [(0, Event::Start), (20, Event::Timeout)];
        let (life, actions) = lived(&rules, &late);
        assert_eq!((life.state(), life.deadline(), life.trouble), (State::Launching, None, Some(Trouble::NotReady)));
        assert!(life.is_settled() && actions.is_empty());
        let (life, _) = lived(&rules, &[&late[..], &[(9000, Event::Ready)]].concat());
        assert_eq!((life.state(), life.trouble), (State::Online, None));
        let (life, actions) = lived(&rules, &[&late[..], &[(9000, Event::Restart)]].concat());
        assert_eq!((life.state(), life.is_settled(), actions), (State::Stopping, false, vec![Action::AskToMakeRoom]));
    }

    #[test]
    fn where_the_rest_ends_by_itself_the_next_one_starts_at_once() {
        let rules = Rules { leaves_rest: true, ..rules() };
        let end = Event::Exited(End::Signal(9));
        let (life, actions) = lived(&rules, &[(0, Event::Start), (60, Event::Ready), (5000, end)]);
        assert_eq!((life.state(), life.restarts, actions), (State::Launching, 1, vec![Action::Spawn]));
        // Unless there is no next one.
        let stays = Event::Exited(End::Code(7));
        let (life, actions) = lived(&rules, &[(0, Event::Start), (60, Event::Ready), (5000, stays)]);
        assert_eq!((life.state(), actions), (State::Stopping, vec![Action::AskRestToEnd]));
        let soon = [(0, Event::Start), (1, end), (2, end), (3, end)];
        assert_eq!(lived(&rules, &soon).0.state(), State::Stopping);
    }

    #[test]
    fn one_that_leaves_by_itself_has_the_time_that_it_needs_until_somebody_else_asks() {
        let leaves = [(0, Event::Start), (60, Event::Ready), (70, Event::Leaves)];
        let (life, actions) = lived(&rules(), &leaves);
        assert_eq!((life.state(), life.deadline(), actions), (State::Stopping, None, vec![]));
        let with = |more: &[(u64, Event)]| lived(&rules(), &[&leaves[..], more].concat());
        let (life, actions) = with(&[(5000, Event::Stop)]);
        assert_eq!((life.deadline(), actions), (Some(6600), vec![Action::AskToEnd]));
        let (life, actions) = with(&[(5000, Event::Exited(End::Code(0))), (5001, Event::TreeGone)]);
        assert_eq!((life.state(), life.unstable, actions), (State::Launching, 0, vec![Action::Spawn]));
    }

    #[test]
    fn one_that_hangs_is_ended_and_another_one_started() {
        let (life, actions) = lived(&rules(), &[(0, Event::Start), (60, Event::Ready), (5000, Event::Hung)]);
        assert_eq!((life.state(), life.trouble, life.deadline()), (State::Stopping, Some(Trouble::Hung), Some(6600)));
        assert_eq!(actions, [Action::Abort]);
        let end = Event::Exited(End::Signal(6));
        let events = [(0, Event::Start), (60, Event::Ready), (5000, Event::Hung), (5001, end), (5002, Event::TreeGone)];
        assert_eq!(lived(&rules(), &events).1, [Action::Spawn]);
    }

    #[test]
    fn one_that_cannot_be_started_is_tried_again_unless_somebody_waits_to_hear_of_it() {
        let start = [(0, Event::Start), (0, Event::SpawnFailed)];
        assert_eq!(lived(&rules(), &start).0.state(), State::Errored);
        let end = Event::Exited(End::Signal(9));
        let crash =
            [(0, Event::Start), (60, Event::Ready), (5000, end), (5001, Event::TreeGone), (5001, Event::SpawnFailed)];
        let (life, _) = lived(&rules(), &crash);
        assert_eq!(
            (life.state(), life.deadline(), life.trouble),
            (State::Waiting, Some(6001), Some(Trouble::NotStarted))
        );
        let again =
            [(6001, Event::Timeout), (6001, Event::SpawnFailed), (7001, Event::Timeout), (7001, Event::SpawnFailed)];
        let (life, _) = lived(&rules(), &[&crash[..], &again].concat());
        assert_eq!((life.state(), life.trouble), (State::Errored, Some(Trouble::NotStarted)));
    }
}
