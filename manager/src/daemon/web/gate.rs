//! Who may see the page, and do something with it.
//!
//! A link has a token that is good once, and for ten minutes. It is exchanged for a session of two halves: a cookie that no script can read and that the
//! browser sends with no request of another site, and a key that the page sends with each request of its own and that no other address can read. Cookies
//! belong to a host, whatever the port: a program at another port of it gets the one, and never the other. Requests whose `Host` is a name that somebody
//! else may have pointed at this machine, or whose `Origin` is not the page's, are refused before anything else is looked at.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};

use crate::sys::random;

/// How long a link may be used.
pub const LINK_TIME: Duration = Duration::from_secs(600);
/// How long a session lasts.
pub const SESSION_TIME: Duration = Duration::from_secs(12 * 3600);
/// Links that wait, and sessions: the oldest makes room.
const MOST: usize = 16;

/// Where the page has its half of a session.
pub const KEY: HeaderName = HeaderName::from_static("x-rcluster-key");

/// A secret as it is sent: 64 hexadecimal digits.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    fn new() -> io::Result<Secret> {
        Ok(Secret(random::bytes::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The digits.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Takes as long wherever the first difference is.
    fn is(&self, other: &str) -> bool {
        let (one, other) = (self.0.as_bytes(), other.as_bytes());
        let differences = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
        one.len() == other.len() && std::hint::black_box(differences) == 0
    }
}

struct Session {
    cookie: Secret,
    key: Secret,
    until: Instant,
}

/// Why a request is refused: what is answered, in a sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(pub StatusCode, pub &'static str);

const WRONG_HOST: Refusal =
    Refusal(StatusCode::FORBIDDEN, "this is no name of the page: use its address, or allow the name with --host");
const WRONG_ORIGIN: Refusal = Refusal(StatusCode::FORBIDDEN, "another site asks");
const NO_SESSION: Refusal = Refusal(StatusCode::UNAUTHORIZED, "no session: rcluster web prints a link");

/// All who may come in.
pub struct Gate {
    /// Names that the page has besides addresses.
    names: Vec<String>,
    /// Whether the page is for this machine alone: then it has no address but those of the machine itself.
    is_local: bool,
    /// The name of the cookie: pages at other ports have others.
    cookie_name: String,
    links: RefCell<Vec<(Secret, Instant)>>,
    sessions: RefCell<Vec<Session>>,
}

impl Gate {
    /// Nobody may come in yet. `port`: what tells this page from others of the machine.
    pub fn new(names: Vec<String>, is_local: bool, port: u16) -> Gate {
        let cookie_name = format!("rcluster_{port}");
        Gate { names, is_local, cookie_name, links: RefCell::default(), sessions: RefCell::default() }
    }

    /// A token for a link.
    pub fn link(&self, now: Instant) -> io::Result<Secret> {
        let token = Secret::new()?;
        let mut links = self.links.borrow_mut();
        links.retain(|(_, until)| *until > now);
        if links.len() >= MOST {
            links.remove(0);
        }
        links.push((token.clone(), now + LINK_TIME));
        Ok(token)
    }

    /// Exchanges a token. Returns the cookie, as the browser is told of it, and the key.
    pub fn enter(&self, token: &str, now: Instant) -> io::Result<Option<(String, Secret)>> {
        let mut links = self.links.borrow_mut();
        links.retain(|(_, until)| *until > now);
        let Some(at) = links.iter().position(|(known, _)| known.is(token)) else { return Ok(None) };
        links.remove(at);
        let session = Session { cookie: Secret::new()?, key: Secret::new()?, until: now + SESSION_TIME };
        let cookie = format!(
            "{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict",
            self.cookie_name,
            session.cookie.text(),
            SESSION_TIME.as_secs()
        );
        let key = session.key.clone();
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|session| session.until > now);
        if sessions.len() >= MOST {
            sessions.remove(0);
        }
        sessions.push(session);
        Ok(Some((cookie, key)))
    }

    /// Ends the session of a request.
    pub fn leave(&self, headers: &HeaderMap) {
        let cookies = self.cookies(headers);
        self.sessions.borrow_mut().retain(|session| !cookies.iter().any(|cookie| session.cookie.is(cookie)));
    }

    fn cookies(&self, headers: &HeaderMap) -> Vec<String> {
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.cookie_name).map(|(_, value)| value.to_owned()).collect()
    }

    /// Whether both halves of a session are there. Returns when it ends.
    pub fn session(&self, headers: &HeaderMap, now: Instant) -> Result<Instant, Refusal> {
        let key = headers.get(KEY).and_then(|value| value.to_str().ok()).ok_or(NO_SESSION)?;
        let cookies = self.cookies(headers);
        let sessions = self.sessions.borrow();
        let has_cookie = |session: &Session| cookies.iter().any(|cookie| session.cookie.is(cookie));
        let is_it = |session: &&Session| session.until > now && session.key.is(key) && has_cookie(session);
        sessions.iter().find(is_it).map(|session| session.until).ok_or(NO_SESSION)
    }

    /// Whether a request comes from the page itself, or from somebody who types its address. `is_page`: what may be come to from elsewhere.
    pub fn check(&self, method: &Method, headers: &HeaderMap, is_page: bool) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|value| value.to_str().ok()).ok_or(WRONG_HOST)?;
        if hosts.next().is_some() || !self.is_own(host) {
            return Err(WRONG_HOST);
        }
        let is_read = *method == Method::GET || *method == Method::HEAD;
        match headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default()) {
            Some(origin) => {
                let same =
                    |scheme: &str| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host));
                if !same("http://") && !same("https://") {
                    return Err(WRONG_ORIGIN);
                }
            }
            // Browsers send it with whatever changes something.
            None if !is_read => return Err(WRONG_ORIGIN),
            None => {}
        }
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            // A link to the page, in a mail or in a chat: it shows nothing of itself.
            Some(_) if is_page && is_read && navigates => Ok(()),
            Some(_) => Err(WRONG_ORIGIN),
        }
    }

    /// Whether nobody but us can have given this name to the page: an address, `localhost`, or a name that was allowed. The port is not looked at, as
    /// it may have been forwarded.
    fn is_own(&self, host: &str) -> bool {
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((name, rest)) => (name, rest),
                None => return false,
            },
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        if !port.is_empty() && port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_err()) {
            return false;
        }
        if name.eq_ignore_ascii_case("localhost") || self.names.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return true;
        }
        name.parse::<IpAddr>().is_ok_and(|address| !self.is_local || address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_names_that_nobody_else_can_give_are_the_pages() {
        let gate = Gate::new(vec!["ops.example".into()], true, 9616);
        let check = |host: &str| gate.check(&Method::GET, &headers(&[("host", host)]), false);
        for host in ["127.0.0.1:9616", "localhost:9616", "LOCALHOST", "[::1]:9616", "127.0.0.1:8080", "ops.example:80"]
        {
            assert_eq!(check(host), Ok(()), "{host}");
        }
        for host in [
            "evil.example:9616",
            "127.0.0.1.evil.example",
            "localhost.evil.example:9616",
            "10.0.0.1:9616",
            "",
            "[::1",
            "localhost:x",
            "a@localhost",
            "[evil]:1",
            "0.0.0.0:9616",
        ] {
            assert_eq!(check(host), Err(WRONG_HOST), "{host}");
        }
        assert_eq!(gate.check(&Method::GET, &HeaderMap::new(), true), Err(WRONG_HOST));
        // Of two nobody knows which one the browser has meant.
        let both = headers(&[("host", "localhost:9616"), ("host", "evil.example")]);
        assert_eq!(gate.check(&Method::GET, &both, true), Err(WRONG_HOST));
        let open = Gate::new(Vec::new(), false, 9616);
        assert_eq!(open.check(&Method::GET, &headers(&[("host", "10.0.0.1:9616")]), false), Ok(()));
        assert_eq!(open.check(&Method::GET, &headers(&[("host", "evil.example:9616")]), false), Err(WRONG_HOST));
    }

    #[test]
    fn no_other_site_asks() {
        let gate = Gate::new(Vec::new(), true, 9616);
        let check = |method: Method, pairs: &[(&'static str, &str)], is_page: bool| {
            let all: Vec<_> = [("host", "localhost:9616")].iter().chain(pairs).copied().collect();
            gate.check(&method, &headers(&all), is_page).is_ok()
        };
        let own = ("origin", "http://localhost:9616");
        assert!(check(Method::POST, &[own], false));
        for origin in [
            "http://localhost:3000",
            "http://evil.example",
            "null",
            "",
            "http://127.0.0.1:9616",
            "ftp://localhost:9616",
        ] {
            assert!(!check(Method::POST, &[("origin", origin)], false), "{origin}");
            assert!(!check(Method::GET, &[("origin", origin)], true), "{origin}");
        }
        assert!(!check(Method::POST, &[], false));
        assert!(check(Method::GET, &[], false));
        for site in ["cross-site", "same-site"] {
            let (site, mode) = (("sec-fetch-site", site), ("sec-fetch-mode", "navigate"));
            assert!(!check(Method::GET, &[site], false));
            assert!(!check(Method::GET, &[site, ("sec-fetch-mode", "no-cors")], true));
            assert!(check(Method::GET, &[site, mode], true));
            assert!(!check(Method::POST, &[own, site, mode], true));
        }
    }

    #[test]
    fn a_token_is_good_once_and_both_halves_of_a_session_are_needed() {
        let (gate, now) = (Gate::new(Vec::new(), true, 1), Instant::now());
        let token = gate.link(now).unwrap();
        assert!(gate.enter("", now).unwrap().is_none() && gate.enter(&"0".repeat(64), now).unwrap().is_none());
        let (cookie, key) = gate.enter(token.text(), now).unwrap().unwrap();
        assert!(gate.enter(token.text(), now).unwrap().is_none());
        assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        let both = headers(&[("cookie", &format!("a=b; {pair}")), ("x-rcluster-key", key.text())]);
        assert_eq!(gate.session(&both, now), Ok(now + SESSION_TIME));
        assert_eq!(gate.session(&both, now + SESSION_TIME), Err(NO_SESSION));
        let wrong = "0".repeat(64);
        for some in [
            headers(&[("cookie", pair)]),
            headers(&[("x-rcluster-key", key.text())]),
            headers(&[("cookie", pair), ("x-rcluster-key", &wrong)]),
            headers(&[("cookie", &format!("rcluster_1={wrong}")), ("x-rcluster-key", key.text())]),
            headers(&[("cookie", &pair.replace("rcluster_1", "rcluster_2")), ("x-rcluster-key", key.text())]),
        ] {
            assert_eq!(gate.session(&some, now), Err(NO_SESSION));
        }
        gate.leave(&both);
        assert_eq!(gate.session(&both, now), Err(NO_SESSION));
    }

    #[test]
    fn links_get_old_and_there_are_not_many() {
        let (gate, now) = (Gate::new(Vec::new(), true, 1), Instant::now());
        let first = gate.link(now).unwrap();
        assert!(gate.enter(first.text(), now + LINK_TIME).unwrap().is_none());
        let first = gate.link(now).unwrap();
        for _ in 0..MOST {
            gate.link(now).unwrap();
        }
        assert!(gate.enter(first.text(), now).unwrap().is_none());
        let enter = || {
            let (cookie, key) = gate.enter(gate.link(now).unwrap().text(), now).unwrap().unwrap();
            headers(&[("cookie", cookie.split(';').next().unwrap()), ("x-rcluster-key", key.text())])
        };
        let first = enter();
        let others: Vec<HeaderMap> = (0..MOST).map(|_| enter()).collect();
        assert_eq!(gate.session(&first, now), Err(NO_SESSION));
        assert!(others.iter().all(|session| gate.session(session, now).is_ok()));
    }
}
