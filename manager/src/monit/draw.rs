//! The screen: a head, the table, the logs of what is selected, and what keys do.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Row as TableRow, Table, TableState};

use super::shown::{Mood, Order, Row, age, printable, rate, size, time};
use super::view::{Mode, View};

/// Below that there is room for nothing but to say so.
const LEAST: (u16, u16) = (40, 10);

/// The colours: the sixteen that every terminal has, as its user has chosen them.
#[derive(Clone, Copy)]
pub struct Colours(bool);

impl Colours {
    /// None where `NO_COLOR` says so (no-color.org).
    pub fn of_environment() -> Colours {
        Colours(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    fn of(self, colour: Color) -> Style {
        if self.0 { Style::new().fg(colour) } else { Style::new() }
    }

    fn faint(self) -> Style {
        if self.0 { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    fn mood(self, mood: Mood) -> Style {
        match mood {
            Mood::Good => self.of(Color::Green),
            Mood::Off => self.faint(),
            Mood::Changing => self.of(Color::Yellow),
            Mood::Bad => self.of(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

/// A column of the table.
struct Column {
    head: &'static str,
    /// 0: all that is left.
    width: u16,
    /// Which goes first where it is narrow.
    rank: u8,
    text: fn(&Row) -> String,
    /// Whether it says anything of a row: a column that says nothing of any is not there.
    says: fn(&Row) -> bool,
    /// Figures stand to the right.
    is_figure: bool,
}

const fn column(head: &'static str, width: u16, rank: u8, text: fn(&Row) -> String) -> Column {
    Column { head, width, rank, text, says: |_| true, is_figure: true }
}

const COLUMNS: [Column; 15] = [
    Column { is_figure: false, ..column("NAME", 0, 0, named) },
    Column {
        is_figure: false,
        ..column("UP", 5, 5, |row| row.ready.map_or_else(String::new, |(ready, all)| format!("{ready}/{all}")))
    },
    Column { is_figure: false, ..column("STATE", 15, 1, |row| row.state.clone()) },
    column("PID", 8, 14, process),
    column("CPU %", 5, 2, |row| format!("{:.1}", row.cpu)),
    column("MEMORY", 6, 2, |row| size(row.memory)),
    Column { says: |row| row.errors().is_some(), ..column("REQ/S", 5, 3, |row| said(row.requests(), rate)) },
    Column { says: |row| row.errors().is_some(), ..column("ERR/S", 5, 6, |row| said(row.errors(), rate)) },
    Column { says: |row| row.rate().is_some() && row.errors().is_none(), ..column("CONN/S", 6, 9, connections) },
    Column { says: has_board, ..column("WAIT", 6, 3, |row| said(row.waiting(), time)) },
    Column {
        says: has_board,
        ..column("LOOP %", 6, 4, |row| said(row.utilization(), |percent| format!("{percent:.0}")))
    },
    Column { says: has_board, ..column("DELAY", 6, 11, |row| said(row.delay(), time)) },
    Column { says: has_board, ..column("CONNS", 5, 10, |row| said(row.active(), |count| count.to_string())) },
    column("RESTARTS", 8, 7, |row| row.restarts.to_string()),
    column("UPTIME", 6, 8, |row| age(row.since)),
];

fn has_board(row: &Row) -> bool {
    row.recent.is_some()
}

fn connections(row: &Row) -> String {
    said(row.recent.as_ref().map(|recent| recent.connections), rate)
}

/// What there is of a figure.
fn said<T>(figure: Option<T>, text: impl Fn(T) -> String) -> String {
    figure.map_or_else(String::new, text)
}

fn named(row: &Row) -> String {
    match (row.part, row.is_open) {
        (Some(_), _) => format!("    {}", row.name),
        (None, Some(true)) => format!("▾ {}", row.name),
        (None, Some(false)) => format!("▸ {}", row.name),
        (None, None) => format!("  {}", row.name),
    }
}

fn process(row: &Row) -> String {
    match (row.is_open, row.pid) {
        (Some(_), _) => String::new(),
        (None, Some(pid)) => pid.to_string(),
        (None, None) => "-".to_owned(),
    }
}

/// Draws all of it.
pub fn draw(frame: &mut Frame, view: &View, table: &mut TableState, colours: Colours) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (width, height) = LEAST;
        let text = format!("{} × {} is too small: {width} × {height} at least (q ends)", area.width, area.height);
        let lines: Vec<Line> = wrapped(&text, usize::from(area.width)).into_iter().map(Line::from).collect();
        return frame.render_widget(Paragraph::new(lines), area);
    }
    let (head, foot) = (Constraint::Length(1), Constraint::Length(1));
    if view.mode == Mode::Logs {
        let [top, middle, bottom] = Layout::vertical([head, Constraint::Min(1), foot]).areas(area);
        draw_head(frame, view, top, colours);
        draw_logs(frame, view, middle, colours);
        return draw_foot(frame, view, bottom, colours);
    }
    // The logs have what the table leaves, and two fifths at least.
    let room = area.height - 2;
    let wanted = u16::try_from(view.rows.len()).unwrap_or(u16::MAX).saturating_add(1).max(3);
    let rows = Constraint::Length(wanted.min(room * 3 / 5));
    let [top, upper, lower, bottom] = Layout::vertical([head, rows, Constraint::Min(1), foot]).areas(area);
    draw_head(frame, view, top, colours);
    draw_table(frame, view, upper, table, colours);
    draw_logs(frame, view, lower, colours);
    draw_foot(frame, view, bottom, colours);
    if view.mode == Mode::Help {
        draw_help(frame, area, colours);
    }
}

fn draw_head(frame: &mut Frame, view: &View, area: Rect, colours: Colours) {
    let mut left = vec![Span::styled(" rcluster", Style::new().add_modifier(Modifier::BOLD))];
    let plural = if view.apps.len() == 1 { "" } else { "s" };
    left.push(Span::raw(format!("  {} app{plural}", view.apps.len())));
    for (mood, word) in [(Mood::Bad, "in trouble"), (Mood::Changing, "changing"), (Mood::Off, "stopped")] {
        let count = view.apps_of(mood);
        if count > 0 {
            left.push(Span::styled(format!("  {count} {word}"), colours.mood(mood)));
        }
    }
    let cpu: f64 = view.apps.iter().flat_map(|app| &app.processes).map(|process| process.cpu).sum();
    let memory: u64 = view.apps.iter().flat_map(|app| &app.processes).map(|process| process.memory).sum();
    frame.render_widget(Line::from(left), area);
    let right = format!("cpu {cpu:.1} %  memory {} ", size(memory));
    let width = u16::try_from(right.len()).unwrap_or(area.width);
    if area.width > width + 30 {
        let place = Rect { x: area.right() - width, width, ..area };
        frame.render_widget(Line::from(right).style(colours.faint()), place);
    }
}

/// The columns that there is room for, and how wide they are. States are as wide as the longest that is there.
fn columns(width: u16, rows: &[Row]) -> Vec<(&'static Column, u16)> {
    const LEAST_NAME: u16 = 14;
    let longest = rows.iter().map(|row| row.state.len()).max().and_then(|most| u16::try_from(most).ok());
    let wide = |column: &Column| match column.head {
        "STATE" => longest.unwrap_or(0).clamp(6, column.width),
        _ => column.width,
    };
    let says = |column: &&Column| rows.is_empty() || rows.iter().any(column.says);
    let mut columns: Vec<_> = COLUMNS.iter().filter(says).map(|column| (column, wide(column))).collect();
    let needs = |columns: &[(&Column, u16)]| columns.iter().map(|(_, width)| width + 1).sum::<u16>() + LEAST_NAME;
    while needs(&columns) > width && columns.len() > 2 {
        let last = columns.iter().map(|(column, _)| column.rank).max();
        columns.retain(|(column, _)| Some(column.rank) != last);
    }
    columns
}

fn draw_table(frame: &mut Frame, view: &View, area: Rect, table: &mut TableState, colours: Colours) {
    let columns = columns(area.width, &view.rows);
    let sorted: &[&str] = match view.order {
        Order::Listed => &[],
        Order::Name => &["NAME"],
        Order::Cpu => &["CPU %"],
        Order::Memory => &["MEMORY"],
        Order::Rate => &["REQ/S", "CONN/S"],
        Order::Waiting => &["WAIT"],
        Order::Loop => &["LOOP %"],
        Order::Restarts => &["RESTARTS"],
        Order::Age => &["UPTIME"],
        Order::State => &["STATE"],
    };
    let side = |column: &Column| if column.is_figure { Alignment::Right } else { Alignment::Left };
    let head = columns.iter().map(|(column, width)| {
        let mut style = colours.faint();
        if sorted.contains(&column.head) {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        let name = if *width == 0 { format!("  {}", column.head) } else { column.head.to_owned() };
        Line::from(Span::styled(name, style)).alignment(side(column))
    });
    // What is left for names: a space stands between two columns.
    let taken: usize = columns.iter().map(|(_, width)| usize::from(*width) + 1).sum();
    let room = (usize::from(area.width) + 1).saturating_sub(taken);
    let rows = view.rows.iter().map(|row| {
        let cells = columns.iter().map(|(column, _)| {
            let style = match column.head {
                "STATE" => colours.mood(row.mood),
                "UP" if row.ready.is_some_and(|(ready, all)| ready < all) => colours.mood(row.mood),
                "NAME" if row.part.is_none() => Style::new().add_modifier(Modifier::BOLD),
                "CPU %" if row.cpu >= 90.0 => colours.of(Color::Red),
                "LOOP %" if row.utilization().is_some_and(|percent| percent >= 90.0) => colours.of(Color::Red),
                "ERR/S" if row.errors().is_some_and(|errors| errors > 0.0) => colours.of(Color::Red),
                "RESTARTS" if row.restarts == 0 => colours.faint(),
                "PID" => colours.faint(),
                _ => Style::new(),
            };
            let text = (column.text)(row);
            let text = if column.head == "NAME" { shortened(text, room) } else { text };
            Line::from(Span::styled(text, style)).alignment(side(column))
        });
        TableRow::new(cells.collect::<Vec<_>>())
    });
    let width =
        |(_, width): &(&Column, u16)| if *width == 0 { Constraint::Fill(1) } else { Constraint::Length(*width) };
    let drawn = Table::new(rows, columns.iter().map(width).collect::<Vec<_>>())
        .header(TableRow::new(head.collect::<Vec<_>>()))
        .row_highlight_style(Style::new().fg(Color::Reset).add_modifier(Modifier::REVERSED));
    table.select((!view.rows.is_empty()).then_some(view.at));
    frame.render_stateful_widget(drawn, area, table);
    let nothing = match &view.trouble {
        Some(trouble) => trouble.as_str(),
        None if !view.rows.is_empty() => return,
        None if view.apps.is_empty() => "nothing is there yet: rcluster start app.js",
        None => "nothing has that in its name or state: Esc shows all",
    };
    let place = Rect { x: area.x + 2, y: area.y + 1, width: area.width - 2, height: 1 };
    frame.render_widget(Clear, place);
    frame.render_widget(Line::from(nothing).style(colours.faint()), place);
}

fn draw_logs(frame: &mut Frame, view: &View, area: Rect, colours: Colours) {
    let title = match view.selected() {
        Some(Row { part: Some(part), target, .. }) => format!(" logs of {} {part} ", short(target)),
        Some(row) => format!(" logs of {} ", short(&row.target)),
        None => " logs ".to_owned(),
    };
    let mut block = Block::new().borders(Borders::TOP).border_style(colours.faint());
    block = block.title(Span::styled(title, Style::new().add_modifier(Modifier::BOLD)));
    if view.back > 0 {
        block = block.title_top(Line::from(format!(" {} newer below ", view.back)).right_aligned());
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let has_several = view.selected().is_some_and(|row| row.part.is_none() && row.is_open.is_some());
    let mut shown: Vec<Line> = Vec::new();
    // From the last one up, as many as there is room for.
    for line in view.lines.iter().rev().skip(view.back) {
        if shown.len() >= height {
            break;
        }
        let who = line.instance.filter(|_| has_several).map_or_else(String::new, |instance| format!("{instance} "));
        let time = line.ts.as_deref().and_then(clock).map_or_else(String::new, |time| format!("{time} "));
        let style = if line.stream.as_deref() == Some("error") { colours.of(Color::Red) } else { Style::new() };
        let indent = time.len() + who.len();
        let pieces = wrapped(&printable(&line.msg), width.saturating_sub(indent).max(10));
        for (number, piece) in pieces.into_iter().enumerate().rev() {
            let before = if number == 0 { format!("{time}{who}") } else { " ".repeat(indent) };
            shown.push(Line::from(vec![Span::styled(before, colours.faint()), Span::styled(piece, style)]));
        }
    }
    shown.truncate(height);
    shown.reverse();
    if shown.is_empty() && view.selected().is_some() {
        shown.push(Line::from(Span::styled("nothing yet", colours.faint())));
    }
    frame.render_widget(Paragraph::new(shown), inner);
}

/// As much of it as there is room for: what is cut off is to be seen.
fn shortened(text: String, room: usize) -> String {
    if Span::raw(text.as_str()).width() <= room {
        return text;
    }
    let start = wrapped(&text, room.saturating_sub(1).max(1)).into_iter().next().unwrap_or_default();
    format!("{start}…")
}

/// The name of an app, without the namespace that most are in.
fn short(target: &str) -> String {
    printable(target.strip_prefix("default:").unwrap_or(target))
}

/// The time of day of a time such as 2026-03-04T15:06:07.123Z, where this machine is.
fn clock(text: &str) -> Option<String> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string())
}

/// A text in pieces of that width.
fn wrapped(text: &str, width: usize) -> Vec<String> {
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

fn draw_foot(frame: &mut Frame, view: &View, area: Rect, colours: Colours) {
    let strong = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
    let asked = |text: String| Line::from(Span::styled(text, strong));
    let line = match (&view.mode, &view.notice) {
        (Mode::Question { text, .. }, _) => asked(format!(" {text}  y yes  n no ")),
        (Mode::Scale { target, text }, _) => asked(format!(" How many of {}? {text}_  Enter  Esc ", short(target))),
        (Mode::Filter, _) => asked(format!(" Show what has: {}_  Enter  Esc ", view.filter)),
        (_, Some((text, is_bad))) => {
            let style = colours.mood(if *is_bad { Mood::Bad } else { Mood::Good });
            Line::from(Span::styled(format!(" {}", printable(text)), style))
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

fn draw_help(frame: &mut Frame, area: Rect, colours: Colours) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monit::view::LogLine;
    use crate::monit::view::tests::{press, view};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view, &mut TableState::new(), Colours(true))).unwrap();
        let buffer = terminal.backend().buffer();
        let lines = (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>());
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }

    #[test]
    fn every_size_can_be_drawn_in_every_mode() {
        let mut view = view();
        let line = |at: u32| LogLine {
            ts: None,
            instance: Some(at),
            stream: None,
            msg: "lang \u{4f60}\u{597d} ".repeat(at as usize),
        };
        view.add((0..50).map(line).collect());
        for keys in ["", "?", "~", "/x", "r", "=12", ">"] {
            press(&mut view, keys);
            for width in [1, 2, 20, 39, 40, 41, 60, 80, 81, 200] {
                for height in [1, 5, 9, 10, 24, 60] {
                    screen(&view, width, height);
                }
            }
            press(&mut view, "<<");
        }
    }

    #[test]
    fn what_is_too_small_says_so_and_eighty_columns_have_all() {
        let view = view();
        let small = screen(&view, 20, 5);
        assert!(small.contains("20 × 5 is too small:"), "{small}");
        let usual = screen(&view, 80, 24);
        let heads = ["NAME", "STATE", "CPU %", "MEMORY", "REQ/S", "WAIT", "LOOP %", "UP"];
        let figures = ["1234", "41ms", "42"];
        let others = ["rcluster  3 apps  2 in trouble", "▾ web", "2/2", "waiting restart", "logs of web"];
        for word in heads.iter().chain(&figures).chain(&others).chain(&["q quit", "o sort", "Tab logs"]) {
            assert!(usual.contains(word), "{word}\n{usual}");
        }
        assert!(!screen(&view, 40, 24).contains("RESTARTS") && screen(&view, 40, 24).contains("STATE"));
        let wide = screen(&view, 140, 24);
        for head in ["PID", "ERR/S", "DELAY", "CONNS", "RESTARTS", "UPTIME"] {
            assert!(wide.contains(head), "{head}\n{wide}");
        }
        assert!(!wide.contains("CONN/S"));
    }

    #[test]
    fn a_name_that_is_cut_off_shows_it() {
        let mut view = view();
        view.rows[0].name = "a-name-that-is-long-for-this".to_owned();
        let (narrow, wide) = (screen(&view, 60, 24), screen(&view, 140, 24));
        let line = |screen: &str| screen.lines().nth(2).unwrap().to_owned();
        assert!(line(&narrow).contains("a-name") && line(&narrow).contains("… "), "{narrow}");
        assert!(line(&wide).contains("a-name-that-is-long-for-this ") && !line(&wide).contains('…'), "{wide}");
        assert_eq!(shortened("\u{4f60}\u{597d}a".to_owned(), 4), "\u{4f60}…");
    }

    #[test]
    fn long_lines_go_on_below() {
        assert_eq!(wrapped("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(wrapped("\u{4f60}\u{597d}a", 3), ["\u{4f60}", "\u{597d}a"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
