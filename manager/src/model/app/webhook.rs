//! Where an app's events are sent, and the secret that nobody is told.

use serde::{Deserialize, Serialize};

use super::App;

/// Where events are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// By HTTP or HTTPS.
    pub url: String,
    /// What they are signed with.
    #[serde(default)]
    pub secret: Option<String>,
}

/// What is told instead of a secret.
pub const HIDDEN: &str = "(hidden)";

impl Webhook {
    pub(super) fn check(&self) -> Result<(), String> {
        let host = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            return Err(format!(
                "\"webhook\" must have a \"url\" that begins with https:// or http://. Received {:?}",
                self.url
            ));
        }
        if self.secret.as_deref() == Some("") {
            return Err("\"webhook\" must have a \"secret\" that is not empty, or none".into());
        }
        Ok(())
    }
}

impl App {
    /// Without what nobody is to see.
    pub fn without_secrets(mut self) -> App {
        if let Some(secret) = self.webhook.as_mut().and_then(|webhook| webhook.secret.as_mut()) {
            *secret = HIDDEN.into();
        }
        self
    }

    /// Whoever has been told of it without its secret, and tells it back, means the one that it has.
    pub fn with_secret_of(mut self, known: Option<&App>) -> App {
        let is_hidden = |webhook: &Webhook| webhook.secret.as_deref() == Some(HIDDEN);
        if let Some(webhook) = self.webhook.as_mut().filter(|webhook| is_hidden(webhook))
            && let Some(known) = known.and_then(|known| known.webhook.as_ref())
        {
            webhook.secret.clone_from(&known.secret);
        }
        self
    }
}
