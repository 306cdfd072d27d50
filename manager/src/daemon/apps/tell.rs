//! What is told of apps: what they are, what they do, and their figures.

use std::collections::BTreeSet;
use std::rc::Rc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Apps;
use crate::daemon::figures::Machine;
use crate::daemon::link::Failure;
use crate::daemon::metrics;
use crate::daemon::store::Known;
use crate::daemon::targets::{Target, unknown};
use crate::model::{App, Process, State, Status};

/// The primary of a cluster that has this word gathers what its app counts itself.
const APP_METRICS: &str = "--app-metrics";

impl Apps {
    /// Each app with its processes. `with_stats`: also what workers have counted since they were started, which is most of it.
    pub fn list(&self, with_stats: bool) -> Vec<Value> {
        let keys = self.keys();
        let mut statuses = self.statuses_of(&keys);
        if !with_stats {
            let workers = statuses.iter_mut().flatten().flat_map(|status| &mut status.workers);
            workers.for_each(|worker| worker.stats = None);
        }
        self.told(&keys, statuses)
    }

    fn keys(&self) -> Vec<String> {
        self.remembered.borrow().apps.iter().map(|known| known.app.key()).collect()
    }

    /// What an app is; its environment only where that is asked for.
    pub fn describe(&self, target: &Target, with_env: bool) -> Result<Value, Failure> {
        let known = self.find(&target.key).ok_or_else(|| unknown(&target.key))?;
        let mut app = json!(known.app.without_secrets());
        if !with_env && let Some(app) = app.as_object_mut() {
            app.remove("env");
        }
        Ok(app)
    }

    /// The same for Prometheus.
    pub async fn metrics(&self, open: bool) -> Result<String, Failure> {
        let links = self.links.borrow().clone();
        let asks = |app: &App| app.cluster_args.iter().any(|arg| arg == APP_METRICS);
        let asking: Vec<_> = self
            .remembered
            .borrow()
            .apps
            .iter()
            .filter(|known| asks(&known.app))
            .filter_map(|Known { app, .. }| {
                let (name, link) = (metrics::label(&app.name, &app.namespace), Rc::clone(links.get(&app.key())?));
                Some(async move { (name, link.app_metrics(metrics::TIME).await) })
            })
            .collect();
        let told = join_all(asking).await;
        let (mut own, mut dropped) = (metrics::OwnMetrics::default(), self.dropped.borrow_mut());
        for (app, told) in told {
            own.add(&app, told.as_deref(), &mut dropped);
        }
        // From here on nothing waits, and nothing is copied: there may be thousands of processes.
        let remembered = self.remembered.borrow();
        let names: BTreeSet<String> =
            remembered.apps.iter().map(|Known { app, .. }| metrics::label(&app.name, &app.namespace)).collect();
        dropped.keep(|name| names.contains(name));
        let links = self.links.borrow();
        let seen: Vec<_> = remembered
            .apps
            .iter()
            .filter_map(|Known { app, .. }| {
                let key = app.key();
                let status = links.get(&key).filter(|link| !link.is_gone())?.seen();
                Some((app, key, status))
            })
            .collect();
        let machine = Machine::look(seen.iter().filter_map(|(.., status)| status.as_ref()).flat_map(Status::pids));
        let samples: Vec<metrics::Sample> = seen
            .iter()
            .filter_map(|(app, key, status)| {
                Some(metrics::samples(app, status.as_ref()?, &self.copies.figures(key), &machine))
            })
            .flatten()
            .collect();
        metrics::text(&samples, &own, &dropped, open)
            .map_err(|error| Failure::new("ERR_RCLUSTER_INTERNAL", error.to_string()))
    }

    /// What the keepers of apps tell, what the kernel says of their processes, and what is on the boards of workers; `None` where the keeper is not
    /// there.
    fn statuses_of(&self, keys: &[String]) -> Vec<Option<Status>> {
        let status = |key: &String| self.links.borrow().get(key).filter(|link| !link.is_gone())?.status();
        let mut statuses: Vec<Option<Status>> = keys.iter().map(status).collect();
        for (key, status) in keys.iter().zip(&mut statuses) {
            if let Some(status) = status {
                self.looks.fill(key, status, self.copies.figures(key));
            }
        }
        self.figures.fill(statuses.iter_mut().flatten());
        statuses
    }

    pub(super) fn processes_of(&self, keys: &[String]) -> Vec<Value> {
        self.told(keys, self.statuses_of(keys))
    }

    /// Those of these apps that are known, as the API tells them.
    fn told(&self, keys: &[String], statuses: Vec<Option<Status>>) -> Vec<Value> {
        let (remembered, places) = (self.remembered.borrow(), self.places.borrow());
        let known = |key: &String| remembered.apps.get(*places.get(key)?);
        let both = keys.iter().zip(statuses);
        let mut all: Vec<Value> = both.filter_map(|(key, status)| Some(told(&known(key)?.app, status))).collect();
        if let Some(why) = self.unsaved() {
            all.iter_mut().for_each(|app| app["notSaved"] = json!(why));
        }
        all
    }
}

fn told(app: &App, status: Option<Status>) -> Value {
    let processes = status.as_ref().map_or_else(|| nobody(app), |status| status.processes.clone());
    json!({
        "name": app.name, "namespace": app.namespace, "mode": app.mode, "script": app.script, "cwd": app.cwd,
        "instances": app.instances, "ids": app.ids, "keeper": status.as_ref().map(|status| status.keeper), "processes": processes,
        "nextRun": status.as_ref().and_then(|status| status.next_run),
        "watching": status.as_ref().and_then(|status| status.watching.clone()),
        "recent": status.as_ref().and_then(|status| status.recent.as_ref()),
        "workers": status.map(|status| status.workers).unwrap_or_default(),
    })
}

/// What is told of processes whose keeper is not there.
fn nobody(app: &App) -> Vec<Process> {
    (0..app.processes())
        .map(|instance| Process {
            instance,
            id: app.ids.get(instance as usize).copied(),
            pid: None,
            state: State::Errored,
            started_at: None,
            restarts: 0,
            unstable_restarts: 0,
            exit_code: None,
            signal: None,
            last_error: Some("its keeper is not there".into()),
            status_text: None,
            reloading: false,
            upgrading: false,
            memory: 0,
            cpu_time: 0,
            cpu: 0.0,
            threads: 0,
            descriptors: 0,
        })
        .collect()
}
