//! What keys do: with what is looked at, or by a wish.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::super::ask::encoded;
use super::super::shown::printable;
use super::{Mode, View, Wish};

/// A filter is no longer.
const LONGEST_WORD: usize = 60;

impl View {
    /// A key was pressed.
    pub fn press(&mut self, key: KeyEvent) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Wish::Quit,
                KeyCode::Char('z') => Wish::Suspend,
                _ => Wish::None,
            };
        }
        self.notice = None;
        match std::mem::replace(&mut self.mode, Mode::Table) {
            Mode::Table => self.in_table(key.code),
            Mode::Logs => self.in_logs(key.code),
            Mode::Help if key.code == KeyCode::Char('q') => Wish::Quit,
            Mode::Help => Wish::None,
            Mode::Filter => self.in_filter(key.code),
            Mode::Scale { target, text } => self.in_scale(key.code, target, text),
            Mode::Question { text, wish } => match key.code {
                KeyCode::Char('y' | 'Y') => wish,
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => Wish::None,
                _ => {
                    self.mode = Mode::Question { text, wish };
                    Wish::None
                }
            },
        }
    }

    fn in_table(&mut self, key: KeyCode) -> Wish {
        const PAGE: isize = 10;
        match key {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Esc if !self.filter.is_empty() => {
                self.filter.clear();
                return self.look_if(View::arrange);
            }
            KeyCode::Down | KeyCode::Char('j') => return self.go(1),
            KeyCode::Up | KeyCode::Char('k') => return self.go(-1),
            KeyCode::PageDown => return self.go(PAGE),
            KeyCode::PageUp => return self.go(-PAGE),
            KeyCode::Home | KeyCode::Char('g') => return self.go(isize::MIN / 2),
            KeyCode::End | KeyCode::Char('G') => return self.go(isize::MAX / 2),
            KeyCode::Enter | KeyCode::Char(' ') => return self.fold(None),
            KeyCode::Left => return self.fold(Some(false)),
            KeyCode::Right => return self.fold(Some(true)),
            KeyCode::Tab => self.mode = Mode::Logs,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('o') => {
                self.order = self.order.next();
                self.notice = Some((format!("sorted {}", self.order.word()), false));
                return self.look_if(View::arrange);
            }
            KeyCode::Char('O') => {
                self.is_reversed = !self.is_reversed;
                return self.look_if(View::arrange);
            }
            KeyCode::Char('r') => self.question("restart", "Restart", "restarted"),
            KeyCode::Char('l') => self.question("reload", "Reload", "reloaded"),
            KeyCode::Char('s') => self.question("stop", "Stop", "stopped"),
            KeyCode::Char('S') => self.question("start", "Start", "started"),
            KeyCode::Char('+') => self.scale_by(1),
            KeyCode::Char('-') => self.scale_by(-1),
            KeyCode::Char('=') => {
                if let Some(row) = self.selected() {
                    self.mode = Mode::Scale { target: row.target.clone(), text: String::new() };
                }
            }
            _ => {}
        }
        Wish::None
    }

    fn in_logs(&mut self, key: KeyCode) -> Wish {
        const PAGE: usize = 20;
        self.mode = Mode::Logs;
        let most = self.lines.len().saturating_sub(1);
        match key {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Tab | KeyCode::Esc => {
                self.mode = Mode::Table;
                self.back = 0;
            }
            KeyCode::Up | KeyCode::Char('k') => self.back = (self.back + 1).min(most),
            KeyCode::Down | KeyCode::Char('j') => self.back = self.back.saturating_sub(1),
            KeyCode::PageUp => self.back = (self.back + PAGE).min(most),
            KeyCode::PageDown => self.back = self.back.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.back = most,
            KeyCode::End | KeyCode::Char('G') => self.back = 0,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            _ => {}
        }
        Wish::None
    }

    fn in_filter(&mut self, key: KeyCode) -> Wish {
        match key {
            KeyCode::Enter => return Wish::None,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Backspace => {
                self.mode = Mode::Filter;
                self.filter.pop();
            }
            KeyCode::Char(letter) => {
                self.mode = Mode::Filter;
                if self.filter.chars().count() < LONGEST_WORD {
                    self.filter.push(letter);
                }
            }
            _ => self.mode = Mode::Filter,
        }
        self.look_if(View::arrange)
    }

    fn in_scale(&mut self, key: KeyCode, target: String, mut text: String) -> Wish {
        match key {
            KeyCode::Esc => return Wish::None,
            KeyCode::Enter => match text.parse::<u32>() {
                Ok(count) if count > 0 => return scaled(&target, count),
                _ => {
                    self.notice = Some(("a number from 1 on, such as 4".to_owned(), true));
                    return Wish::None;
                }
            },
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(letter) if letter.is_ascii_digit() && text.len() < 4 => text.push(letter),
            _ => {}
        }
        self.mode = Mode::Scale { target, text };
        Wish::None
    }

    fn go(&mut self, by: isize) -> Wish {
        let last = self.rows.len().saturating_sub(1);
        let at = self.at.saturating_add_signed(by).min(last);
        self.look_if(|view| std::mem::replace(&mut view.at, at) != at)
    }

    fn fold(&mut self, wanted: Option<bool>) -> Wish {
        let Some(row) = self.selected() else { return Wish::None };
        let target = row.target.clone();
        let is_open = !self.closed.contains(&target);
        match (wanted.unwrap_or(!is_open), is_open) {
            (false, true) => drop(self.closed.insert(target)),
            (true, false) => drop(self.closed.remove(&target)),
            _ => return Wish::None,
        }
        self.look_if(View::arrange)
    }

    /// Something has changed; where that is what is selected, its logs are wanted.
    fn look_if(&mut self, change: impl FnOnce(&mut View) -> bool) -> Wish {
        if !change(self) {
            return Wish::None;
        }
        self.forget_lines();
        Wish::Look
    }

    /// Asks whether that is meant.
    fn question(&mut self, op: &str, verb: &str, done: &str) {
        let Some(row) = self.selected() else { return };
        let app = self.apps.iter().find(|app| app.target() == row.target);
        // A part of a program has a number of its own; a worker stands for its cluster.
        let id = app.and_then(|app| {
            let process = app.processes.iter().find(|process| Some(process.instance) == row.part)?;
            process.id.filter(|_| app.mode == crate::model::Mode::Program)
        });
        // A name that looks like that number would be meant before it.
        let id = id.map(|id| id.to_string()).filter(|id| self.apps.iter().all(|app| app.name != *id));
        let target = id.clone().unwrap_or_else(|| row.target.clone());
        let name = match (id, row.part) {
            (Some(_), Some(part)) => format!("{} instance {part}", row.target),
            _ => row.target.clone(),
        };
        let name = printable(name.strip_prefix("default:").unwrap_or(&name));
        let wish = Wish::Act {
            path: format!("/v1/apps/{}/{op}", encoded(&target)),
            body: json!({}),
            done: format!("{name}: {done}"),
        };
        self.mode = Mode::Question { text: format!("{verb} {name}?"), wish };
    }

    fn scale_by(&mut self, by: i64) {
        let Some(row) = self.selected() else { return };
        let Some(app) = self.apps.iter().find(|app| app.target() == row.target) else { return };
        let count = i64::from(app.instances) + by;
        match u32::try_from(count) {
            Ok(count) if count > 0 => {
                let text = format!("Scale {} from {} to {count}?", printable(&app.name), app.instances);
                self.mode = Mode::Question { text, wish: scaled(&app.target(), count) };
            }
            _ => self.notice = Some(("one is the least: s stops it".to_owned(), true)),
        }
    }
}

fn scaled(target: &str, count: u32) -> Wish {
    let name = printable(target.strip_prefix("default:").unwrap_or(target));
    Wish::Act {
        path: format!("/v1/apps/{}/scale", encoded(target)),
        body: json!({ "count": count }),
        done: format!("{name}: {count} wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{press, view};
    use super::*;

    fn path(wish: &Wish) -> &str {
        match wish {
            Wish::Act { path, .. } => path,
            _ => "",
        }
    }

    #[test]
    fn nothing_is_done_without_yes() {
        for (key, op) in [("r", "restart"), ("l", "reload"), ("s", "stop"), ("S", "start")] {
            let mut view = view();
            assert_eq!(press(&mut view, key), Wish::None);
            assert!(matches!(view.mode, Mode::Question { .. }));
            assert_eq!(press(&mut view, "x"), Wish::None);
            assert_eq!(path(&press(&mut view, "y")), format!("/v1/apps/default%3Aweb/{op}"));
            assert_eq!(press(&mut view, key), Wish::None);
            assert_eq!(press(&mut view, "n"), Wish::None);
            assert_eq!(view.mode, Mode::Table);
        }
    }

    #[test]
    fn a_part_of_a_program_is_meant_alone_and_a_worker_stands_for_its_cluster() {
        let mut view = view();
        assert_eq!(path(&press(&mut view, "jry")), "/v1/apps/default%3Aweb/restart");
        assert_eq!(path(&press(&mut view, "jjry")), "/v1/apps/shop%3Abot/restart");
        assert_eq!(path(&press(&mut view, "jjjry")), "/v1/apps/1/restart");
        // An app whose name is that number would be meant by it.
        view.apps[0].name = "1".to_owned();
        assert_eq!(path(&press(&mut view, "ry")), "/v1/apps/default%3Ajobs/restart");
    }

    #[test]
    fn scaling_counts_from_what_is_wanted() {
        let mut view = view();
        let wish = press(&mut view, "+y");
        assert!(matches!(&wish, Wish::Act { body, .. } if body["count"] == 3), "{wish:?}");
        let wish = press(&mut view, "=12>");
        assert!(matches!(&wish, Wish::Act { body, .. } if body["count"] == 12), "{wish:?}");
        press(&mut view, "jjj-");
        assert_eq!((view.mode.clone(), view.notice.is_some()), (Mode::Table, true));
        assert_eq!(press(&mut view, "=0>"), Wish::None);
        assert_eq!(press(&mut view, "=<"), Wish::None);
    }

    #[test]
    fn a_filter_is_typed_and_taken_back() {
        let mut view = view();
        press(&mut view, "/bot>");
        assert_eq!((view.rows.len(), view.mode.clone()), (1, Mode::Table));
        assert_eq!(view.logs().unwrap(), "/v1/logs?target=shop%3Abot&lines=200&follow=true");
        press(&mut view, "<");
        assert_eq!(view.rows.len(), 7);
        press(&mut view, "/q");
        assert_eq!((view.filter.as_str(), view.rows.len()), ("q", 0));
    }
}
