//! What is looked at, and what keys do ([`keys`]). No terminal and no daemon in here: keys come in, wishes go out.

mod keys;

use std::collections::{BTreeSet, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use super::ask::encoded;
use super::shown::{self, AppStatus, Mood, Order, Row};

/// So many lines are kept to be looked at.
pub const MOST_LINES: usize = 500;

/// A line of a log, as `GET /v1/logs` tells of it.
#[derive(Clone, Debug, Deserialize)]
pub struct LogLine {
    /// When it was written, where that is known.
    pub ts: Option<String>,
    /// By whom.
    pub instance: Option<u32>,
    /// To which stream.
    pub stream: Option<String>,
    /// The line.
    pub msg: String,
}

/// What is to be done about a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Nothing that is not done already.
    None,
    /// The daemon is asked for something: a path and a body, and what is said when it is done.
    Act { path: String, body: Value, done: String },
    /// Another part's logs are to be shown.
    Look,
    /// To the shell and back.
    Suspend,
    /// It is enough.
    Quit,
}

/// Who has the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// The table.
    Table,
    /// The logs have the whole screen.
    Logs,
    /// All keys are shown.
    Help,
    /// A filter is being typed.
    Filter,
    /// How many instances there shall be is being typed.
    Scale { target: String, text: String },
    /// Whether that is meant: the question, and what follows from yes.
    Question { text: String, wish: Wish },
}

/// All that is on the screen.
pub struct View {
    /// As the daemon told last.
    pub apps: Vec<AppStatus>,
    /// As they are to be shown.
    pub rows: Vec<Row>,
    /// Which row is selected.
    pub at: usize,
    /// Who has the keys.
    pub mode: Mode,
    /// What rows are sorted by.
    pub order: Order,
    /// The other way round.
    pub is_reversed: bool,
    /// What rows have to hold.
    pub filter: String,
    /// Apps without their parts.
    closed: BTreeSet<String>,
    /// The last lines of what is selected.
    pub lines: VecDeque<LogLine>,
    /// How many of them are below the screen.
    pub back: usize,
    /// What there is to be said, and whether it is bad.
    pub notice: Option<(String, bool)>,
    /// Why there is nothing to be seen.
    pub trouble: Option<String>,
}

impl View {
    /// Nothing is known yet.
    pub fn new() -> View {
        View {
            apps: Vec::new(),
            rows: Vec::new(),
            at: 0,
            mode: Mode::Table,
            order: Order::default(),
            is_reversed: false,
            filter: String::new(),
            closed: BTreeSet::new(),
            lines: VecDeque::new(),
            back: 0,
            notice: None,
            trouble: None,
        }
    }

    /// What is selected.
    pub fn selected(&self) -> Option<&Row> {
        self.rows.get(self.at)
    }

    /// How many apps are so well.
    pub fn apps_of(&self, mood: Mood) -> usize {
        let all = shown::rows(&self.apps, "", Order::Listed, false, &BTreeSet::new());
        all.iter().filter(|row| row.part.is_none() && row.mood == mood).count()
    }

    /// The daemon has told. What is selected stays so, wherever it is by now. Returns whether something else is selected.
    pub fn update(&mut self, apps: Vec<AppStatus>) -> bool {
        self.apps = apps;
        self.trouble = None;
        self.arrange()
    }

    fn arrange(&mut self) -> bool {
        let before = self.selected().map(|row| (row.target.clone(), row.part));
        self.rows = shown::rows(&self.apps, &self.filter, self.order, self.is_reversed, &self.closed);
        let find = |wanted: &(String, Option<u32>)| {
            let exactly = self.rows.iter().position(|row| row.target == wanted.0 && row.part == wanted.1);
            // Its app, where that has no parts any more.
            exactly.or_else(|| self.rows.iter().position(|row| row.target == wanted.0))
        };
        self.at = before.as_ref().and_then(find).unwrap_or(self.at).min(self.rows.len().saturating_sub(1));
        before != self.selected().map(|row| (row.target.clone(), row.part))
    }

    /// Lines have come.
    pub fn add(&mut self, lines: Vec<LogLine>) {
        // Whoever looks at older ones goes on to see them.
        if self.back > 0 {
            self.back += lines.len();
        }
        self.lines.extend(lines);
        let surplus = self.lines.len().saturating_sub(MOST_LINES);
        self.lines.drain(..surplus);
        self.back = self.back.min(self.lines.len().saturating_sub(1));
    }

    /// No lines are known of what is selected now.
    pub fn forget_lines(&mut self) {
        self.lines.clear();
        self.back = 0;
    }

    /// Where the logs of what is selected are; nothing where nothing is.
    pub fn logs(&self) -> Option<String> {
        let row = self.selected()?;
        let instance = row.part.map_or_else(String::new, |part| format!("&instance={part}"));
        Some(format!("/v1/logs?target={}{instance}&lines=200&follow=true", encoded(&row.target)))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::monit::shown::tests::some;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    /// Presses keys: a letter each, `>` for Enter, `<` for Escape, `~` for Tab.
    pub fn press(view: &mut View, keys: &str) -> Wish {
        keys.chars().fold(Wish::None, |_, key| {
            let code = match key {
                '>' => KeyCode::Enter,
                '<' => KeyCode::Esc,
                '~' => KeyCode::Tab,
                other => KeyCode::Char(other),
            };
            view.press(KeyEvent::new(code, KeyModifiers::NONE))
        })
    }

    /// A look at three apps.
    pub fn view() -> View {
        let mut view = View::new();
        view.update(some());
        view
    }

    #[test]
    fn what_is_selected_stays_so() {
        let mut view = view();
        press(&mut view, "G");
        let before = view.selected().cloned().unwrap();
        assert_eq!((before.target.as_str(), before.part), ("default:jobs", Some(1)));
        // It moves to the top.
        assert_eq!(press(&mut view, "oo"), Wish::None);
        assert_eq!((view.at, view.selected().unwrap().part), (2, Some(1)));
        // Its app, when its parts are hidden; nothing more when all have gone.
        assert_eq!(press(&mut view, ">"), Wish::Look);
        assert_eq!(view.selected().unwrap().part, None);
        assert!(view.update(Vec::new()) && view.selected().is_none());
        assert_eq!(press(&mut view, "jrlsS+-=/x>G> "), Wish::None);
        assert_eq!(view.logs(), None);
    }

    #[test]
    fn older_lines_stay_where_they_are_while_new_ones_come() {
        let line = |text: String| LogLine { ts: None, instance: Some(0), stream: None, msg: text };
        let mut view = view();
        view.add((0..MOST_LINES + 10).map(|number| line(number.to_string())).collect());
        assert_eq!((view.lines.len(), view.lines[0].msg.as_str()), (MOST_LINES, "10"));
        press(&mut view, "~kk");
        view.add(vec![line("new".to_owned())]);
        assert_eq!(view.back, 3);
        press(&mut view, "G");
        assert_eq!(view.back, 0);
        press(&mut view, "g");
        assert_eq!(view.back, MOST_LINES - 1);
    }
}
