//! Which files an app watches: below the paths that it names, without what it ignores, what nobody edits (names that begin with a dot,
//! `node_modules`) and what the manager writes itself.

use std::path::{Component, Path, PathBuf};

use fast_glob::{ErrorKind, glob_match, validate};

use super::App;

/// What an app watches.
#[derive(Debug)]
pub struct Watched {
    roots: Vec<Root>,
    /// Patterns for whole paths.
    ignored: Vec<String>,
    /// Files and folders that the manager writes.
    own: Vec<PathBuf>,
}

/// A path that is watched, with all that is below it.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// Where the path was a pattern: what of that counts.
    only: Option<String>,
}

impl Watched {
    /// As the app says. `own`: what the manager writes. The error names the member, the rule and the value.
    pub fn of(app: &App, own: Vec<PathBuf>) -> Result<Watched, String> {
        let cwd = Path::new(&app.cwd);
        let roots = app.watch.iter().map(|text| Root::of(cwd, text)).collect::<Result<_, _>>()?;
        let mut ignored = Vec::new();
        for text in &app.ignore_watch {
            let pattern = pattern("ignoreWatch", cwd, text)?;
            ignored.push(format!("{}/**", pattern.trim_end_matches('/')));
            ignored.push(pattern);
        }
        Ok(Watched { roots, ignored, own })
    }

    /// The paths that are watched with all that is below them.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.roots.iter().map(|root| root.path.as_path())
    }

    /// Whether a change of this is of interest.
    pub fn counts(&self, path: &Path) -> bool {
        let is_meant = |root: &Root| root.leads_to(path) && root.only.as_ref().is_none_or(|only| matches(only, path));
        self.roots.iter().any(is_meant) && !self.is_ignored(path)
    }

    /// Whether there may be something in this folder whose changes are.
    pub fn may_hold(&self, folder: &Path) -> bool {
        self.roots.iter().any(|root| root.leads_to(folder)) && !self.is_ignored(folder)
    }

    fn is_ignored(&self, path: &Path) -> bool {
        self.ignored.iter().any(|pattern| matches(pattern, path))
            || self.own.iter().any(|own| path.starts_with(own) || is_archive(path, own))
    }
}

/// Whether a log was set aside under this name.
fn is_archive(path: &Path, log: &Path) -> bool {
    let rest = |name: &[u8], log: &[u8]| name.strip_prefix(log).is_some_and(|rest| rest.starts_with(b"."));
    path.parent() == log.parent()
        && path
            .file_name()
            .zip(log.file_name())
            .is_some_and(|(name, log)| rest(name.as_encoded_bytes(), log.as_encoded_bytes()))
}

impl Root {
    fn of(cwd: &Path, text: &str) -> Result<Root, String> {
        let path = normal(&cwd.join(text));
        if !text.contains(['*', '?', '[', '{']) || path.exists() {
            check("watch", text)?;
            return Ok(Root { path, only: None });
        }
        // A pattern: all that it can mean is below the part that has no signs.
        let only = pattern("watch", cwd, text)?;
        let plain =
            path.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']));
        Ok(Root { path: plain.collect(), only: Some(only) })
    }

    /// Whether it is this, or below it on a way that people edit.
    fn leads_to(&self, path: &Path) -> bool {
        let is_edited = |part: Component| {
            let name = part.as_os_str();
            !name.as_encoded_bytes().starts_with(b".") && name != "node_modules"
        };
        path.strip_prefix(&self.path).is_ok_and(|rest| rest.components().all(is_edited))
    }
}

fn check(member: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('!') {
        return Err(format!("\"{member}\" must be paths or patterns that do not begin with \"!\". Received {text:?}"));
    }
    Ok(())
}

/// A pattern for whole paths.
fn pattern(member: &str, cwd: &Path, text: &str) -> Result<String, String> {
    check(member, text)?;
    let whole =
        if text.starts_with('/') { text.to_owned() } else { format!("{}/{text}", escaped(&cwd.to_string_lossy())) };
    let pattern = normal(Path::new(&whole)).to_string_lossy().into_owned();
    let bad = |error: fast_glob::Error| {
        format!("\"{member}\" must be paths or patterns: {}. Received {text:?}", why(error.kind))
    };
    validate(&pattern).map(|()| pattern).map_err(bad)
}

/// What is wrong with a pattern. The crate's own words tell a place in what we have made of it.
fn why(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnclosedBrace => "unclosed alternates; missing '}'",
        ErrorKind::UnclosedBracket => "unclosed character class; missing ']'",
        ErrorKind::TrailingBackslash => "nothing is behind the last '\\'",
        _ => "there are more than 10 '{'",
    }
}

/// A path that has no signs of a pattern.
fn escaped(path: &str) -> String {
    let escape = |letter: char| match letter {
        '*' | '?' | '[' | ']' | '{' | '}' => format!("[{letter}]"),
        '\\' => r"\\".to_owned(),
        _ => letter.to_string(),
    };
    path.chars().map(escape).collect()
}

fn matches(pattern: &str, path: &Path) -> bool {
    glob_match(pattern, path.as_os_str().as_encoded_bytes())
}

/// A path without `.` and `..`, whatever is there.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(path.pop()),
            other => path.push(other),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(watch: &[&str], ignore: &[&str]) -> Result<Watched, String> {
        let app = serde_json::json!({
            "name": "a", "mode": "program", "script": "a.js", "cwd": "/srv/a", "watch": watch, "ignoreWatch": ignore,
        });
        let own = ["/srv/a/out.log", "/srv/a/home"].map(PathBuf::from).to_vec();
        Watched::of(&serde_json::from_value(app).unwrap(), own)
    }

    fn counted<'a>(watch: &[&str], ignore: &[&str], paths: &[&'a str]) -> Vec<&'a str> {
        let watched = watched(watch, ignore).unwrap();
        paths.iter().copied().filter(|path| watched.counts(Path::new(path))).collect()
    }

    #[test]
    fn what_nobody_edits_and_what_the_manager_writes_does_not_count() {
        let paths = [
            "/srv/a/a.js",
            "/srv/a/lib/deep/b.js",
            "/srv/a/.git/index",
            "/srv/a/lib/.b.js.swp",
            "/srv/a/node_modules/x/index.js",
            "/srv/a/lib/node_modules/x.js",
            "/srv/a/out.log",
            "/srv/a/out.log.20260304-150607-089.gz",
            "/srv/a/out.logic.js",
            "/srv/a/home/state.json",
            "/srv/b/a.js",
        ];
        assert_eq!(counted(&["."], &[], &paths), ["/srv/a/a.js", "/srv/a/lib/deep/b.js", "/srv/a/out.logic.js"]);
        // What is named itself is meant.
        assert_eq!(
            counted(&[".env", "../b"], &[], &["/srv/a/.env", "/srv/a/.envs", "/srv/b/a.js"]),
            ["/srv/a/.env", "/srv/b/a.js"]
        );
    }

    #[test]
    fn patterns_are_those_of_the_folder_with_all_that_is_below() {
        let paths = ["/srv/a/x.log", "/srv/a/lib/x.log", "/srv/a/tmp/deep/x", "/srv/a/tmpx", "/srv/a/lib/x.ts"];
        assert_eq!(
            counted(&["."], &["*.log", "./tmp/"], &paths),
            ["/srv/a/lib/x.log", "/srv/a/tmpx", "/srv/a/lib/x.ts"]
        );
        assert_eq!(counted(&["."], &["**/*.{log,ts}"], &paths), ["/srv/a/tmp/deep/x", "/srv/a/tmpx"]);
        assert_eq!(counted(&["lib/**/*.ts"], &[], &paths), ["/srv/a/lib/x.ts"]);
        // One or none, and folders of any depth, none included.
        assert_eq!(
            counted(&["lib/**/x.{t,lo}{s,g}"], &["**/[!x].log"], &paths),
            ["/srv/a/lib/x.log", "/srv/a/lib/x.ts"]
        );
        assert_eq!(counted(&["x{,.old}.lo?"], &[], &paths), ["/srv/a/x.log"]);
        // As in many files for PM2: names that begin with a dot, which do not count anyway.
        assert_eq!(counted(&["lib"], &[r"[\/\\]\./", "node_modules"], &paths), ["/srv/a/lib/x.log", "/srv/a/lib/x.ts"]);
    }

    #[test]
    fn signs_in_the_name_of_the_folder_mean_themselves() {
        let app = serde_json::json!({
            "name": "a", "mode": "program", "script": "a.js", "cwd": r"/srv/{a,b}[1]?\", "watch": ["."], "ignoreWatch": ["*.log"],
        });
        let watched = Watched::of(&serde_json::from_value(app).unwrap(), Vec::new()).unwrap();
        let counts = |path: &str| watched.counts(Path::new(path));
        assert!(counts(r"/srv/{a,b}[1]?\/x.js"));
        assert!(!counts(r"/srv/{a,b}[1]?\/x.log"));
    }

    #[test]
    fn what_is_no_pattern_is_said_with_its_value() {
        assert_eq!(
            watched(&["."], &["a[b"]).unwrap_err(),
            "\"ignoreWatch\" must be paths or patterns: unclosed character class; missing ']'. Received \"a[b\""
        );
        for (text, why) in [
            ("*.{js,ts", "unclosed alternates; missing '}'"),
            (r"*.js\", r"nothing is behind the last '\'"),
            ("{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}", "there are more than 10 '{'"),
        ] {
            let expected = format!("\"watch\" must be paths or patterns: {why}. Received {text:?}");
            assert_eq!(watched(&[text], &[]).unwrap_err(), expected);
        }
        assert_eq!(
            watched(&["!lib"], &[]).unwrap_err(),
            "\"watch\" must be paths or patterns that do not begin with \"!\". Received \"!lib\""
        );
    }

    #[test]
    fn folders_that_hold_nothing_of_interest_are_left_out() {
        let watched = watched(&["lib/*.js"], &["lib/old"]).unwrap();
        let held = |path: &str| watched.may_hold(Path::new(path));
        assert!(held("/srv/a/lib") && held("/srv/a/lib/x"));
        assert!(!held("/srv/a/lib/old") && !held("/srv/a/lib/.git") && !held("/srv/a"));
        assert_eq!(watched.roots().collect::<Vec<_>>(), [Path::new("/srv/a/lib")]);
    }
}
