//! What the page's address answers.

use std::rc::Rc;
use std::time::Instant;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use super::gate::Refusal;
use super::{Page, assets};
use crate::daemon::api::{Content, Service, decode, failed, in_whole, measured, on_target, reply, streamed};
use crate::daemon::link::Failure;
use crate::daemon::logs;

/// The longest request.
const LONGEST: usize = 64 << 10;

/// What can be done to an app.
const ACTS: [&str; 6] = ["start", "stop", "restart", "reload", "scale", "reset"];

/// What every answer says: whatever comes from here is obeyed by no other page, kept by nobody, and loads nothing from elsewhere.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Answers one request.
pub async fn answer(service: &Rc<Service>, page: &Rc<Page>, request: Request<Incoming>) -> Response<Content> {
    let mut response = match find(service, page, request).await {
        Ok(response) => response,
        Err(Refusal(status, text)) => {
            let is_unknown = status == StatusCode::UNAUTHORIZED;
            let code = if is_unknown { "ERR_RCLUSTER_NO_SESSION" } else { "ERR_RCLUSTER_FORBIDDEN" };
            reply(status, &json!({ "error": { "code": code, "message": text } }))
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

async fn find(
    service: &Rc<Service>,
    page: &Rc<Page>,
    request: Request<Incoming>,
) -> Result<Response<Content>, Refusal> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    page.gate.check(&method, &headers, path == "/")?;
    if method == Method::GET
        && let Some((kind, bytes)) = assets::find(&path)
    {
        return Ok(of_kind(kind, Content::whole(Bytes::from_static(bytes))));
    }
    // Prometheus has no session. Nobody else's page can read them: it is not its origin.
    if method == Method::GET && path == "/metrics" && page.has_metrics.get() {
        return Ok(measured(service, &headers).await);
    }
    let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if method == Method::POST && parts == ["api", "enter"] {
        let token = body(request).await.map(|body| body["token"].as_str().unwrap_or_default().to_owned());
        return Ok(token.map_or_else(|failure| failed(&failure), |token| enter(page, &token)));
    }
    if parts.first() != Some(&"api") {
        return Ok(no_such(&method, &path));
    }
    let until = page.gate.session(&headers, Instant::now())?;
    Ok(match (method.as_str(), &parts[1..]) {
        ("GET", ["live"]) => match page.watchers.add(until) {
            Some(pieces) => {
                page.arrived.notify_one();
                of_kind("text/event-stream", Content::Lines(pieces))
            }
            None => failed(&Failure::new("ERR_RCLUSTER_WEB", "too many look at the page already")),
        },
        ("GET", ["history"]) => reply(StatusCode::OK, &page.history.borrow().tell()),
        ("GET", ["logs"]) => logs::read(service, request.uri().query().unwrap_or_default())
            .map_or_else(|failure| failed(&failure), |lines| streamed(Content::Logs(lines))),
        ("POST", ["leave"]) => {
            page.gate.leave(&headers);
            reply(StatusCode::OK, &Value::Null)
        }
        ("POST", ["apps", target, op]) if ACTS.contains(op) => {
            let (target, op) = ((*target).to_owned(), (*op).to_owned());
            match body(request).await {
                // Of what the API takes this is all that the page may say: no environment, for one.
                Ok(body) => {
                    let body = if op == "scale" { json!({ "count": body["count"] }) } else { Value::Null };
                    let asked = Rc::clone(service);
                    in_whole(service, async move { on_target(&asked.apps, &target, &op, body).await }).await
                }
                Err(failure) => failed(&failure),
            }
        }
        _ => no_such(&method, &path),
    })
}

fn of_kind(kind: &'static str, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn enter(page: &Page, token: &str) -> Response<Content> {
    let entered = page.gate.enter(token, Instant::now()).map_err(|error| error.to_string());
    let entered = entered.and_then(|entered| {
        let Some((cookie, key)) = entered else { return Ok(None) };
        let cookie = header::HeaderValue::from_str(&cookie).map_err(|error| error.to_string())?;
        let mut response = reply(StatusCode::OK, &json!({ "key": key.text() }));
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(Some(response))
    });
    match entered {
        Ok(Some(response)) => response,
        Ok(None) => {
            let text = "this link was used, or is too old: rcluster web prints another one";
            let error = json!({ "error": { "code": "ERR_RCLUSTER_NO_SESSION", "message": text } });
            reply(StatusCode::UNAUTHORIZED, &error)
        }
        Err(error) => failed(&Failure::new("ERR_RCLUSTER_INTERNAL", error)),
    }
}

fn no_such(method: &Method, path: &str) -> Response<Content> {
    failed(&Failure::new("ERR_RCLUSTER_NO_SUCH_ROUTE", format!("there is no {method} {path}")))
}

async fn body(request: Request<Incoming>) -> Result<Value, Failure> {
    let bad = |text: &str| Failure::new("ERR_RCLUSTER_BAD_REQUEST", text.to_owned());
    let body = Limited::new(request.into_body(), LONGEST).collect().await;
    let bytes = body.map_err(|_| bad("the request could not be read, or is too long"))?.to_bytes();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| bad("the body is no JSON"))
}
