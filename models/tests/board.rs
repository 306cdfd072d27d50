//! What has to hold of the board in whatever order the two sides see what the other one writes; and that it would not without the orders
//! that the board asks for.
//!
//!   cargo test --manifest-path models/Cargo.toml -- --nocapture

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::Arc;
use loom::thread;
use rcluster_models::board::Board;
use rcluster_models::orders;

fn board() -> Arc<Board> {
    let (_, board) = Board::create().unwrap();
    Arc::new(board)
}

/// The primary asks and looks again, while a turn of the worker ends: it sees all that the worker has done by then, or is told.
fn a_turn_that_ends_is_seen_or_told() {
    let board = board();
    board.begin_turn(1);
    let worker = thread::spawn({
        let board = Arc::clone(&board);
        move || {
            board.add_taken(1);
            board.end_turn(2, 0)
        }
    });
    board.ask_to_be_told();
    let seen = [board.turns() == 1, board.running_since().is_none(), board.taken() == 1];
    let told = worker.join().unwrap();
    assert!(told || seen == [true; 3], "nobody tells, and the primary has seen {seen:?}");
}

/// The same of one that is asked twice, while two turns end: each question is answered, or what it was about has been seen afterwards.
fn who_asks_again_misses_no_turn() {
    let board = board();
    let worker = thread::spawn({
        let board = Arc::clone(&board);
        move || [board.end_turn(1, 0), board.end_turn(2, 0)]
    });
    board.ask_to_be_told();
    let first = board.turns();
    board.ask_to_be_told();
    let second = board.turns();
    let told = worker.join().unwrap();
    let waits_still = board.end_turn(3, 0);
    assert!(second >= first, "turns go back");
    assert!(!waits_still || second == 2, "told {told:?}, and {second} turns were seen when it asked last");
    assert!(waits_still || told.contains(&true), "the question is gone, and nobody has answered");
}

/// Connections are taken, and some of them over at once: JavaScript writes that, and so do we.
fn no_more_are_over_than_have_begun() {
    let board = board();
    let worker = thread::spawn({
        let board = Arc::clone(&board);
        move || {
            board.add_taken(1);
            board.counts()[1].store(1_f64.to_bits(), Ordering::Relaxed);
            board.add_taken(1);
            board.add_ended(1);
        }
    });
    // As it is read for a worker's load and for its status.
    let (ended, taken) = (board.ended(), board.taken());
    assert!(ended <= taken, "{ended} of {taken} are over");
    worker.join().unwrap();
    assert_eq!(board.connections(), (2, 0));
}

/// The same for people who look at the figures: two begin, then one of them is over. It is they who are the other thread: of a word that the
/// worker reads before it writes it, the checker forgets that others have read it too, and would try nothing.
fn what_is_shown_has_begun_before_it_is_over() {
    let board = board();
    let people = thread::spawn({
        let board = Arc::clone(&board);
        move || board.figures()
    });
    board.add_taken(1);
    board.add_taken(1);
    board.add_ended(1);
    let figures = people.join().unwrap();
    assert_ne!((figures.total, figures.active), (1, 0), "one has begun, and is over already");
}

type Model = (&'static str, fn());

const MODELS: [Model; 4] = [
    ("a turn that ends is seen or told", a_turn_that_ends_is_seen_or_told),
    ("who asks again misses no turn", who_asks_again_misses_no_turn),
    ("no more are over than have begun", no_more_are_over_than_have_begun),
    ("what is shown has begun before it is over", what_is_shown_has_begun_before_it_is_over),
];

/// In how many interleavings it holds; or what the first says in which it does not.
fn holds((_, model): Model) -> Result<usize, String> {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    let run = move || {
        loom::model(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            model();
        });
    };
    catch_unwind(AssertUnwindSafe(run))
        .map(|()| count.load(Ordering::Relaxed))
        .map_err(|why| why.downcast_ref::<String>().cloned().unwrap_or_default())
}

/// One test, as the orders are everybody's.
#[test]
fn the_board_holds_in_every_interleaving_and_needs_each_order_that_it_asks_for() {
    for model in MODELS {
        let count = holds(model).unwrap_or_else(|why| panic!("{}: {why}", model.0));
        println!("{}: holds in {count} interleavings", model.0);
        assert!(count > 10, "{}: nothing was tried", model.0);
    }
    let source = include_str!("../../src/board.rs");
    let product = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let asked = |line: &&str| {
        ["Acquire", "Release", "AcqRel", "SeqCst"].iter().any(|order| line.contains(&format!("Ordering::{order}")))
    };
    let lines = orders::met();
    assert_eq!(
        product.lines().filter(asked).count(),
        lines.len(),
        "accesses with an order, and those that the models use: {lines:?}"
    );

    std::panic::set_hook(Box::new(|_| {}));
    let mut unneeded = Vec::new();
    for line in lines {
        orders::leave_out(Some(line));
        let failed = MODELS.iter().find_map(|model| holds(*model).err().map(|why| (model.0, why)));
        let text = source.lines().nth(line as usize - 1).unwrap_or_default().trim();
        match failed {
            Some((model, why)) => println!("without `{text}` (line {line}): {model} fails: {why}"),
            None => unneeded.push(format!("line {line}: {text}")),
        }
    }
    orders::leave_out(None);
    let _ = std::panic::take_hook();
    assert!(unneeded.is_empty(), "what no model needs: {unneeded:?}");
}
