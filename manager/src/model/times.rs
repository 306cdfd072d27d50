//! Lines of cron: the times at which something is due, in a time zone.

use croner::Cron;
use croner::errors::CronError;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The times that a line of cron means.
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

impl Times {
    /// Of a line with five fields, or six with seconds first; without a zone in that of the machine. The error says the rule.
    pub fn parse(line: &str, zone: Option<&str>) -> Result<Times, String> {
        let zone = zone.map_or_else(|| Ok(TimeZone::system()), time_zone)?;
        let rule = "must be a line of cron such as \"0 3 * * *\"";
        let cron: Cron = line.parse().map_err(|error: CronError| {
            let reason = match error {
                CronError::InvalidPattern(reason) | CronError::ComponentError(reason) => reason,
                other => other.to_string(),
            };
            // Some of what it says is a sentence.
            format!("{rule}: {}. Received {line:?}", reason.trim_end_matches('.'))
        })?;
        let times = Times { cron, zone };
        if times.after(Timestamp::now()).is_none() {
            return Err(format!("{rule} whose time comes. Received {line:?}"));
        }
        Ok(times)
    }

    /// The first after this one. What falls into the hour that summer time leaves out comes right after it; what falls into the one
    /// that comes twice comes once.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&time.to_zoned(self.zone.clone()), false);
        next.ok().map(|next| next.timestamp())
    }
}

/// Where the zones of a machine are.
const ZONES: &str = "/usr/share/zoneinfo";

/// A time zone by its name.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    if name == "UTC" {
        // It is known where no others are, as in small images of containers.
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let hint = if std::path::Path::new(ZONES).exists() { "" } else { " (this machine has only UTC)" };
        format!("must be a time zone that there is, such as \"Europe/Berlin\"{hint}. Received {name:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &str, zone: &str, after: &str) -> String {
        let after: Timestamp = after.parse().unwrap();
        Times::parse(line, Some(zone)).unwrap().after(after).unwrap().to_string()
    }

    #[test]
    fn times_are_those_of_the_zone() {
        assert_eq!(next("0 3 * * *", "UTC", "2026-06-01T12:00:00Z"), "2026-06-02T03:00:00Z");
        // Only a machine that has no zones at all may not know it.
        if !std::path::Path::new(ZONES).exists() {
            return;
        }
        assert_eq!(next("0 3 * * *", "Europe/Berlin", "2026-06-01T12:00:00Z"), "2026-06-02T01:00:00Z");
        assert_eq!(next("0 3 * * *", "Europe/Berlin", "2026-12-01T12:00:00Z"), "2026-12-02T02:00:00Z");
        // 2:30 is left out that night, and there twice in the other.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn what_is_no_line_or_no_zone_is_said_with_the_value() {
        let error = Times::parse("61 * * * *", None).err().unwrap();
        assert_eq!(
            error,
            "must be a line of cron such as \"0 3 * * *\": Number out of bounds. Received \"61 * * * *\""
        );
        for line in ["", "bad", "* * * *", "61 * * * *", "0 3 * * * * * *", "0 0 30 2 *"] {
            let error = Times::parse(line, None).err().unwrap();
            assert!(
                error.starts_with("must be a line of cron")
                    && error.ends_with(&format!("Received {line:?}"))
                    && !error.contains(".."),
                "{error}"
            );
        }
        let error = Times::parse("0 3 * * *", Some("Europe/Berlim")).err().unwrap();
        assert!(error.starts_with("must be a time zone") && error.ends_with("Received \"Europe/Berlim\""), "{error}");
    }
}
