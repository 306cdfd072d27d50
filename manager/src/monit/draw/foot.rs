//! The last line: a question, a notice, or what keys do; and all keys in a window.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::super::shown::{Mood, printable};
use super::super::view::{Mode, View};
use super::Colours;
use super::words::{short, shortened};

const TABLE_KEYS: [(&str, &str); 9] = [
    ("?", "keys"),
    ("q", "quit"),
    ("r", "restart"),
    ("l", "reload"),
    ("s", "stop"),
    ("+-", "scale"),
    ("/", "filter"),
    ("o", "sort"),
    ("Tab", "logs"),
];
const LOG_KEYS: [(&str, &str); 4] = [("↑↓ PgUp PgDn", "move"), ("G", "newest"), ("Tab", "back"), ("q", "quit")];
const FILTER_KEYS: [(&str, &str); 3] = [("Esc", "show all"), ("/", "change the filter"), ("q", "quit")];

pub fn draw_foot(frame: &mut Frame, view: &View, area: Rect, colours: Colours) {
    let strong = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
    // Names may be long: what is to be typed stays to be seen.
    let asked = |name: String, rest: &str| {
        let room = usize::from(area.width).saturating_sub(Span::raw(rest).width() + 1);
        Line::from(Span::styled(format!(" {}{rest}", shortened(name, room)), strong))
    };
    let line = match (&view.mode, &view.notice) {
        (Mode::Question { text, .. }, _) => asked(text.clone(), "  y yes  n no "),
        (Mode::Scale { target, text }, _) => {
            asked(format!("How many of {}?", short(target)), &format!(" {text}_  Enter  Esc "))
        }
        (Mode::Filter, _) => asked("Show what has:".to_owned(), &format!(" {}_  Enter  Esc ", view.filter)),
        (_, Some((text, is_bad))) => {
            let style = colours.mood(if *is_bad { Mood::Bad } else { Mood::Good });
            Line::from(Span::styled(shortened(format!(" {}", printable(text)), usize::from(area.width)), style))
        }
        (Mode::Logs, _) => keys(&LOG_KEYS, area.width, colours),
        _ if !view.filter.is_empty() => keys(&FILTER_KEYS, area.width, colours),
        _ => keys(&TABLE_KEYS, area.width, colours),
    };
    frame.render_widget(line, area);
}

/// What keys do, as far as there is room.
fn keys(all: &[(&'static str, &'static str)], width: u16, colours: Colours) -> Line<'static> {
    let mut line = Line::default();
    for (key, what) in all {
        let next = format!(" {key} ");
        if line.width() + next.chars().count() + what.len() > usize::from(width) {
            break;
        }
        line.push_span(Span::styled(next, Style::new().add_modifier(Modifier::BOLD)));
        line.push_span(Span::styled(*what, colours.faint()));
    }
    line
}

const HELP: [(&str, &str); 15] = [
    ("↑ ↓  j k", "select"),
    ("PgUp PgDn g G", "by ten, first, last"),
    ("Enter  ← →", "show or hide instances"),
    ("r", "restart"),
    ("l", "reload without losing anything"),
    ("s  S", "stop, start"),
    ("+ -  =", "one more, one less, so many"),
    ("/", "filter by name or state"),
    ("o  O", "sort by the next, turn round"),
    ("Tab", "logs alone, and back"),
    ("Esc", "show all again"),
    ("Ctrl-Z", "to the shell; fg comes back"),
    ("q  Ctrl-C", "quit; programs go on"),
    ("", ""),
    ("", "any key closes this"),
];

pub fn draw_help(frame: &mut Frame, area: Rect, colours: Colours) {
    let height = u16::try_from(HELP.len()).unwrap_or(0) + 2;
    let (width, height) = (52.min(area.width), height.min(area.height));
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let lines = HELP.iter().map(|(key, what)| {
        let key = Span::styled(format!(" {key:<16}"), Style::new().add_modifier(Modifier::BOLD));
        Line::from(vec![key, Span::raw(*what)])
    });
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(" keys ").border_style(colours.faint());
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), place);
}
