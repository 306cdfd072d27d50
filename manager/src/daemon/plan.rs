//! What has to be done so that an app is what somebody now says of it: as little as possible.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::store::Known;
use crate::model::{App, Mode};

/// Members that the keeper goes by without anything being started anew.
const NEEDS_NO_RESTART: [&str; 22] = [
    "autostart",
    "autorestart",
    "maxRestarts",
    "minUptime",
    "restartDelay",
    "expBackoff",
    "stopExitCodes",
    "cron",
    "cronRestart",
    "cronTimezone",
    "cronWhenStopped",
    "watch",
    "ignoreWatch",
    "watchDelay",
    "onEvent",
    "webhook",
    "killSignal",
    "killTimeout",
    "treekill",
    "shutdownWithMessage",
    "listenTimeout",
    "statedEnv",
];

/// What a request to start apps may ask for besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Nothing is done: it is told what would be.
    pub dry_run: bool,
    /// What becomes of apps that are known.
    pub known: WhenKnown,
    /// Their whole environment counts, and not only what their configuration says.
    pub update_env: bool,
    /// Apps that are not named are stopped and forgotten.
    pub prune: bool,
}

/// What becomes of an app that is known already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhenKnown {
    /// What has changed is brought about.
    #[default]
    Apply,
    /// It starts anew in any case.
    Restart,
    /// It is reloaded in any case.
    Reload,
}

/// What is done with an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It is new, and is listed without being started.
    Add,
    /// It is new, or was stopped.
    Start,
    /// It starts anew.
    Restart,
    /// Its instances are replaced.
    Reload,
    /// It gets more or fewer instances.
    Scale,
    /// It is kept by other rules from now on.
    Configure,
    /// It is as it should be.
    None,
    /// It is stopped and forgotten.
    Delete,
}

/// A member that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Such as `args`, or `env.PORT`.
    pub member: String,
    /// What it was; never of the environment, which may hold secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What is to be done with an app.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// As it will be.
    pub app: App,
    /// What is done.
    pub action: Action,
    /// Why.
    pub changes: Vec<Change>,
}

impl Plan {
    /// As the API tells it.
    pub fn tell(&self) -> Value {
        json!({ "name": self.app.name, "namespace": self.app.namespace, "action": self.action, "changes": self.changes })
    }
}

/// What has to be done so that `wanted` runs.
pub fn plan(known: Option<&Known>, mut wanted: App, options: Options) -> Plan {
    let Some(known) = known else {
        let action = if wanted.autostart { Action::Start } else { Action::Add };
        return Plan { app: wanted, action, changes: Vec::new() };
    };
    wanted.ids.clone_from(&known.app.ids);
    if !options.update_env {
        wanted.env = environment(&known.app, &wanted);
    }
    let changes = changes(&known.app, &wanted);
    let has = |test: &dyn Fn(&str) -> bool| changes.iter().any(|change| test(&change.member));
    let is_mild =
        |member: &str| NEEDS_NO_RESTART.contains(&member) || (member == "maxMemory" && wanted.mode == Mode::Program);
    let restart = has(&|member| member != "instances" && !is_mild(member));
    // Workers that replace others may have another environment, and nothing else that is new to their primary.
    let reload = wanted.mode == Mode::Cluster
        && !has(&|member| member != "instances" && !is_mild(member) && !member.starts_with("env."));
    let action = match options.known {
        WhenKnown::Apply if known.stopped && !wanted.autostart && changes.is_empty() => Action::None,
        WhenKnown::Apply if known.stopped && !wanted.autostart => Action::Configure,
        _ if known.stopped => Action::Start,
        WhenKnown::Restart => Action::Restart,
        WhenKnown::Reload if restart && wanted.mode == Mode::Cluster && !reload => Action::Restart,
        WhenKnown::Reload => Action::Reload,
        WhenKnown::Apply if restart && reload => Action::Reload,
        WhenKnown::Apply if restart => Action::Restart,
        WhenKnown::Apply if has(&|member| member == "instances") => Action::Scale,
        WhenKnown::Apply if !changes.is_empty() => Action::Configure,
        WhenKnown::Apply => Action::None,
    };
    Plan { app: wanted, action, changes }
}

/// The environment of whoever asks now is another one than that of whoever asked then: only what the configuration says counts.
fn environment(known: &App, wanted: &App) -> BTreeMap<String, String> {
    let (Some(before), Some(now)) = (&known.stated_env, &wanted.stated_env) else { return wanted.env.clone() };
    let kept = known.env.iter().filter(|(name, _)| !before.contains(name) && !now.contains(name));
    let theirs = wanted.env.iter().filter(|(name, _)| before.contains(name) || now.contains(name));
    kept.chain(theirs).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn changes(before: &App, after: &App) -> Vec<Change> {
    let mut changes = Vec::new();
    let (old, new) = (json!(before.clone().without_secrets()), json!(after.clone().without_secrets()));
    for (member, to) in new.as_object().into_iter().flatten() {
        let from = old.get(member).unwrap_or(&Value::Null);
        let is_other = from != to || member == "webhook" && before.webhook != after.webhook;
        if is_other && !["env", "ids", "statedEnv"].contains(&member.as_str()) {
            changes.push(Change { member: member.clone(), from: Some(from.clone()), to: Some(to.clone()) });
        }
    }
    let names = before.env.keys().chain(after.env.keys()).collect::<std::collections::BTreeSet<_>>();
    let differs = names.into_iter().filter(|name| before.env.get(*name) != after.env.get(*name));
    changes.extend(differs.map(|name| Change { member: format!("env.{name}"), from: None, to: None }));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(change: Value) -> App {
        let mut app = json!({ "name": "a", "mode": "program", "script": "a.js", "cwd": "/", "statedEnv": [] });
        for (name, value) in change.as_object().unwrap() {
            app[name] = value.clone();
        }
        serde_json::from_value(app).unwrap()
    }

    fn decide(before: Value, after: Value, options: Options) -> (Action, Vec<String>) {
        let known = Known { app: app(before), stopped: false };
        let plan = plan(Some(&known), app(after), options);
        (plan.action, plan.changes.into_iter().map(|change| change.member).collect())
    }

    #[test]
    fn the_mildest_means_is_taken() {
        let apply = Options::default();
        let of = |change: Value| decide(json!({}), change, apply).0;
        assert_eq!(of(json!({})), Action::None);
        assert_eq!(of(json!({ "instances": 3 })), Action::Scale);
        assert_eq!(of(json!({ "killTimeout": 9, "maxMemory": 5 })), Action::Configure);
        assert_eq!(of(json!({ "mode": "cluster", "maxMemory": 5 })), Action::Restart);
        assert_eq!(of(json!({ "instances": 3, "args": ["x"] })), Action::Restart);
        assert_eq!(of(json!({ "env": { "A": "1" }, "statedEnv": ["A"] })), Action::Restart);
        let cluster = |change: Value| decide(json!({ "mode": "cluster" }), change, apply).0;
        assert_eq!(
            cluster(json!({ "mode": "cluster", "env": { "A": "1" }, "statedEnv": ["A"], "instances": 2 })),
            Action::Reload
        );
        assert_eq!(cluster(json!({ "mode": "cluster", "args": ["x"] })), Action::Restart);
    }

    #[test]
    fn whoever_is_told_to_start_anew_does() {
        let options = |known| Options { known, ..Options::default() };
        assert_eq!(decide(json!({}), json!({}), options(WhenKnown::Restart)).0, Action::Restart);
        assert_eq!(decide(json!({}), json!({}), options(WhenKnown::Reload)).0, Action::Reload);
        let stopped = Known { app: app(json!({})), stopped: true };
        assert_eq!(plan(Some(&stopped), app(json!({})), options(WhenKnown::Restart)).action, Action::Start);
        assert_eq!(plan(None, app(json!({})), Options::default()).action, Action::Start);
    }

    #[test]
    fn of_the_environment_only_what_is_said_counts() {
        let before = json!({ "env": { "TERM": "a", "A": "1", "B": "2" }, "statedEnv": ["A", "B"] });
        let after = json!({ "env": { "TERM": "b", "A": "1", "C": "3" }, "statedEnv": ["A", "C"] });
        let (action, changes) = decide(before.clone(), after.clone(), Options::default());
        assert_eq!((action, changes), (Action::Restart, vec!["env.B".into(), "env.C".into()]));
        let (_, changes) = decide(before, after, Options { update_env: true, ..Options::default() });
        assert_eq!(changes, ["env.B", "env.C", "env.TERM"]);
    }
}
