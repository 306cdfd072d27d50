//! Lives that are lived event by event: no process and no clock takes part.

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
    let (life, _) = lived(&rules(), &[(0, Event::Start), (60, Event::Ready), (70, Event::Stop), (80, Event::TreeGone)]);
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
    assert_eq!((life.state(), life.deadline(), life.trouble), (State::Waiting, Some(6001), Some(Trouble::NotStarted)));
    let again =
        [(6001, Event::Timeout), (6001, Event::SpawnFailed), (7001, Event::Timeout), (7001, Event::SpawnFailed)];
    let (life, _) = lived(&rules(), &[&crash[..], &again].concat());
    assert_eq!((life.state(), life.trouble), (State::Errored, Some(Trouble::NotStarted)));
}

/// Ends by itself half a second after each start, and is started again at once, until this time.
fn ends_again_and_again(life: &mut Life, rules: &Rules, from: u64, until: u64) {
    for now in (from..until).step_by(500) {
        life.on(Event::Exited(End::Code(1)), rules, now + 500);
        life.on(Event::TreeGone, rules, now + 500);
    }
}

#[test]
fn whoever_waits_for_one_that_ends_before_it_is_ready_waits_no_longer_than_it_has_for_that() {
    let rules = Rules { ready_within: Some(3000), max_restarts: 100, ..rules() };
    let mut life = Life::default();
    life.on(Event::Start, &rules, 0);
    ends_again_and_again(&mut life, &rules, 0, 2500);
    assert_eq!((life.state(), life.trouble, life.is_settled()), (State::Launching, None, false));
    ends_again_and_again(&mut life, &rules, 2500, 3000);
    assert_eq!((life.state(), life.trouble, life.is_settled()), (State::Launching, Some(Trouble::NotReady), true));
    // Whoever asks again has it all again.
    life.on(Event::Restart, &rules, 3100);
    life.on(Event::Exited(End::Signal(2)), &rules, 3200);
    life.on(Event::TreeGone, &rules, 3200);
    assert_eq!((life.state(), life.trouble, life.is_settled()), (State::Launching, None, false));
}

#[test]
fn one_that_has_been_ready_has_its_whole_time_when_it_starts_again() {
    let rules = Rules { ready_within: Some(3000), max_restarts: 100, ..rules() };
    let mut life = Life::default();
    life.on(Event::Start, &rules, 0);
    life.on(Event::Ready, &rules, 100);
    ends_again_and_again(&mut life, &rules, 60_000, 62_000);
    assert_eq!((life.state(), life.trouble), (State::Launching, None));
    assert!(!life.is_settled());
}
