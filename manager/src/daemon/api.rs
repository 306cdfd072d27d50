//! The HTTP API, `/v1`: what the command, JavaScript and `curl --unix-socket` talk to.

use std::rc::Rc;

use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::apps::{Apps, Target};
use super::link::Failure;
use super::logs;
use crate::model::App;

/// The longest request: a thousand apps with large environments.
const LONGEST: usize = 64 << 20;

/// What is answered: all at once, or line by line.
pub type Answer = Either<Full<Bytes>, logs::Lines>;

/// What requests are answered from.
pub struct Service {
    /// The apps.
    pub apps: Apps,
    /// Told when the daemon shall end.
    pub end: Notify,
}

/// Answers one request. Never fails: what goes wrong is an answer as well.
pub async fn answer(service: Rc<Service>, request: Request<Incoming>) -> Response<Answer> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    if method == Method::GET && path == "/v1/logs" {
        return match logs::read(&service, request.uri().query().unwrap_or_default()) {
            Ok(lines) => stream(lines),
            Err(failure) => failed(&failure),
        };
    }
    let body = match Limited::new(request.into_body(), LONGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return failed(&Failure::new(
                "ERR_RCLUSTER_BAD_REQUEST",
                "the request could not be read, or is longer than 64 MiB",
            ));
        }
    };
    let body = match body.is_empty() {
        true => Value::Null,
        false => match serde_json::from_slice(&body) {
            Ok(value) => value,
            Err(error) => {
                return failed(&Failure::new("ERR_RCLUSTER_BAD_REQUEST", format!("the body is no JSON: {error}")));
            }
        },
    };
    match route(&service, &method, &path, body).await {
        Ok(value) => reply(StatusCode::OK, &value),
        Err(failure) => failed(&failure),
    }
}

async fn route(service: &Service, method: &Method, path: &str, body: Value) -> Result<Value, Failure> {
    let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let apps = &service.apps;
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["v1", "ping"]) => Ok(json!({ "pid": std::process::id() })),
        ("GET", ["v1", "version"]) => Ok(json!({ "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id() })),
        ("GET", ["v1", "apps"]) => Ok(json!(apps.list())),
        ("POST", ["v1", "apps"]) => apps.start(read_apps(body)?).await,
        ("GET", ["v1", "apps", word]) => describe(apps, word, false),
        ("GET", ["v1", "apps", word, "env"]) => describe(apps, word, true),
        ("DELETE", ["v1", "apps", word]) => apps.delete(&apps.targets(word)?).await,
        ("POST", ["v1", "apps", word, op @ ("start" | "stop" | "restart" | "reset" | "signal" | "send" | "stdin")]) => {
            apps.ask(&apps.targets(word)?, op, object(body)?).await
        }
        ("POST", ["v1", "apps", word, "reload"]) => apps.reload(&apps.targets(word)?).await,
        ("POST", ["v1", "apps", word, "scale"]) => apps.scale(&apps.targets(word)?, count(&body)?).await,
        ("POST", ["v1", "apps", word, "flush"]) => apps.ask(&apps.targets(word)?, "flush-logs", json!({})).await,
        ("POST", ["v1", "apps", word, "reopen"]) => apps.ask(&apps.targets(word)?, "reopen-logs", json!({})).await,
        ("POST", ["v1", "save"]) => apps.save(),
        ("POST", ["v1", "resurrect"]) => apps.resurrect().await,
        ("POST", ["v1", "kill"]) => {
            apps.quit_all().await?;
            service.end.notify_one();
            Ok(Value::Null)
        }
        (_, ["v1", ..]) => Err(Failure::new("ERR_RCLUSTER_NO_SUCH_ROUTE", format!("there is no {method} {path}"))),
        _ => Err(Failure::new("ERR_RCLUSTER_NO_SUCH_ROUTE", format!("there is no {path}: the API begins with /v1"))),
    }
}

fn read_apps(body: Value) -> Result<Vec<App>, Failure> {
    let bad = |error: String| Failure::new("ERR_RCLUSTER_BAD_APP", error);
    let Value::Object(mut body) = body else { return Err(bad("the body must be an object with \"apps\"".into())) };
    let list = body.remove("apps").ok_or_else(|| bad("the body must be an object with \"apps\"".into()))?;
    let apps: Vec<App> = serde_json::from_value(list).map_err(|error| bad(error.to_string()))?;
    for app in &apps {
        app.check().map_err(bad)?;
    }
    Ok(apps)
}

fn object(body: Value) -> Result<Value, Failure> {
    match body {
        Value::Null => Ok(json!({})),
        Value::Object(_) => Ok(body),
        other => Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", format!("the body must be an object. Received {other}"))),
    }
}

fn count(body: &Value) -> Result<u32, Failure> {
    let count = body.get("count").unwrap_or(&Value::Null);
    let number = count.as_u64().and_then(|number| u32::try_from(number).ok());
    let text = || format!("\"count\" must be a whole number from 1 to 1024. Received {count}");
    number.ok_or_else(|| Failure::new("ERR_RCLUSTER_BAD_REQUEST", text()))
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

fn failed(failure: &Failure) -> Response<Answer> {
    let status = match failure.code.as_str() {
        "ERR_RCLUSTER_NO_SUCH_TARGET" | "ERR_RCLUSTER_NO_SUCH_ROUTE" => StatusCode::NOT_FOUND,
        "ERR_RCLUSTER_BAD_REQUEST" | "ERR_RCLUSTER_BAD_APP" => StatusCode::BAD_REQUEST,
        "ERR_RCLUSTER_NOT_SAVED" => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::CONFLICT,
    };
    reply(status, &json!({ "error": { "code": failure.code, "message": failure.message } }))
}

fn stream(lines: logs::Lines) -> Response<Answer> {
    let mut response = Response::new(Answer::Right(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-ndjson"));
    response
}

fn reply(status: StatusCode, value: &Value) -> Response<Answer> {
    let mut response = Response::new(Answer::Left(Full::new(Bytes::from(value.to_string()))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
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
}
