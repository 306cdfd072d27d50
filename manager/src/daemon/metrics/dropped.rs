//! How much of what apps count themselves was left out, by app and reason, for as long as the daemon lives: such a number only grows, as
//! Prometheus takes one that gets smaller for one that has begun anew.

use std::collections::BTreeMap;
use std::fmt::{Error, Write};

use super::text::escaped;

/// What the primary of a cluster may name. Whatever else it says is [`OTHER`]: there are no more series than these.
const REASONS: [&str; 6] = ["late", "malformed", "too-large", "failed", "reserved-name", "no-prom-client"];
const OTHER: &str = "other";

/// What was left out for one reason.
#[derive(Default)]
struct Count {
    /// By us, and by primaries that have ended.
    sum: u64,
    /// By the primary, as it has told last: since it began.
    told: u64,
}

/// By app and reason.
#[derive(Default)]
pub struct Dropped(BTreeMap<String, BTreeMap<&'static str, Count>>);

impl Dropped {
    /// The daemon has left out something of an app.
    pub fn add(&mut self, app: &str, reason: &'static str) {
        self.count(app, reason).sum += 1;
    }

    /// The primary of an app has left out so much since it began.
    pub fn told(&mut self, app: &str, reason: &str, told: u64) {
        let reason = REASONS.into_iter().find(|one| *one == reason).unwrap_or(OTHER);
        let count = self.count(app, reason);
        if told < count.told {
            // It is another one, which counts from the beginning.
            count.sum += count.told;
        }
        count.told = told;
    }

    fn count(&mut self, app: &str, reason: &'static str) -> &mut Count {
        self.0.entry(app.to_owned()).or_default().entry(reason).or_default()
    }

    /// Forgets apps that are not there any more.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|app, _| is_there(app));
    }

    /// As text; nothing where nothing was left out.
    pub fn write(&self, text: &mut String, open: bool) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let title = if open { "rcluster_app_metrics_dropped" } else { "rcluster_app_metrics_dropped_total" };
        let help = "What workers said of their own metrics that was left out";
        writeln!(text, "# HELP {title} {help}\n# TYPE {title} counter")?;
        for (app, reasons) in &self.0 {
            for (reason, Count { sum, told }) in reasons {
                let (app, count) = (escaped(app), sum + told);
                writeln!(text, "rcluster_app_metrics_dropped_total{{app=\"{app}\",reason=\"{reason}\"}} {count}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dropped: &Dropped) -> String {
        let mut text = String::new();
        dropped.write(&mut text, false).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_count_never_gets_smaller_whoever_begins_anew() {
        let mut dropped = Dropped::default();
        assert_eq!(text(&dropped), "");
        dropped.told("a", "late", 5);
        dropped.add("a", "no-answer");
        dropped.add("a", "no-answer");
        // The same again is no more.
        dropped.told("a", "late", 5);
        // Another primary.
        dropped.told("a", "late", 2);
        dropped.told("a", "late", 3);
        let line = |reason: &str, count: u64| {
            format!("rcluster_app_metrics_dropped_total{{app=\"a\",reason=\"{reason}\"}} {count}")
        };
        assert_eq!(text(&dropped), [line("late", 8), line("no-answer", 2)].join("\n"));
        // Both may leave out for the same reason.
        dropped.told("a", "malformed", 4);
        dropped.add("a", "malformed");
        assert!(text(&dropped).contains(&line("malformed", 5)));
        dropped.keep(|app| app == "b");
        assert_eq!(text(&dropped), "");
    }

    #[test]
    fn reasons_that_nobody_knows_are_one() {
        let mut dropped = Dropped::default();
        for number in 0..100 {
            dropped.told("a", &format!("made up {number}\"\n"), 1);
        }
        assert_eq!(text(&dropped), "rcluster_app_metrics_dropped_total{app=\"a\",reason=\"other\"} 1");
    }
}
