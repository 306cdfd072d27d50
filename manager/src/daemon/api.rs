//! The HTTP API, `/v1`: what the command, JavaScript and `curl --unix-socket` talk to. `openapi.json` beside this file describes it.

mod body;
mod content;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::apps::Apps;
use super::events::Events;
use super::link::Failure;
use super::logs;
use super::metrics;
use super::targets::Target;
use super::update;
use super::web::Web;
pub use content::Content;

/// The longest request: a thousand apps with large environments.
const LONGEST: usize = 64 << 20;

/// What the API is.
const OPENAPI: &str = include_str!("api/openapi.json");

/// Every route: its methods, and its path with `*` for a target.
const ROUTES: [(&str, &[&str]); 31] = [
    ("GET", &["metrics"]),
    ("GET", &["v1", "ping"]),
    ("GET", &["v1", "version"]),
    ("GET", &["v1", "openapi.json"]),
    ("GET", &["v1", "events"]),
    ("GET", &["v1", "logs"]),
    ("GET", &["v1", "apps"]),
    ("POST", &["v1", "apps"]),
    ("GET", &["v1", "apps", "*"]),
    ("DELETE", &["v1", "apps", "*"]),
    ("GET", &["v1", "apps", "*", "env"]),
    ("POST", &["v1", "apps", "*", "start"]),
    ("POST", &["v1", "apps", "*", "stop"]),
    ("POST", &["v1", "apps", "*", "restart"]),
    ("POST", &["v1", "apps", "*", "reload"]),
    ("POST", &["v1", "apps", "*", "upgrade"]),
    ("POST", &["v1", "apps", "*", "scale"]),
    ("POST", &["v1", "apps", "*", "reset"]),
    ("POST", &["v1", "apps", "*", "signal"]),
    ("POST", &["v1", "apps", "*", "send"]),
    ("POST", &["v1", "apps", "*", "stdin"]),
    ("POST", &["v1", "apps", "*", "flush"]),
    ("POST", &["v1", "apps", "*", "reopen"]),
    ("POST", &["v1", "save"]),
    ("POST", &["v1", "resurrect"]),
    ("DELETE", &["v1", "dump"]),
    ("POST", &["v1", "web"]),
    ("GET", &["v1", "web"]),
    ("DELETE", &["v1", "web"]),
    ("POST", &["v1", "update"]),
    ("POST", &["v1", "kill"]),
];

/// Why a daemon ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody needs it any more.
    Quit,
    /// This executable takes its place.
    Update(PathBuf),
}

/// What requests are answered from.
pub struct Service {
    /// The apps.
    pub apps: Apps,
    /// Who wants to hear what happens.
    pub events: Rc<Events>,
    /// When (ms since 1970) this daemon began.
    pub started_at: u64,
    /// Told when the daemon shall end.
    pub end: Notify,
    /// Why.
    pub why: RefCell<Option<End>>,
    /// How many requests are being answered.
    pub busy: Cell<usize>,
    /// The page, where somebody wants one.
    pub web: Web,
}

impl Service {
    fn end_for(&self, why: End) {
        self.why.replace(Some(why));
        self.end.notify_one();
    }
}

/// Counts a request as long as it lives.
struct Busy(Rc<Service>);

impl Busy {
    fn new(service: &Rc<Service>) -> Busy {
        service.busy.set(service.busy.get() + 1);
        Busy(Rc::clone(service))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
    }
}

/// Answers one request. Never fails: what goes wrong is an answer as well.
pub async fn answer(service: Rc<Service>, request: Request<Incoming>) -> Response<Content> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
    if let Err(failure) = known_route(&method, &path, &parts) {
        let allowed = allowed(&parts);
        let mut response = failed(&failure);
        if let Ok(value) = header::HeaderValue::from_str(&allowed.join(", "))
            && !allowed.is_empty()
        {
            response.headers_mut().insert(header::ALLOW, value);
        }
        return response;
    }
    if parts[0] == "metrics" {
        return measured(&service, request.headers()).await;
    }
    if parts[1] == "events" {
        return streamed(Content::Lines(service.events.listen()));
    }
    if parts[1] == "logs" {
        return logs::read(&service, &query)
            .map_or_else(|failure| failed(&failure), |lines| streamed(Content::Logs(lines)));
    }
    let body = match read(request.into_body()).await {
        Ok(body) => body,
        Err(failure) => return failed(&failure),
    };
    let asked = Rc::clone(&service);
    in_whole(&service, async move { route(&asked, &method, &parts, &query, body).await }).await
}

/// Does what somebody has asked for: whoever it was may go away in the middle, and it is done whole.
pub async fn in_whole(
    service: &Rc<Service>,
    work: impl Future<Output = Result<Value, Failure>> + 'static,
) -> Response<Content> {
    let busy = Busy::new(service);
    let task = tokio::task::spawn_local(async move {
        let result = work.await;
        drop(busy);
        result
    });
    let mut response = match task.await {
        Ok(Ok(value)) => reply(StatusCode::OK, &value),
        Ok(Err(failure)) => failed(&failure),
        Err(error) => failed(&Failure::new("ERR_RCLUSTER_INTERNAL", format!("the daemon has failed: {error}"))),
    };
    // Also where the answer has no app that could tell it.
    if let Some(why) = service.apps.unsaved().and_then(|why| header::HeaderValue::try_from(why).ok()) {
        response.headers_mut().insert(NOT_SAVED, why);
    }
    response
}

async fn read(body: Incoming) -> Result<Value, Failure> {
    let too_long = || Failure::new("ERR_RCLUSTER_TOO_LARGE", "the request is longer than 64 MiB");
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(too_long());
    }
    let body = match Limited::new(body, LONGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_long()),
        Err(error) => {
            return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", format!("the request could not be read: {error}")));
        }
    };
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body)
        .map_err(|error| Failure::new("ERR_RCLUSTER_BAD_REQUEST", format!("the body is no JSON: {error}")))
}

/// The methods that a path has.
fn allowed(parts: &[String]) -> Vec<&'static str> {
    let is_it = |pattern: &[&str]| {
        pattern.len() == parts.len() && pattern.iter().zip(parts).all(|(wanted, part)| *wanted == "*" || wanted == part)
    };
    ROUTES.iter().filter(|(_, pattern)| is_it(pattern)).map(|(method, _)| *method).collect()
}

fn known_route(method: &Method, path: &str, parts: &[String]) -> Result<(), Failure> {
    let methods = allowed(parts);
    if methods.contains(&method.as_str()) {
        return Ok(());
    }
    if !methods.is_empty() {
        let text = format!("there is no {method} {path}, only {}", methods.join(" and "));
        return Err(Failure::new("ERR_RCLUSTER_BAD_METHOD", text));
    }
    let hint = if parts.first().is_some_and(|first| first == "v1") { "" } else { ": the API begins with /v1" };
    Err(Failure::new("ERR_RCLUSTER_NO_SUCH_ROUTE", format!("there is no {path}{hint}")))
}

/// Whether a listing is to have what workers have counted.
fn with_stats(query: &str) -> Result<bool, Failure> {
    match query {
        "" | "stats=true" => Ok(true),
        "stats=false" => Ok(false),
        _ => Err(Failure::new(
            "ERR_RCLUSTER_BAD_REQUEST",
            format!("a listing is asked for with stats=true or stats=false. Received {query:?}"),
        )),
    }
}

async fn route(
    service: &Rc<Service>,
    method: &Method,
    parts: &[String],
    query: &str,
    body: Value,
) -> Result<Value, Failure> {
    let parts: Vec<&str> = parts.iter().skip(1).map(String::as_str).collect();
    let apps = &service.apps;
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["ping"]) => Ok(json!({ "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION") })),
        ("GET", ["version"]) => Ok(json!({
            "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id(), "startedAt": service.started_at,
        })),
        ("GET", ["openapi.json"]) => serde_json::from_slice(OPENAPI.as_bytes())
            .map_err(|error| Failure::new("ERR_RCLUSTER_INTERNAL", format!("the description is no JSON: {error}"))),
        ("GET", ["apps"]) => Ok(json!(apps.list(with_stats(query)?))),
        ("POST", ["apps"]) => {
            let body::Start { apps: wanted, options } = body::start(body)?;
            apps.start(wanted, options).await
        }
        ("GET", ["apps", word]) => describe(apps, word, false),
        ("GET", ["apps", word, "env"]) => describe(apps, word, true),
        ("DELETE", ["apps", word]) => apps.delete(&apps.targets(word)?).await,
        ("POST", ["apps", word, op]) => on_target(apps, word, op, body).await,
        ("POST", ["save"]) => body::nothing(body).and_then(|()| apps.save()),
        ("DELETE", ["dump"]) => apps.clear_dump(),
        ("POST", ["resurrect"]) => {
            body::nothing(body)?;
            apps.resurrect().await
        }
        ("POST", ["web"]) => service.web.open(service, body::web(body)?),
        ("GET", ["web"]) => Ok(service.web.tell()),
        ("DELETE", ["web"]) => Ok(json!({ "wasOpen": service.web.close() })),
        ("POST", ["update"]) => {
            if !apps.save_late() {
                let why = apps.unsaved().unwrap_or_default();
                let text = format!(
                    "what was done last could not be written down, and another daemon would not know of it: {why}"
                );
                return Err(Failure::new("ERR_RCLUSTER_NOT_SAVED", text));
            }
            let (executable, version) = update::check(body::update(body)?).await?;
            service.end_for(End::Update(executable));
            Ok(json!({ "version": version, "pid": std::process::id() }))
        }
        ("POST", ["kill"]) => {
            body::nothing(body)?;
            apps.quit_all().await;
            service.end_for(End::Quit);
            Ok(Value::Null)
        }
        _ => Err(Failure::new("ERR_RCLUSTER_NO_SUCH_ROUTE", format!("there is no {method} /v1/{}", parts.join("/")))),
    }
}

/// What is done to apps that there are.
pub async fn on_target(apps: &Apps, word: &str, op: &str, body: Value) -> Result<Value, Failure> {
    let targets = apps.targets(word)?;
    match op {
        "restart" | "reload" | "upgrade" => {
            let env = body::environment(body)?;
            if let Some(env) = &env {
                apps.update_env(&targets, env).await?;
            }
            match op {
                "reload" => apps.reload(&targets, env.is_some()).await,
                "upgrade" => apps.upgrade(&targets, env.is_some()).await,
                _ => apps.ask(&targets, op, json!({})).await,
            }
        }
        "scale" => apps.scale(&targets, body::count(body)?).await,
        "signal" => apps.ask(&targets, op, body::signal(body)?).await,
        "send" => apps.ask(&targets, op, body::message(body)?).await,
        "stdin" => apps.ask(&targets, op, body::text(body)?).await,
        _ => {
            body::nothing(body)?;
            let op = match op {
                "flush" => "flush-logs",
                "reopen" => "reopen-logs",
                other => other,
            };
            apps.ask(&targets, op, json!({})).await
        }
    }
}

fn describe(apps: &Apps, word: &str, with_env: bool) -> Result<Value, Failure> {
    let targets: Vec<Target> = apps.targets(word)?;
    targets.iter().map(|target| apps.describe(target, with_env)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// A part of a path, with what was escaped.
pub fn decode(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// For Prometheus, which says which text it understands; whoever says nothing is a person.
pub async fn measured(service: &Service, headers: &header::HeaderMap) -> Response<Content> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open = accepted.contains("application/openmetrics-text");
    match service.apps.metrics(open).await {
        Ok(text) => {
            let mut response = Response::new(Content::whole(Bytes::from(text)));
            let kind = if open { metrics::OPEN_METRICS } else { metrics::PLAIN };
            response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
            response
        }
        Err(failure) => failed(&failure),
    }
}

/// The answer to what has failed.
pub fn failed(failure: &Failure) -> Response<Content> {
    let status = match failure.code.as_str() {
        "ERR_RCLUSTER_NO_SUCH_TARGET" | "ERR_RCLUSTER_NO_SUCH_ROUTE" => StatusCode::NOT_FOUND,
        "ERR_RCLUSTER_BAD_METHOD" => StatusCode::METHOD_NOT_ALLOWED,
        "ERR_RCLUSTER_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        "ERR_RCLUSTER_BAD_REQUEST" | "ERR_RCLUSTER_BAD_APP" => StatusCode::BAD_REQUEST,
        "ERR_RCLUSTER_NOT_SAVED" => StatusCode::INSUFFICIENT_STORAGE,
        "ERR_RCLUSTER_INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    reply(status, &json!({ "error": { "code": failure.code, "message": failure.message } }))
}

/// By this a client knows a daemon of another version.
pub const SERVER: &str = concat!("rclusterd/", env!("CARGO_PKG_VERSION"));

/// Why what was done is not written down, while it is not.
const NOT_SAVED: &str = "rcluster-not-saved";

/// An answer in JSON.
pub fn reply(status: StatusCode, value: &Value) -> Response<Content> {
    let mut response = Response::new(Content::whole(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::SERVER, header::HeaderValue::from_static(SERVER));
    response
}

/// Lines of JSON, as they come.
pub fn streamed(content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-ndjson"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        assert_eq!(decode("a%20b%2Fc%c3%b6"), "a b/cö");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = description["paths"].as_object().unwrap();
        let mut described: Vec<String> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let path = path.replace("{target}", "*");
                let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(move |method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
            })
            .collect();
        let routes = ROUTES.iter();
        let mut known: Vec<String> = routes.map(|(method, parts)| format!("{method} /{}", parts.join("/"))).collect();
        described.sort();
        known.sort();
        assert_eq!(described, known);
    }

    #[test]
    fn the_description_has_every_member_of_an_app_and_of_a_process() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let described = |name: &str| -> Vec<String> {
            let members = description["components"]["schemas"][name]["properties"].as_object().unwrap();
            let mut names: Vec<String> = members.keys().cloned().collect();
            names.sort();
            names
        };
        let members = |value: &Value| -> Vec<String> {
            let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        let app = json!({ "name": "a", "mode": "program", "script": "a", "cwd": "/" });
        let app: crate::model::App = serde_json::from_value(app).unwrap();
        assert_eq!(described("App"), members(&json!(app)));
        let process = json!({ "instance": 0, "state": "online", "restarts": 0, "unstableRestarts": 0 });
        let process: crate::model::Process = serde_json::from_value(process).unwrap();
        assert_eq!(described("Process"), members(&json!(process)));
        let worker: crate::model::Worker =
            serde_json::from_value(json!({ "seat": 0, "state": "ready", "restarts": 0 })).unwrap();
        assert_eq!(described("Worker"), members(&json!(worker)));
    }
}
