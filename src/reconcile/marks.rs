//! Where the pages of one list start. A list that does not end is the vendor's fault, and must not be followed for ever.
//!
//! In: the mark that each page gives of the next. Out: whether there is another page; an error where a mark comes again, or
//! where there are more pages than any account has. Marks can be long, and many: of those that were followed only a hash is kept.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::System;
use crate::systems::SystemError;

/// Pages of one list, a call each: GHL takes no more in a day, and lists the notes of one contact a page.
const PAGES: usize = 200_000;

/// The marks that were followed.
#[derive(Debug, Default)]
pub(super) struct Marks {
    followed: BTreeSet<u64>,
    last: Option<String>,
}

impl Marks {
    /// The mark of the page to ask for; `None`: the first.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Takes the next mark; `false`: that was the last page.
    pub(super) fn go_on(&mut self, system: System, next: Option<String>) -> Result<bool, SystemError> {
        let Some(next) = next else { return Ok(false) };
        let mut hasher = DefaultHasher::new();
        next.hash(&mut hasher);
        if self.followed.len() >= PAGES || !self.followed.insert(hasher.finish()) {
            return Err(SystemError::Garbled { system, status: 200, reason: "a list that does not end".to_owned() });
        }
        self.last = Some(next);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_no_mark_is_given_and_a_mark_that_comes_again_is_an_error() {
        let mut marks = Marks::default();
        let mut go_on = |next: Option<&str>| marks.go_on(System::Ghl, next.map(str::to_owned)).ok();
        assert_eq!([go_on(Some("a")), go_on(Some("b")), go_on(None)], [Some(true), Some(true), Some(false)]);
        assert_eq!(go_on(Some("a")), None, "two pages that name each other");
    }

    #[test]
    fn a_list_of_ever_new_marks_ends_too() {
        let mut marks = Marks::default();
        let followed = (0..).take_while(|page: &usize| marks.go_on(System::Ghl, Some(page.to_string())).is_ok());
        assert_eq!(followed.count(), PAGES);
    }
}
