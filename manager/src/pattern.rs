//! Regular expressions, with the syntax of the crate `regex`. It is its engine that we use, by itself: the crate has a second one that finds
//! several words at once, some hundred instructions per line sooner, and that would be a twentieth of the executable.

use regex_automata::meta::{BuildError, Regex};

/// A regular expression. However it is written, to look for it takes a time in proportion to the text.
pub struct Pattern(Regex);

impl Pattern {
    /// As it is written. The error says in a few words what is wrong with it.
    pub fn new(text: &str) -> Result<Pattern, String> {
        Regex::new(text).map(Pattern).map_err(|error| why(&error))
    }

    /// Whether it is somewhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

fn why(error: &BuildError) -> String {
    if let Some(limit) = error.size_limit() {
        return format!("it would take more than {limit} bytes");
    }
    // The lines before the last one draw where.
    let text = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Pattern::new(text).err().unwrap_or_default()
    }

    #[test]
    fn letters_of_all_languages_count() {
        let is_match = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().is_match(text);
        assert!(is_match("time(out|d out)$|lost", "it timed out"));
        assert!(is_match("(?i)GRÖSSE|größe", "die GRÖßE"));
        assert!(is_match(r"^\w+ \d+$", "größe ٣"));
        assert!(is_match(r"\bé\b", "un é seul") && !is_match(r"\be", "été été"));
    }

    #[test]
    fn what_makes_no_sense_is_said_in_a_few_words() {
        assert_eq!(error("(a"), "unclosed group");
        assert_eq!(error("(?=a)"), "look-around, including look-ahead and look-behind, is not supported");
        assert_eq!(error(r"\w{1000}"), "it would take more than 10485760 bytes");
    }
}
