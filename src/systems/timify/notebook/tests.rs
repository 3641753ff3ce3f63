use proptest::prelude::*;
use rstest::rstest;

use super::*;

const A: &str = "00000000aa";
const B: &str = "00000000bb";

fn book(own: &str, items: &[(&str, &str)]) -> Notebook {
    let mut book = Notebook::parse(own);
    for (key, text) in items {
        book.put(key, text);
    }
    book
}

fn texts(book: &Notebook) -> Vec<(&str, &str)> {
    book.items().iter().map(|item| (item.key.as_str(), item.text.as_str())).collect()
}

#[test]
fn the_block_stands_below_the_own_text_and_says_what_it_is() {
    let text = book("prefers mornings", &[(A, "Called twice"), (B, "Asked for:\n- a refund")]).print();
    let expected = "prefers mornings\n\n\
        --- Lockstep notes: kept by Lockstep. Please write your own text above this line. ---\n\
        [#00000000aa] Called twice\n\
        [#00000000bb] Asked for:\n- a refund\n\
        --- End of Lockstep notes ---";
    assert_eq!(text, expected);
    assert!(book("", &[(A, "x")]).print().starts_with("--- Lockstep"));
}

#[rstest]
#[case::plain("prefers mornings")]
#[case::nothing("")]
#[case::a_line_end("prefers mornings\n")]
#[case::only_line_ends("\n")]
#[case::windows("prefers mornings\r\n\r\nby phone\r\n")]
#[case::old_line_end("prefers mornings\r")]
#[case::blanks("  prefers mornings \t ")]
#[case::like_a_key("[#12345] and [VIP]")]
#[case::like_an_end("--- End of Lockstep notes ---")]
fn the_own_text_is_byte_for_byte_what_it_was_once_the_block_is_gone(#[case] own: &str) {
    let mut with = Notebook::parse(&book(own, &[(A, "x"), (B, "y")]).print());
    assert_eq!((with.own().as_str(), texts(&with).len()), (own, 2));
    with.remove(A);
    assert_eq!(Notebook::parse(&with.print()).own(), own);
    with.remove(B);
    assert_eq!(with.print(), own);
}

#[test]
fn lines_that_look_like_the_blocks_own_are_told_apart() {
    let text =
        "first\n--- End of Lockstep notes ---\n[#00000000cc] no note\n  --- Lockstep notes\n\\[#00000000cc] x\n\\o/";
    let read = Notebook::parse(&book("own", &[(A, text), (B, "[#00000000cc] behind a key")]).print());
    assert_eq!(texts(&read), [(A, text), (B, "[#00000000cc] behind a key")]);
}

/// A block as staff may leave it, the own text and the notes that are read out of it.
#[rstest]
#[case::no_end("own\n\n{begin}\n[#00000000aa] x\ny", "own", &[(A, "x\ny")], false)]
#[case::own_below("{begin}\n[#00000000aa] x\n{end}\nown", "own", &[(A, "x")], true)]
#[case::own_on_both_sides("above\n\n{begin}\n[#00000000aa] x\n{end}\nbelow", "above\nbelow", &[(A, "x")], true)]
#[case::windows("own\r\n\r\n{begin}\r\n[#00000000aa] x\r\ny\r\n{end}\r\n", "own", &[(A, "x\ny")], true)]
#[case::trailing_blanks("own\n\n{begin}  \n[#00000000aa] x  \n{end}\t\n", "own", &[(A, "x")], true)]
#[case::indented("own\n\n  {begin}\n  [#00000000aa] x\n  {end}", "own", &[(A, "x")], true)]
#[case::one_blank_line_less("own\n{begin}\n[#00000000aa] x\n{end}", "own", &[(A, "x")], true)]
#[case::one_blank_line_more("own\n\n\n{begin}\n[#00000000aa] x\n{end}", "own\n", &[(A, "x")], true)]
#[case::long_dash("own\n\n— Lockstep notes\n[#00000000aa] x\n— End of Lockstep notes", "own", &[(A, "x")], true)]
#[case::typed_into("own\n\n{begin}\n[#00000000aa] x\ntyped\n[#00000000bb] y\n{end}", "own", &[(A, "x\ntyped"), (B, "y")], true)]
#[case::typed_at_the_top("own\n\n{begin}\ntyped\n[#00000000aa] x\n{end}", "own\ntyped", &[(A, "x")], true)]
#[case::pasted_twice("own\n\n{begin}\n[#00000000aa] x\n{end}\n{begin}\n[#00000000aa] x\n{end}", "own", &[(A, "x")], true)]
#[case::pasted_and_changed("{begin}\n[#00000000aa] x\n[#00000000aa] y\n{end}", "", &[(A, "x\ny")], true)]
#[case::emptied("own\n\n{begin}\n{end}", "own", &[], true)]
#[case::no_key("{begin}\n[#00000000AA] x\n{end}", "[#00000000AA] x", &[], true)]
#[case::no_block("--- Lockstep", "--- Lockstep", &[], true)]
fn staff_may_edit_the_block(
    #[case] text: &str,
    #[case] own: &str,
    #[case] items: &[(&str, &str)],
    #[case] whole: bool,
) {
    let read = Notebook::parse(&text.replace("{begin}", BEGIN_LINE).replace("{end}", END_LINE));
    assert_eq!((read.own().as_str(), texts(&read).as_slice(), read.is_whole()), (own, items, whole));
    let mut mended = read.clone();
    mended.put(B, "new");
    let mended = Notebook::parse(&mended.print());
    assert_eq!((mended.own().as_str(), mended.is_whole(), mended.get(B)), (own, whole, Some("new")));
}

#[test]
fn a_line_of_many_escapes_is_read() {
    let line = format!("x\n{}[#00000000aa] y", "\\".repeat(200_000));
    assert_eq!(Notebook::parse(&book("", &[(A, &line)]).print()).get(A), Some(line.as_str()));
}

/// Lines as they may stand anywhere: plain ones, and all that could be mistaken.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z \\\\\\[\\]#\u{e4}-]{0,6}",
        1 => Just(BEGIN_LINE.to_owned()),
        1 => Just(END_LINE.to_owned()),
        1 => "[ \\\\]{0,2}\\[#00000000(aa|bb|cc)\\]( [a-z]{0,3})?",
        1 => "[ \\\\]{0,2}--- (End of )?Lockstep notes",
    ]
}

fn raw() -> impl Strategy<Value = String> {
    let ended = (line(), prop_oneof![4 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\r"), 1 => Just("")]);
    proptest::collection::vec(ended, 0..12)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect())
}

fn note() -> impl Strategy<Value = String> {
    proptest::collection::vec(line(), 0..5).prop_map(|lines| normal(&lines.join("\n")))
}

#[derive(Debug, Clone)]
enum Edit {
    Put(&'static str, String),
    Remove(&'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let key = || prop_oneof![Just(A), Just(B), Just("00000000cc"), Just("00000000dd")];
    prop_oneof![(key(), note()).prop_map(|(key, text)| Edit::Put(key, text)), key().prop_map(Edit::Remove)]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(text in raw(), edits in proptest::collection::vec(edit(), 0..6)) {
        let mut book = Notebook::parse(&text);
        for edit in edits {
            match edit {
                Edit::Put(key, text) => book.put(key, &text),
                Edit::Remove(key) => book.remove(key),
            }
            let printed = Notebook::parse(&book.print());
            let own = Notebook { above: book.own(), below: String::new(), ..book.clone() };
            prop_assert_eq!(&printed, if book.is_whole() { &book } else { &own });
        }
    }

    #[test]
    fn no_edit_changes_the_own_text(text in raw(), edits in proptest::collection::vec(edit(), 1..8)) {
        let own = Notebook::parse(&text).own();
        let mut held = text;
        for edit in edits {
            let mut book = Notebook::parse(&held);
            match edit {
                Edit::Put(key, text) => book.put(key, &text),
                Edit::Remove(key) => book.remove(key),
            }
            held = book.print();
            prop_assert_eq!(&Notebook::parse(&held).own(), &own);
        }
        for key in [A, B, "00000000cc", "00000000dd"] {
            let mut book = Notebook::parse(&held);
            book.remove(key);
            held = book.print();
        }
        let left = Notebook::parse(&held);
        prop_assert!(left.own() == own && left.items().is_empty());
        prop_assert!(!left.is_whole() || held == own, "with the last note the block goes");
    }

    #[test]
    fn a_text_of_ones_own_comes_back_byte_for_byte(text in "[a-z\\r\\n\\t .\u{e4}\u{3000}-]{0,20}", notes in proptest::collection::vec(note(), 1..4)) {
        let mut book = Notebook::parse(&text);
        prop_assert_eq!(book.own(), text.as_str());
        let keys: Vec<String> = (0..notes.len()).map(|at| format!("{at:010x}")).collect();
        for (key, note) in keys.iter().zip(&notes) {
            book = Notebook::parse(&book.print());
            book.put(key, note);
        }
        for key in &keys {
            book = Notebook::parse(&book.print());
            book.remove(key);
        }
        prop_assert_eq!(book.print(), text);
    }
}
