//! The screen: a head, the table, the logs of what is selected, and what keys do.

mod columns;
mod foot;
mod words;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Row as TableRow, Table, TableState};

use self::columns::{Column, columns};
use self::foot::{draw_foot, draw_help};
use self::words::{clock, short, shortened, wrapped};
use super::shown::{Mood, Order, Row, printable, size};
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
    // From 0, as nothing at all sums up to -0.
    let cpu = view.apps.iter().flat_map(|app| &app.processes).fold(0.0, |sum, process| sum + process.cpu);
    let memory: u64 = view.apps.iter().flat_map(|app| &app.processes).map(|process| process.memory).sum();
    frame.render_widget(Line::from(left), area);
    let right = format!("cpu {cpu:.1} %  memory {} ", size(memory));
    let width = u16::try_from(right.len()).unwrap_or(area.width);
    if area.width > width + 30 {
        let place = Rect { x: area.right() - width, width, ..area };
        frame.render_widget(Line::from(right).style(colours.faint()), place);
    }
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
    let title = shortened(title, usize::from(area.width));
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
    fn a_question_shows_what_is_to_be_typed_however_long_a_name_is() {
        let mut view = view();
        let mut apps = std::mem::take(&mut view.apps);
        apps[0].name = "long".repeat(30);
        view.update(apps);
        for (keys, end) in [("r", "…  y yes  n no"), ("n=12", "… 12_  Enter  Esc")] {
            press(&mut view, keys);
            let screen = screen(&view, 80, 24);
            assert!(screen.trim_end().ends_with(end), "{screen}");
            assert!(screen.contains(" logs of longlong") && !screen.contains("-0.0"), "{screen}");
        }
        press(&mut view, "<");
        view.update(Vec::new());
        assert!(screen(&view, 80, 24).contains("cpu 0.0 %"));
    }

    #[test]
    fn a_name_that_is_cut_off_shows_it() {
        let mut view = view();
        view.rows[0].name = "a-name-that-is-long-for-this".to_owned();
        let (narrow, wide) = (screen(&view, 60, 24), screen(&view, 140, 24));
        let line = |screen: &str| screen.lines().nth(2).unwrap().to_owned();
        assert!(line(&narrow).contains("a-name") && line(&narrow).contains("… "), "{narrow}");
        assert!(line(&wide).contains("a-name-that-is-long-for-this ") && !line(&wide).contains('…'), "{wide}");
    }
}
