//! What a word on the command line means.

use super::link::Failure;
use super::store::Known;
use crate::model::Mode;
use crate::pattern::Pattern;

/// What a request is about: an app, or some of its processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The app's key.
    pub key: String,
    /// Its instances; `None` for all.
    pub instances: Option<Vec<u32>>,
    /// The place of the worker that was named, where a cluster was meant by one.
    pub seat: Option<u32>,
}

impl Target {
    /// A whole app.
    pub fn whole(key: String) -> Target {
        Target { key, instances: None, seat: None }
    }
}

/// `all`; a name; `namespace:name`; a number of a listing; a namespace, or `namespace:` before one; a pattern for names, between
/// slashes. The first of these that something is found by.
pub fn find(apps: &[Known], word: &str) -> Result<Vec<Target>, Failure> {
    if word == "all" {
        return Ok(whole(apps, |_| true));
    }
    if let Some(pattern) =
        word.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|rest| !rest.is_empty())
    {
        let pattern = Pattern::new(pattern).map_err(|why| {
            Failure::new("ERR_RCLUSTER_BAD_REQUEST", format!("the pattern {word} makes no sense: {why}"))
        })?;
        let found = whole(apps, |known| pattern.is_match(&known.app.name));
        return if found.is_empty() { Err(unknown(word)) } else { Ok(found) };
    }
    let namespace = word.strip_prefix("namespace:").unwrap_or(word);
    let in_namespace = |known: &Known, name: &str| known.app.namespace == name;
    let found = [
        whole(apps, |known| known.app.name == word),
        whole(apps, |known| word == format!("{}:{}", known.app.namespace, known.app.name)),
        by_number(apps, word),
        whole(apps, |known| in_namespace(known, namespace)),
    ];
    found.into_iter().find(|targets| !targets.is_empty()).ok_or_else(|| unknown(word))
}

fn whole(apps: &[Known], is_meant: impl Fn(&Known) -> bool) -> Vec<Target> {
    apps.iter().filter(|known| is_meant(known)).map(|known| Target::whole(known.app.key())).collect()
}

/// A process of a program. A worker of a cluster stands for its cluster: it can be told something alone, and nothing can be done to it.
fn by_number(apps: &[Known], word: &str) -> Vec<Target> {
    let Ok(id) = word.parse::<u64>() else { return Vec::new() };
    let of = |known: &Known| {
        let instance = u32::try_from(known.app.ids.iter().position(|known| *known == id)?).ok()?;
        let (instances, seat) = match known.app.mode {
            Mode::Program => (Some(vec![instance]), None),
            Mode::Cluster => (None, Some(instance)),
        };
        Some(Target { key: known.app.key(), instances, seat })
    };
    apps.iter().filter_map(of).collect()
}

/// There is nothing of that name.
pub fn unknown(word: &str) -> Failure {
    Failure::new("ERR_RCLUSTER_NO_SUCH_TARGET", format!("there is no app, number or namespace \"{word}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, namespace: &str, mode: &str, ids: &[u64]) -> Known {
        let app = serde_json::json!({
            "name": name, "namespace": namespace, "mode": mode, "script": "x", "cwd": "/", "ids": ids
        });
        Known { app: serde_json::from_value(app).unwrap(), stopped: false }
    }

    #[test]
    fn words_mean_what_they_say() {
        let apps = [
            known("api", "shop", "cluster", &[0, 1]),
            known("bot", "shop", "program", &[2, 3]),
            known("api", "blog", "program", &[4]),
            known("7", "shop", "program", &[5]),
        ];
        let of = |word: &str| -> Vec<String> {
            let found = find(&apps, word).unwrap_or_default().into_iter();
            found.map(|target| format!("{}{:?}", target.key, target.instances.unwrap_or_default())).collect()
        };
        assert_eq!(of("all").len(), 4);
        assert_eq!(of("api"), ["shop.api[]", "blog.api[]"]);
        assert_eq!(of("blog:api"), ["blog.api[]"]);
        assert_eq!(of("3"), ["shop.bot[1]"]);
        assert_eq!(of("1"), ["shop.api[]"]);
        assert_eq!(of("7"), ["shop.7[]"]);
        assert_eq!(of("shop"), of("namespace:shop"));
        assert_eq!(of("/^(api|7)$/").len(), 3);
        assert_eq!(of("/none/"), Vec::<String>::new());
        assert_eq!(find(&apps, "/(/").unwrap_err().code, "ERR_RCLUSTER_BAD_REQUEST");
        assert_eq!(find(&apps, "nothing").unwrap_err().code, "ERR_RCLUSTER_NO_SUCH_TARGET");
    }
}
