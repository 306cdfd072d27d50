//! The columns of the table: what they say of a row, and which there is room for.

use super::super::shown::{Row, age, rate, size, time};

/// A column of the table.
pub struct Column {
    /// What stands above it.
    pub head: &'static str,
    /// 0: all that is left.
    width: u16,
    /// Which goes first where it is narrow.
    rank: u8,
    /// What it says.
    pub text: fn(&Row) -> String,
    /// Whether it says anything of a row: a column that says nothing of any is not there.
    says: fn(&Row) -> bool,
    /// Figures stand to the right.
    pub is_figure: bool,
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

/// The columns that there is room for, and how wide they are. States are as wide as the longest that is there.
pub fn columns(width: u16, rows: &[Row]) -> Vec<(&'static Column, u16)> {
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
