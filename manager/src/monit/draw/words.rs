//! Texts in the room that there is for them.

use ratatui::text::Span;

use super::super::shown::printable;

/// As much of it as there is room for: what is cut off is to be seen.
pub fn shortened(text: String, room: usize) -> String {
    if Span::raw(text.as_str()).width() <= room {
        return text;
    }
    let start = wrapped(&text, room.saturating_sub(1).max(1)).into_iter().next().unwrap_or_default();
    format!("{start}…")
}

/// The name of an app, without the namespace that most are in.
pub fn short(target: &str) -> String {
    printable(target.strip_prefix("default:").unwrap_or(target))
}

/// The time of day of a time such as 2026-03-04T15:06:07.123Z, where this machine is.
pub fn clock(text: &str) -> Option<String> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string())
}

/// A text in pieces of that width.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for letter in text.chars() {
        let wide = Span::raw(letter.encode_utf8(&mut [0; 4]) as &str).width();
        if used + wide > width {
            pieces.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(last) = pieces.last_mut() {
            last.push(letter);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_below() {
        assert_eq!(wrapped("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(wrapped("\u{4f60}\u{597d}a", 3), ["\u{4f60}", "\u{597d}a"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn what_is_cut_off_is_marked() {
        assert_eq!(shortened("abcd".to_owned(), 4), "abcd");
        assert_eq!(shortened("abcde".to_owned(), 4), "abc…");
        assert_eq!(shortened("\u{4f60}\u{597d}a".to_owned(), 4), "\u{4f60}…");
    }
}
