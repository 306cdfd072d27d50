//! From what was written to what is run: the file, its interpreter, its folder and its user, found anew at each start.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User as SystemUser, getgrouplist};

use crate::model::{App, Mode};
use crate::sys::spawn::User;

/// Which interpreter an extension asks for.
const INTERPRETERS: [(&str, &str); 11] = [
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("ts", "node"),
    ("mts", "node"),
    ("py", "python3"),
    ("sh", "bash"),
    ("rb", "ruby"),
    ("pl", "perl"),
    ("php", "php"),
    ("lua", "lua"),
];

/// Where programs are looked for when the app's environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is to be executed.
#[derive(Debug, PartialEq, Eq)]
pub struct Executable {
    /// The file.
    pub file: PathBuf,
    /// Its arguments, with its own name first.
    pub args: Vec<OsString>,
    /// Whether it is a Node, which may have a message channel.
    pub is_node: bool,
}

/// Finds what an app runs. The error says in words what is not there.
pub fn executable(app: &App) -> Result<Executable, String> {
    if app.mode == Mode::Cluster {
        return primary(app);
    }
    let cwd = Path::new(&app.cwd);
    let script = cwd.join(&app.script);
    let path = app.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let interpreter = interpreter(app, &script);
    let arguments = app.args.iter().map(OsString::from);
    let Some(interpreter) = interpreter else {
        // Something of the PATH may be run by its name alone, as in a shell.
        let file =
            if script.exists() && !script.is_dir() { Some(script.clone()) } else { find(&app.script, path, cwd) };
        let file = file.ok_or_else(|| is_missing(&script))?;
        if !is_executable(&file) {
            return Err(format!(
                "\"{0}\" is not executable: chmod +x \"{0}\", or say which interpreter runs it",
                file.display()
            ));
        }
        let args = [file.clone().into_os_string()].into_iter().chain(arguments).collect();
        return Ok(Executable { file, args, is_node: false });
    };
    if !script.exists() || script.is_dir() {
        return Err(is_missing(&script));
    }
    let file = find(&interpreter, path, cwd).ok_or_else(|| format!("there is no interpreter \"{interpreter}\""))?;
    let is_node = file.file_name().is_some_and(|name| name == "node" || name == "nodejs");
    let own = app.interpreter_args.iter().map(OsString::from);
    let args = [OsString::from(&interpreter)]
        .into_iter()
        .chain(own)
        .chain([script.into_os_string()])
        .chain(arguments)
        .collect();
    Ok(Executable { file, args, is_node })
}

fn is_missing(script: &Path) -> String {
    let what = if script.is_dir() { " is a folder: the script of an app is a file" } else { "" };
    if what.is_empty() {
        format!("there is no script \"{}\"", script.display())
    } else {
        format!("\"{}\"{what}", script.display())
    }
}

/// Why a file that is there could not be executed, in words.
pub fn not_executed(file: &Path, error: &io::Error) -> String {
    let mut start = [0; 256];
    let count = fs::File::open(file).and_then(|mut file| file.read(&mut start)).unwrap_or_default();
    let line = start[..count].strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    let line = line.map(String::from_utf8_lossy).unwrap_or_default();
    let interpreter = line.trim_start_matches([' ', '\t']).split([' ', '\t']).next().unwrap_or_default();
    if error.kind() != io::ErrorKind::NotFound || interpreter.is_empty() {
        return format!("\"{}\" cannot be executed: {error}", file.display());
    }
    let ends = if interpreter.ends_with('\r') { ": its lines end as those of Windows do" } else { "" };
    let (interpreter, file) = (interpreter.trim_end(), file.display());
    format!("there is no interpreter \"{interpreter}\", which the first line of \"{file}\" asks for{ends}")
}

/// The command that runs a Node server over several workers.
fn primary(app: &App) -> Result<Executable, String> {
    let path = app.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let node = app.interpreter.as_deref().unwrap_or("node");
    let file = find(node, path, Path::new(&app.cwd)).ok_or_else(|| format!("there is no interpreter \"{node}\""))?;
    let script = Path::new(&app.cwd).join(&app.script);
    if !is_there_for_node(&script) {
        return Err(is_missing(&script));
    }
    let command =
        package().map_err(|error| format!("the package of rcluster cannot be found: {error}"))?.join("bin/rcluster.js");
    let mut args: Vec<OsString> = [node.into(), command.into_os_string()].into();
    args.extend([OsString::from("-i"), app.instances.to_string().into()]);
    args.extend(app.interpreter_args.iter().map(|option| format!("--exec-arg={option}").into()));
    if app.wait_ready {
        let within = format!("{}ms", app.listen_timeout);
        args.extend(["--ready".into(), "message".into(), "--ready-timeout".into(), within.into()]);
    }
    if app.max_memory > 0 {
        args.extend(["--max-memory".into(), app.max_memory.to_string().into()]);
    }
    args.extend(app.cluster_args.iter().map(OsString::from));
    // As a path, so that a script is never taken for a verb.
    args.extend([script.into_os_string(), "--".into()]);
    args.extend(app.args.iter().map(OsString::from));
    Ok(Executable { file, args, is_node: true })
}

/// Whether Node finds a script: it adds an extension where there is none, and of a folder takes what stands for it.
fn is_there_for_node(script: &Path) -> bool {
    let with = |extension: &str| {
        let mut name = script.as_os_str().to_owned();
        name.push(extension);
        Path::new(&name).exists()
    };
    ["", ".js", ".json", ".node"].into_iter().any(with)
}

/// The Node of an app's environment.
pub fn node(app: &App) -> Result<PathBuf, String> {
    let path = app.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    find("node", path, Path::new(&app.cwd)).ok_or_else(|| "there is no node in the PATH of the app".into())
}

/// The folder of the package that this executable is a part of.
pub fn package() -> io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    executable
        .parent()
        .and_then(Path::parent)
        .map(Path::to_owned)
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// What runs the script; `None` when it runs by itself.
fn interpreter(app: &App, script: &Path) -> Option<String> {
    match app.interpreter.as_deref() {
        Some("none") => None,
        Some(name) => Some(name.to_owned()),
        None => {
            let extension = script.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let known = INTERPRETERS.iter().find(|(known, _)| *known == extension).map(|(_, name)| (*name).to_owned());
            known.or_else(|| is_unmarked_javascript(script).then(|| "node".to_owned()))
        }
    }
}

/// A text that does not say what runs it: PM2 takes it for JavaScript, executable or not. The kernel could not execute it.
fn is_unmarked_javascript(script: &Path) -> bool {
    let mut start = [0; 64];
    let Ok(count) = fs::File::open(script).and_then(|mut file| file.read(&mut start)) else { return false };
    !start[..count].starts_with(b"#!")
        && start[..count].iter().all(|byte| *byte >= b' ' && *byte != 0x7f || (b'\t'..=b'\r').contains(byte))
}

/// A program by its name: as a path when it has a slash, else along `path`.
fn find(name: &str, path: &str, cwd: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(cwd.join(name)).filter(|file| is_executable(file));
    }
    path.split(':').map(|folder| cwd.join(folder).join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The user that an app runs as; `None` for the keeper's own.
pub fn user(app: &App) -> Result<Option<User>, String> {
    if app.uid.is_none() && app.gid.is_none() {
        return Ok(None);
    }
    let entry = match app.uid.as_deref() {
        None => SystemUser::from_uid(nix::unistd::geteuid()),
        Some(name) => match name.parse() {
            Ok(number) => SystemUser::from_uid(Uid::from_raw(number)),
            Err(_) => SystemUser::from_name(name),
        },
    };
    let entry = entry.ok().flatten();
    let uid = match (&entry, app.uid.as_deref()) {
        (Some(entry), _) => entry.uid.as_raw(),
        (None, Some(name)) => name.parse().map_err(|_| format!("there is no user \"{name}\""))?,
        (None, None) => nix::unistd::geteuid().as_raw(),
    };
    let gid = match app.gid.as_deref() {
        Some(name) => group(name)?,
        None => entry
            .as_ref()
            .map(|entry| entry.gid.as_raw())
            .ok_or_else(|| format!("user {uid} has no group: say gid as well"))?,
    };
    let name = entry.and_then(|entry| std::ffi::CString::new(entry.name).ok());
    let groups = name.and_then(|name| getgrouplist(&name, Gid::from_raw(gid)).ok());
    let groups = groups.map_or_else(|| vec![gid], |groups| groups.into_iter().map(Gid::as_raw).collect());
    Ok(Some(User { uid, gid, groups }))
}

fn group(name: &str) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let entry = Group::from_name(name).ok().flatten();
    entry.map(|entry| entry.gid.as_raw()).ok_or_else(|| format!("there is no group \"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(script: &str, interpreter: Option<&str>) -> App {
        let text = format!(r#"{{"name":"a","mode":"program","script":"{script}","cwd":"/bin","args":["x"]}}"#);
        let mut app: App = serde_json::from_str(&text).unwrap();
        app.interpreter = interpreter.map(str::to_owned);
        app
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let found = executable(&app("sh", None)).unwrap();
        assert_eq!((found.file.to_str(), found.args.len(), found.is_node), (Some("/bin/sh"), 2, false));
        let found = executable(&app("env", Some("none"))).unwrap();
        assert!(found.file.ends_with("env"));
    }

    #[test]
    fn what_is_not_there_is_said_in_words() {
        assert_eq!(executable(&app("nothing.sh", None)).unwrap_err(), "there is no script \"/bin/nothing.sh\"");
        let missing = executable(&app("sh", Some("no-such-thing"))).unwrap_err();
        assert_eq!(missing, "there is no interpreter \"no-such-thing\"");
        let mut stranger = app("sh", None);
        stranger.uid = Some("no-such-user".into());
        assert!(user(&stranger).unwrap_err().contains("no-such-user"));
    }
}
