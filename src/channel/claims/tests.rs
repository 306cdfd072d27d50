use super::*;

fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Parts of a value: tags as text, and numbers.
macro_rules! value {
    ($($part:expr),* $(,)?) => { [$(Part::from($part).0),*].concat() };
}

struct Part(Vec<u8>);

impl From<&str> for Part {
    fn from(tags: &str) -> Part {
        Part(tags.into())
    }
}

impl From<u64> for Part {
    fn from(value: u64) -> Part {
        Part(number(value))
    }
}

impl From<&Vec<u8>> for Part {
    fn from(bytes: &Vec<u8>) -> Part {
        Part(bytes.clone())
    }
}

fn frame(value: &[u8]) -> Vec<u8> {
    [&[0xff, 15], value].concat()
}

fn look(value: &[u8]) -> Result<u64, Malformed> {
    excess(&frame(value), 1)
}

fn list_of(count: usize, item: &[u8]) -> Vec<u8> {
    value!["A", count as u64, &item.repeat(count), "$", 0, count as u64]
}

fn sparse(length: u64) -> Vec<u8> {
    value!["a", length, "@", 0, length]
}

fn text(text: &str) -> Vec<u8> {
    value!["\"", text.len() as u64, text]
}

#[test]
fn a_list_is_its_length_up_to_what_a_frame_may_claim() {
    // As `v8.serialize` writes `new Array(1e7)`.
    let ten_million = [0xff, 0x0f, b'a', 0x80, 0xad, 0xe2, 0x04, b'@', 0, 0x80, 0xad, 0xe2, 0x04];
    assert_eq!(excess(&ten_million, 1), Err(TOO_MUCH));
    let million = sparse(1_000_000);
    assert_eq!(look(&million), Ok(1_000_000 - PER_BYTE * (million.len() as u64 + 2)));
    assert_eq!(look(&list_of(5, &million)), Err(TOO_MUCH));
    // Such a list is a table of what is there.
    assert_eq!(look(&sparse(4_000_000_000)), Ok(0));
    assert_eq!(look(&sparse(1 << 25)), Err(TOO_MUCH));
}

#[test]
fn what_is_inside_of_something_counts_as_well() {
    let bomb = sparse(10_000_000);
    for holder in [
        value!["o", &text("a"), &bomb, "{", 1],
        value!["oI", 2, &bomb, "{", 1],
        value![";", &bomb, "I", 2, ":", 2],
        value![";I", 2, &bomb, ":", 2],
        value!["'", &bomb, ",", 1],
        value!["A", 1, &bomb, "$", 0, 1],
        value!["A", 0, &text("a"), &bomb, "$", 1, 0],
        value!["a", 3, "I", 2, &bomb, "@", 1, 3],
        value!["\\", 1, &bomb],
        value!["\\", 1, "o", &text("a"), &bomb, "{", 1],
        value!["rEm", &text("why"), "s", &text("where"), "c", &bomb, "."],
        value!["rc_m", &text("Node 20"), "c", &bomb, "."],
        value!["A", 2, "B", 1, "xVB", 0, 1, 0, &bomb, "$", 0, 2],
        value!["A", 2, "R", &text("V"), 86, &bomb, "$", 0, 2],
    ] {
        assert_eq!(look(&holder), Err(TOO_MUCH), "{}", String::from_utf8_lossy(&holder));
        assert_eq!(excess(&frame(&value!["_", &holder]), 2), Err(TOO_MUCH));
    }
}

#[test]
fn lists_that_each_claim_all_the_rest_are_too_much() {
    let rest = vec![b'_'; 10_000];
    let nested = |depth: usize| value![&value!["A", 5_000].repeat(depth), &rest];
    assert_eq!(look(&nested(2000)), Err(TOO_MUCH));
    // V8 makes none that is longer than what is left.
    assert_eq!(look(&value!["A", 3, "__"]), Err(NONSENSE));
    let honest = list_of(100, &list_of(100, b"_"));
    assert_eq!(look(&honest), Ok(0));
}

#[test]
fn properties_that_are_numbers_make_room() {
    // {1023: null}, by a number and by texts.
    let wide: Vec<u8> = "1023".bytes().flat_map(|digit| [digit, 0]).collect();
    for name in [value!["I", 2046], value!["U", 1023], text("1023"), value!["S", 4, "1023"], value!["c", 8, &wide]] {
        let object = value!["o", &name, "0{", 1];
        assert_eq!(look(&object), Ok(1552 - PER_BYTE * (object.len() as u64 + 2)));
        assert_eq!(look(&list_of(10_000, &object)), Err(TOO_MUCH));
    }
    // Further away a table is made.
    for name in [value!["I", 2048], text("01023"), text("1e2"), text("4294967296"), text("")] {
        assert_eq!(look(&list_of(10_000, &value!["o", &name, "0{", 1])), Ok(0));
    }
    // Ids of hours and states, as programs count by them.
    let counts = value!["oI", 400, "I", 10, "I", 808, "I", 2, "{", 2];
    assert!(look(&list_of(5000, &counts)).is_ok());
}

#[test]
fn numbers_that_are_all_in_one_place_of_a_table_are_too_much() {
    let set = |keys: &[Vec<u8>]| value!["'", &keys.concat(), ",", keys.len() as u64];
    let integers: Vec<_> = (0..100_000).map(|key| value!["I", 2 * key]).collect();
    assert_eq!(look(&set(&integers)), Ok(0));
    let longs: Vec<_> = (1..20_000_u64).map(|key| [b"Z\x10".as_slice(), &key.to_le_bytes()].concat()).collect();
    assert_eq!(look(&set(&longs)), Ok(0));
    let doubles: Vec<_> =
        (1..20_000).map(|key| [b"N".as_slice(), &(f64::from(key) + 0.5).to_ne_bytes()].concat()).collect();
    assert_eq!(look(&set(&doubles)), Ok(0));
    // V8 takes the lowest 64 bits alone.
    let same: Vec<_> =
        (1..10_000_u64).map(|key| [b"Z\x20\0\0\0\0\0\0\0\0".as_slice(), &key.to_le_bytes()].concat()).collect();
    assert_eq!(look(&set(&same)), Err(TOO_MUCH));
    let pairs = value![";", &same.join(b"_".as_slice()), "_:", 2 * same.len() as u64];
    assert_eq!(look(&pairs), Err(TOO_MUCH));
    // Keys of tables in a table are their own.
    let inner = set(&integers[..600]);
    assert_eq!(look(&set(&vec![inner; 200])), Ok(0));
}

#[test]
fn resizable_memory_is_as_much_as_it_holds_and_a_mapping() {
    let one = value!["~", 1, 1 << 30, "x"];
    assert!(look(&one).is_ok());
    assert!(look(&list_of(400, &one)).is_ok());
    assert_eq!(look(&list_of(2000, &one)), Err(TOO_MUCH));
}

#[test]
fn regular_expressions_are_what_it_takes_to_read_them() {
    let regexp = |pattern: &str, flags: u64| value!["R", &text(pattern), flags];
    let (unicode, sets) = (16, 256);
    assert!(look(&list_of(100, &regexp(r"^[^\s@]+$", unicode))).is_ok());
    assert_eq!(look(&regexp(&"[a-z]|".repeat(10_000), 0)), Ok(0));
    assert_eq!(look(&regexp(&"(?<n>a)|".repeat(50_000), 0)), Err(TOO_MUCH));
    assert_eq!(look(&regexp(&format!("[{}]", r"\W".repeat(2000)), unicode)), Err(TOO_MUCH));
    assert_eq!(look(&list_of(400, &regexp(r"\p{L}", unicode))), Err(TOO_MUCH));
    assert_eq!(look(&list_of(20, &regexp(r"\p{RGI_Emoji}", sets))), Err(TOO_MUCH));
    let wide: Vec<u8> = r"\p{L}".bytes().flat_map(|byte| [byte, 0]).collect();
    assert_eq!(look(&list_of(400, &value!["R\0c", 10, &wide, unicode])), Err(TOO_MUCH));
}

#[test]
fn what_no_v8_writes_is_refused() {
    for nonsense in [
        // Padding that is looked at again at each level, and numbers that V8's versions read in two ways.
        value!["\\", 1, "B", 0, "\0\0"],
        value!["A", 1, "\0\0_$", 0, 1],
        value!["?", 1, "_"],
        [b"I".as_slice(), &[0x80, 0x80, 0x80, 0x80, 0x80, 0]].concat(),
        [b"U".as_slice(), &[0xff, 0xff, 0xff, 0xff, 0x1f]].concat(),
        [b"rc_".as_slice(), &[0xae, 0]].concat(),
        // What is in no other process, or ends what has not begun, or is no name.
        value!["u", 0],
        value!["t", 0],
        value!["m", 2, "a", 5],
        value!["{", 0],
        value!["A", 1, "{", 0],
        value!["o", "_", "_{", 1],
        value!["o", &sparse(2), "_{", 1],
        value!["R_", 0],
        value!["~", 2, 1, "xx"],
        value!["_", "_"],
        Vec::new(),
    ] {
        assert_eq!(look(&nonsense), Err(NONSENSE), "{nonsense:?}");
    }
    for version in [&[b'_'][..], &[0xff, 14, b'_'], &[0xff, 13, b'_'], &[0xff]] {
        assert_eq!(excess(version, 1), Err(NONSENSE));
    }
    // One byte of padding is in front of characters of two bytes.
    assert_eq!(look(&value!["\0c", 2, "xx"]), Ok(0));
    // A newer V8 may have it, and this one says what it has against it.
    assert_eq!(look(b"E"), Ok(0));
}

#[test]
fn depth_costs_no_stack() {
    let errors = |depth: usize| value![&b"rc".repeat(depth), "_", &b".".repeat(depth)];
    assert_eq!(look(&errors(100_000)), Ok(0));
    assert_eq!(look(&errors(200_000)), Err(NONSENSE));
}
