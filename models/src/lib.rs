//! The board (`../src/board.rs`, that very file) on words of a model checker, which tries each order in which the language allows two
//! threads to see what the other one writes. `tests/board.rs` says what has to hold in all of them.

#[path = "../../src/board.rs"]
#[allow(dead_code)]
pub mod board;

#[path = "../../src/board_layout.rs"]
#[allow(dead_code)]
pub mod board_layout;

/// What the board takes from the real `sys`.
pub mod sys {
    pub mod board_page;
}

pub mod orders;
