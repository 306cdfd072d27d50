//! The text of metrics, line by line into one buffer: of a hundred clusters it has 27,500 lines, and each is five pieces that are copied. Prometheus'
//! own crate takes several times as long for them.

use crate::board_layout::{BOUNDS, BUCKETS, Histogram};

/// What all names begin with.
const PREFIX: &str = "rcluster_";

/// What a number is.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows, but for when it begins anew.
    Counter,
    /// It is so now.
    Gauge,
}

/// What it is of one process.
pub enum Number {
    Whole(u64),
    Real(f64),
}

/// The text so far.
pub struct Text {
    text: String,
    open: bool,
}

impl Text {
    /// Nothing yet, and room for so many bytes. `open`: OpenMetrics.
    pub fn with_capacity(bytes: usize, open: bool) -> Text {
        Text { text: String::with_capacity(bytes), open }
    }

    /// A number of several processes, each with its labels; nothing where there is none.
    pub fn numbers<'a>(&mut self, kind: Kind, name: &str, help: &str, all: impl Iterator<Item = (&'a str, Number)>) {
        let mut all = all.peekable();
        if all.peek().is_none() {
            return;
        }
        let (ending, word) = match kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
        };
        let start = format!("{PREFIX}{name}{ending}{{");
        // OpenMetrics calls a counter by what comes before its ending.
        self.describe(&format!("{PREFIX}{name}{}", if self.open { "" } else { ending }), help, word);
        for (labels, number) in all {
            self.text.push_str(&start);
            self.text.push_str(labels);
            self.text.push_str("} ");
            self.end(number);
        }
    }

    /// How long things took, in several processes, each with its labels; nothing where there is none.
    pub fn histograms<'a>(&mut self, name: &str, help: &str, all: impl Iterator<Item = (&'a str, Histogram)>) {
        let mut all = all.peekable();
        if all.peek().is_none() {
            return;
        }
        self.describe(&format!("{PREFIX}{name}"), help, "histogram");
        let start = |ending: &str, le: &str| format!("{PREFIX}{name}{ending}{{{le}");
        let (sum_start, count_start) = (start("_sum", ""), start("_count", ""));
        // With a point also where it is a whole number: it is a name of the series.
        let bound = |index: usize| BOUNDS.get(index).map_or("+Inf".to_owned(), |ns| format!("{:?}", *ns as f64 / 1e9));
        let buckets: [String; BUCKETS] =
            std::array::from_fn(|index| start("_bucket", &format!("le=\"{}\",", bound(index))));
        for (labels, Histogram { sum, counts }) in all {
            let count = counts.iter().fold(0_u64, |all, one| all.saturating_add(*one));
            for (start, number) in [(&sum_start, Number::Real(sum / 1e3)), (&count_start, Number::Whole(count))] {
                self.text.push_str(start);
                self.text.push_str(labels);
                self.text.push_str("} ");
                self.end(number);
            }
            let mut so_far = 0_u64;
            for (start, count) in buckets.iter().zip(counts) {
                so_far = so_far.saturating_add(count);
                self.text.push_str(start);
                self.text.push_str(labels);
                self.text.push_str("} ");
                self.end(Number::Whole(so_far));
            }
        }
    }

    /// All of it.
    pub fn into_string(self) -> String {
        self.text
    }

    fn describe(&mut self, name: &str, help: &str, kind: &str) {
        for piece in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
            self.text.push_str(piece);
        }
    }

    fn end(&mut self, number: Number) {
        match number {
            Number::Whole(number) => self.text.push_str(itoa::Buffer::new().format(number)),
            Number::Real(number) => self.text.push_str(&number.to_string()),
        }
        self.text.push('\n');
    }
}

/// A label's value as both texts have it.
pub fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
