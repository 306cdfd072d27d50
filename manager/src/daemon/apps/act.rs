//! What is done with apps that are known.

use std::fs;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Apps, give_ids};
use crate::daemon::link::Failure;
use crate::daemon::store::{Known, Remembered};
use crate::daemon::targets::{Target, unknown};
use crate::keeper::PRIMARY_ENDED;
use crate::model::{Mode, State};

impl Apps {
    /// Asks the keepers of these targets, all at once. Returns what their processes are doing then.
    pub async fn ask(&self, targets: &[Target], op: &str, request: Value) -> Result<Value, Failure> {
        let one = async |target: &Target| -> Result<(), Failure> {
            let mut request = request.clone();
            // A number names one; else the request itself may.
            if let Some(instances) = &target.instances {
                request["instances"] = json!(instances);
            }
            // Which place it is counts where workers are told something.
            if let (Some(seat), "signal" | "send") = (target.seat, op) {
                request["instances"] = json!([seat]);
            }
            self.link(&target.key)
                .await?
                .ask(op, request)
                .await
                .map(drop)
                .map_err(|failure| self.of(&target.key, failure))
        };
        let stopped = match op {
            "stop" => Some(true),
            "start" | "restart" => Some(false),
            _ => None,
        };
        if let Some(stopped) = stopped {
            self.change_anyway(|remembered| {
                for known in &mut remembered.apps {
                    let key = known.app.key();
                    if targets.iter().any(|target| target.instances.is_none() && target.key == key) {
                        known.stopped = stopped;
                    }
                }
            });
        }
        for result in join_all(targets.iter().map(one)).await {
            result?;
        }
        let keys: Vec<String> = targets.iter().map(|target| target.key.clone()).collect();
        Ok(json!(self.processes_of(&keys)))
    }

    /// Replaces workers or instances. Returns for each app which it was, and the report of a cluster. `with_env`: the new workers of
    /// a cluster have the environment that is known now.
    pub async fn reload(&self, targets: &[Target], with_env: bool) -> Result<Value, Failure> {
        let all = targets.iter().map(|target| self.reload_one(target, with_env));
        join_all(all).await.into_iter().collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    pub(super) async fn reload_one(&self, target: &Target, with_env: bool) -> Result<Value, Failure> {
        let app = self.find(&target.key).ok_or_else(|| unknown(&target.key))?.app;
        if app.mode == Mode::Cluster {
            return self.replace(target, "reload", with_env).await;
        }
        let link = self.link(&target.key).await?;
        let all = target.instances.clone().unwrap_or_else(|| (0..app.instances).collect());
        for instance in all {
            link.ask("restart", json!({ "instances": [instance] })).await?;
        }
        Ok(json!({ "name": app.name, "namespace": app.namespace, "kind": "one-by-one" }))
    }

    /// Replaces the workers of a cluster (`reload`), or its primary with them (`upgrade`).
    pub(super) async fn replace(&self, target: &Target, op: &str, with_env: bool) -> Result<Value, Failure> {
        let app = self.find(&target.key).ok_or_else(|| unknown(&target.key))?.app;
        let env = with_env.then_some(&app.env);
        let about = |kind: &str, report: Value| json!({ "name": app.name, "namespace": app.namespace, "kind": kind, "report": report });
        let link = self.link(&target.key).await?;
        match link.ask(op, json!({ "env": env })).await {
            // Nothing is there to be replaced.
            Err(failure) if failure.code == "ERR_RCLUSTER_NOT_RUNNING" => {
                self.ask(std::slice::from_ref(target), "restart", json!({})).await?;
                Ok(about("restart", Value::Null))
            }
            // Its keeper starts another one, or has a reason not to: one starter is enough.
            Err(failure) if failure.code == PRIMARY_ENDED => {
                let settled = link.ask("settle", json!({})).await?;
                let is_online = settled["processes"][0]["state"] == json!(State::Online);
                if is_online { Ok(about("restart", Value::Null)) } else { Err(failure) }
            }
            other => other.map(|report| about("zero-loss", report)),
        }
    }

    /// Replaces the primaries of clusters. Returns for each which it was, and its report. `with_env`: as of a reload.
    pub async fn upgrade(&self, targets: &[Target], with_env: bool) -> Result<Value, Failure> {
        for target in targets {
            let app = self.find(&target.key).ok_or_else(|| unknown(&target.key))?.app;
            if app.mode != Mode::Cluster {
                let text = format!("\"{}\" is no cluster: it has no primary, reload or restart it instead", app.name);
                return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", text));
            }
        }
        let all = targets.iter().map(|target| self.replace(target, "upgrade", with_env));
        join_all(all).await.into_iter().collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    /// Changes how many instances there are.
    pub async fn scale(&self, targets: &[Target], count: u32) -> Result<Value, Failure> {
        if count == 0 || count > 1024 {
            let text = format!("\"count\" must be a whole number from 1 to 1024. Received {count}");
            return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", text));
        }
        let keys: Vec<String> = targets.iter().map(|target| target.key.clone()).collect();
        self.change_anyway(|remembered| {
            let Remembered { apps, next_id, .. } = remembered;
            for known in apps.iter_mut().filter(|known| keys.contains(&known.app.key())) {
                known.app.instances = count;
                give_ids(&mut known.app, next_id);
            }
        });
        let one = async |key: &String| -> Result<(), Failure> {
            let known = self.find(key).ok_or_else(|| unknown(key))?;
            let link = self.link(key).await?;
            link.ask("scale", json!({ "app": known.app })).await?;
            if !known.stopped && known.app.mode == Mode::Program {
                link.ask("start", json!({})).await?;
            }
            Ok(())
        };
        for result in join_all(keys.iter().map(one)).await {
            result?;
        }
        Ok(json!(self.processes_of(&keys)))
    }

    /// Stops apps and forgets them.
    pub async fn delete(&self, targets: &[Target]) -> Result<Value, Failure> {
        let keys: Vec<String> = targets.iter().map(|target| target.key.clone()).collect();
        self.end_leftovers(keys.iter().cloned()).await;
        let gone: Vec<Known> = keys.iter().filter_map(|key| self.find(key)).collect();
        self.change_anyway(|remembered| remembered.apps.retain(|known| !keys.contains(&known.app.key())));
        let one = async |known: &Known| {
            self.no_longer_starting(&known.app.key()).await;
            let link = self.links.borrow_mut().remove(&known.app.key())?;
            let failure = link.ask("quit", json!({})).await.err().filter(Failure::is_silence)?;
            // What it has still runs, and has to be found again.
            self.links.borrow_mut().insert(known.app.key(), link);
            Some(failure)
        };
        let left: Vec<Option<Failure>> = join_all(gone.iter().map(one)).await;
        let (left, gone): (Vec<_>, Vec<_>) = gone.into_iter().zip(left).partition(|(_, failure)| failure.is_some());
        self.change_anyway(|remembered| remembered.apps.extend(left.iter().map(|(known, _)| known.clone())));
        for (Known { app, .. }, _) in &gone {
            self.let_go(app);
            // Only what a keeper has left there; a log elsewhere stays.
            let _ = fs::remove_dir_all(self.folder(&app.key()));
        }
        for (Known { app, .. }, _) in gone {
            self.events.app("deleted", &app.name, &app.namespace);
        }
        match left.into_iter().find_map(|(known, failure)| Some((known.app.name, failure?))) {
            Some((name, failure)) => Err(Failure { message: format!("\"{name}\": {}", failure.message), ..failure }),
            None => Ok(json!([])),
        }
    }
}
