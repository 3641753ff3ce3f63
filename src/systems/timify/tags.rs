//! The tags of a customer as the one text of a custom field, both ways. Pure.
//!
//! Staff type them, too: items stand between commas, semicolons or line ends. We write commas; an item that holds one of
//! those, or a quote, stands in quotes, its own quotes doubled, as in CSV.

use std::collections::BTreeSet;

use crate::model::{Field, Fields, Step};

/// The tags in a text.
pub(super) fn read(text: &str) -> BTreeSet<Field> {
    let mut tags = BTreeSet::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let mut item = String::new();
        let mut quoted = false;
        while let Some(sign) = rest.next() {
            match sign {
                '"' if quoted && rest.peek() == Some(&'"') => item.extend(rest.next()),
                '"' if quoted => quoted = false,
                // A quote inside a word is a sign like any other.
                '"' if item.trim().is_empty() => quoted = true,
                ',' | ';' | '\n' | '\r' if !quoted => break,
                sign => item.push(sign),
            }
        }
        if !item.trim().is_empty() {
            tags.insert(Field::tag(&item));
        }
    }
    tags
}

/// The text that holds these tags.
pub(super) fn print<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = names.into_iter().map(item).collect();
    items.join(", ")
}

fn item(name: &str) -> String {
    if name.contains([',', ';', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

/// The text that holds the whole list as it stands after a step.
pub(super) fn after(step: &Step) -> String {
    let mut whole: Fields = step.whole.clone();
    whole.extend(step.fields.clone());
    print(whole.iter().filter(|(_, value)| value.is_set()).filter_map(|(field, _)| field.as_tag()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        read(text).iter().filter_map(Field::as_tag).map(str::to_owned).collect()
    }

    #[rstest]
    #[case::ours("new client, vip", &["new client", "vip"])]
    #[case::capitals_and_blanks("  VIP ,vip;  New Client ", &["new client", "vip"])]
    #[case::lines("vip\r\nold\nnew", &["new", "old", "vip"])]
    #[case::quoted("\"paris, texas\", vip", &["paris, texas", "vip"])]
    #[case::doubled("\"the \"\"boss\"\"\"", &["the \"boss\""])]
    #[case::inch("12\" pipe, vip", &["12\" pipe", "vip"])]
    #[case::never_closed("\"paris, texas", &["paris, texas"])]
    #[case::nothing(" , ;\n", &[])]
    fn tags_are_read_as_staff_type_them(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(names(text), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(tags in proptest::collection::btree_set("[a-zé ,;\"\n]{0,6}[a-z\",;]", 0..5)) {
            let tags: BTreeSet<Field> = tags.iter().map(|name| Field::tag(name)).collect();
            let written = print(tags.iter().filter_map(Field::as_tag));
            prop_assert_eq!(read(&written), tags);
        }
    }
}
