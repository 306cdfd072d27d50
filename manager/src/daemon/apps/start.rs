//! Apps are started, or become what is now said of them.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Apps, give_ids};
use crate::daemon::link::Failure;
use crate::daemon::plan::{self, Action, Options, Plan};
use crate::daemon::store::Known;
use crate::daemon::targets::{Target, unknown};
use crate::keeper::birth::Begin;
use crate::model::{App, HIDDEN};
use crate::sys::memory;

/// What a keeper says that does not take another description of its app: it goes by the one before.
const REFUSED: [&str; 2] = ["ERR_RCLUSTER_SOCKET", "ERR_RCLUSTER_BAD_APP"];

impl Apps {
    /// Starts apps: new ones, and those that are known under the same name with what is now said of them. Only what has to start
    /// anew does.
    pub async fn start(&self, apps: Vec<App>, options: Options) -> Result<Value, Failure> {
        let mut plans = self.plans(apps, options)?;
        if options.dry_run {
            return Ok(plans.iter().map(Plan::tell).collect());
        }
        let (surplus, kept): (Vec<_>, Vec<_>) = plans.drain(..).partition(|plan| plan.action == Action::Delete);
        let surplus: Vec<Target> = surplus.iter().map(|plan| Target::whole(plan.app.key())).collect();
        if !surplus.is_empty() {
            self.delete(&surplus).await?;
        }
        plans = kept;
        let before: Vec<Option<Known>> = plans.iter().map(|plan| self.find(&plan.app.key())).collect();
        self.change(|remembered| {
            for plan in &mut plans {
                give_ids(&mut plan.app, &mut remembered.next_id);
                let known = remembered.apps.iter_mut().find(|known| known.app.is_called_as(&plan.app));
                let stays = plan.action != Action::Start && known.as_ref().is_some_and(|known| known.stopped);
                let next = Known { app: plan.app.clone(), stopped: stays || plan.action == Action::Add };
                match known {
                    Some(known) => *known = next,
                    None => remembered.apps.push(next),
                }
            }
        })?;
        for (plan, before) in plans.iter().zip(&before) {
            if before.is_none() || !plan.changes.is_empty() {
                let change = if before.is_none() { "added" } else { "changed" };
                self.events.app(change, &plan.app.name, &plan.app.namespace);
            }
        }
        let all = plans.iter().zip(&before);
        for result in join_all(all.map(|(plan, before)| self.bring_about(plan, before.as_ref()))).await {
            result?;
        }
        // Starting many takes much that is not needed again.
        memory::give_back();
        let keys: Vec<String> = plans.iter().map(|plan| plan.app.key()).collect();
        let mut all = self.processes_of(&keys);
        for (status, plan) in all.iter_mut().zip(&plans) {
            status["action"] = json!(plan.action);
        }
        Ok(Value::Array(all))
    }

    /// What has to be done so that these apps run as they are described.
    pub(super) fn plans(&self, apps: Vec<App>, options: Options) -> Result<Vec<Plan>, Failure> {
        let apps: Vec<App> = apps.into_iter().map(|app| self.with_known_ids(self.with_secret(app))).collect();
        let is_unknown = |app: &App| app.webhook.as_ref().is_some_and(|one| one.secret.as_deref() == Some(HIDDEN));
        if let Some(app) = apps.iter().find(|app| is_unknown(app)) {
            let text = format!(
                "the secret of the webhook of \"{}\" is not known: it must be given again with another \"url\"",
                app.name
            );
            return Err(Failure::new("ERR_RCLUSTER_BAD_APP", text));
        }
        for (index, app) in apps.iter().enumerate() {
            if apps[..index].iter().any(|other| other.is_called_as(app)) {
                return Err(Failure::new("ERR_RCLUSTER_BAD_APP", format!("two apps are called \"{}\"", app.name)));
            }
        }
        let mut plans: Vec<Plan> =
            apps.into_iter().map(|app| plan::plan(self.find(&app.key()).as_ref(), app, options)).collect();
        if options.prune {
            let remembered = self.remembered.borrow();
            let others = remembered.apps.iter().map(|known| &known.app);
            let surplus: Vec<App> =
                others.filter(|app| !plans.iter().any(|plan| plan.app.is_called_as(app))).cloned().collect();
            plans.extend(surplus.into_iter().map(|app| Plan { app, action: Action::Delete, changes: Vec::new() }));
        }
        Ok(plans)
    }

    /// One that is told back as it was shown has the secret that is known, also under another name.
    pub(super) fn with_secret(&self, app: App) -> App {
        let remembered = self.remembered.borrow();
        let has_same_url =
            |known: &&Known| known.app.webhook.as_ref().map(|one| &one.url) == app.webhook.as_ref().map(|one| &one.url);
        let own = remembered.apps.iter().find(|known| known.app.is_called_as(&app) && has_same_url(known));
        let known = own.or_else(|| remembered.apps.iter().find(has_same_url)).map(|known| known.app.clone());
        app.with_secret_of(known.as_ref())
    }

    /// Numbers are the daemon's to give, as nobody else knows which are free. One that gets another name keeps its own.
    pub(super) fn with_known_ids(&self, mut app: App) -> App {
        let remembered = self.remembered.borrow();
        if !remembered.apps.iter().any(|known| app.ids.iter().all(|id| known.app.ids.contains(id))) {
            app.ids.clear();
        }
        app
    }

    pub(super) async fn bring_about(&self, plan: &Plan, before: Option<&Known>) -> Result<(), Failure> {
        let key = plan.app.key();
        let begin = if plan.action == Action::Start { Begin::Start } else { Begin::Resume };
        let (link, has_begun) = self.link_or(&key, begin).await?;
        if !plan.changes.is_empty()
            && let Err(failure) = link.ask("configure", json!({ "app": plan.app })).await
        {
            if REFUSED.contains(&failure.code.as_str()) {
                self.put_back(&plan.app, before);
            }
            return Err(failure);
        }
        let has_other_size = plan.changes.iter().any(|change| change.member == "instances");
        if has_other_size && matches!(plan.action, Action::Scale | Action::Reload) {
            link.ask("scale", json!({ "app": plan.app })).await?;
        }
        match plan.action {
            // It is listed, and somebody else starts it.
            _ if self.find(&key).is_some_and(|known| known.stopped) => Ok(()),
            Action::Restart => link.ask("restart", json!({})).await.map(drop),
            Action::Reload => self.reload_one(&Target::whole(key), true).await.map(drop),
            // A new keeper has begun by itself.
            Action::Start if has_begun => link.ask("settle", json!({})).await.map(drop),
            // What runs already is left alone.
            _ => link.ask("start", json!({})).await.map(drop),
        }
    }

    /// An app's keeper goes by what it was: so do we, or the next time nothing would seem to be left to do.
    pub(super) fn put_back(&self, app: &App, before: Option<&Known>) {
        let Some(before) = before else { return };
        self.change_anyway(|remembered| {
            if let Some(known) = remembered.apps.iter_mut().find(|known| known.app == *app) {
                *known = before.clone();
            }
        });
        self.events.app("changed", &app.name, &app.namespace);
    }

    /// Starts all of an app, and waits until it has come to where it was to go.
    pub(super) async fn start_one(&self, key: &str) -> Result<(), Failure> {
        let (link, has_begun) = self.link_or(key, Begin::Start).await?;
        link.ask(if has_begun { "settle" } else { "start" }, json!({})).await.map(drop)
    }

    /// What apps are started with next has these variables as well.
    pub async fn update_env(&self, targets: &[Target], env: &BTreeMap<String, String>) -> Result<(), Failure> {
        let keys: Vec<&String> = targets.iter().map(|target| &target.key).collect();
        let with_env = |mut known: Known| {
            known.app.env.extend(env.clone());
            known
        };
        for known in keys.iter().filter_map(|key| self.find(key)) {
            with_env(known).app.check().map_err(|error| Failure::new("ERR_RCLUSTER_BAD_APP", error))?;
        }
        self.change_anyway(|remembered| {
            for known in remembered.apps.iter_mut().filter(|known| keys.contains(&&known.app.key())) {
                known.app.env.extend(env.clone());
            }
        });
        for key in keys {
            let app = self.find(key).ok_or_else(|| unknown(key))?.app;
            self.link(key).await?.ask("configure", json!({ "app": app })).await?;
        }
        Ok(())
    }
}
