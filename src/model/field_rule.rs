//! Field rules: how rival edits of one field are settled, and which rule makes sense for which field.

use std::collections::BTreeMap;

use super::{Field, Kind, System, words};

words! {
    /// How rival edits of a field are settled. Edits are rivals when neither author saw the other's.
    FieldRule {
        /// The later one wins.
        Newest = "newest",
        /// What GHL says wins over what other systems say, whatever the time.
        PreferGhl = "prefer_ghl",
        /// What TIMIFY says wins.
        PreferTimify = "prefer_timify",
        /// What TimeRex says wins.
        PreferTimerex = "prefer_timerex",
        /// A clearing never wins over a value.
        NeverBlank = "never_blank",
        /// Lists: what either added is there, what either took out is not. Tags: a removal never wins over presence.
        Union = "union",
        /// Long texts: the newer is put below the older.
        Append = "append",
        /// A person decides.
        Hold = "hold",
    }
}

impl FieldRule {
    /// The system whose word counts more than that of the others.
    pub fn preferred(self) -> Option<System> {
        match self {
            Self::PreferGhl => Some(System::Ghl),
            Self::PreferTimify => Some(System::Timify),
            Self::PreferTimerex => Some(System::Timerex),
            Self::Newest | Self::NeverBlank | Self::Union | Self::Append | Self::Hold => None,
        }
    }
}

/// The name that stands for all tags of a contact.
pub const TAGS: &str = "tags";

/// What the values of a field are like, as far as rules care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It always has a value.
    Fixed,
    /// One value, which may be cleared.
    Single,
    /// A text of several lines.
    Long,
    /// Tags.
    Tags,
    /// A custom field may be anything.
    Free,
}

impl Form {
    /// Why a rule makes no sense for such a field.
    fn refuses(self, rule: FieldRule) -> Option<&'static str> {
        match (rule, self) {
            (FieldRule::NeverBlank, Self::Fixed) => Some("is never blank anyway"),
            (FieldRule::Union, Self::Fixed | Self::Single | Self::Long) => Some("is no list"),
            (FieldRule::Append, Self::Fixed | Self::Single | Self::Tags) => Some("is no long text"),
            _ => None,
        }
    }
}

/// The fields that may have a rule of their own, by the names that they have in the configuration.
const FIELDS: &[(Kind, &str, Form)] = &[
    (Kind::Contact, "first_name", Form::Single),
    (Kind::Contact, "last_name", Form::Single),
    (Kind::Contact, "email", Form::Single),
    (Kind::Contact, "phone", Form::Single),
    (Kind::Contact, "address", Form::Single),
    (Kind::Contact, "city", Form::Single),
    (Kind::Contact, "state", Form::Single),
    (Kind::Contact, "postal_code", Form::Single),
    (Kind::Contact, "country", Form::Single),
    (Kind::Contact, "birthday", Form::Single),
    (Kind::Contact, "business", Form::Single),
    (Kind::Contact, "status", Form::Single),
    (Kind::Contact, TAGS, Form::Tags),
    (Kind::Task, "title", Form::Single),
    (Kind::Task, "body", Form::Long),
    (Kind::Task, "due", Form::Single),
    (Kind::Task, "completed", Form::Fixed),
    (Kind::Note, "body", Form::Long),
    (Kind::Appointment, "title", Form::Single),
    (Kind::Appointment, "calendar", Form::Fixed),
    (Kind::Appointment, "start", Form::Fixed),
    (Kind::Appointment, "end", Form::Fixed),
    (Kind::Appointment, "status", Form::Fixed),
];

/// The rules of a workspace's fields; a field that is not in it goes by `newest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldRules(BTreeMap<(Kind, String), FieldRule>);

impl FieldRules {
    /// All fields by `newest`.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The names that fields of a kind have in the configuration, besides `custom:NAME`.
    pub fn names(kind: Kind) -> impl Iterator<Item = &'static str> {
        FIELDS.iter().filter(move |(of, ..)| *of == kind).map(|(_, name, _)| *name)
    }

    /// Why a rule makes no sense for a field; `None`: it does.
    pub fn mistake(kind: Kind, name: &str, rule: FieldRule) -> Option<String> {
        let listed = FIELDS.iter().find(|(of, listed, _)| *of == kind && *listed == name).map(|(.., form)| *form);
        let free = (kind == Kind::Contact && name.starts_with("custom:")).then_some(Form::Free);
        match listed.or(free) {
            None => Some(format!("is no field of a {kind}")),
            Some(form) => form.refuses(rule).map(|why| format!("`{rule}` makes no sense here: the field {why}")),
        }
    }

    /// Gives a field a rule; `name`: as in the configuration.
    pub fn set(&mut self, kind: Kind, name: &str, rule: FieldRule) {
        if rule == FieldRule::Newest {
            self.0.remove(&(kind, name.to_owned()));
        } else {
            self.0.insert((kind, name.to_owned()), rule);
        }
    }

    /// The rule of a field.
    pub fn of(&self, kind: Kind, field: &Field) -> FieldRule {
        if self.0.is_empty() {
            return FieldRule::Newest;
        }
        let name = if field.as_tag().is_some() { TAGS } else { field.name() };
        self.0.get(&(kind, name.to_owned())).copied().unwrap_or(FieldRule::Newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn the_names_are_those_of_fields() {
        for (_, name, _) in FIELDS.iter().filter(|(_, name, _)| *name != TAGS) {
            assert!(Field::parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn all_tags_go_by_one_rule_and_what_has_none_by_the_newest() {
        let mut rules = FieldRules::new();
        rules.set(Kind::Contact, TAGS, FieldRule::Union);
        rules.set(Kind::Contact, "custom:hats", FieldRule::Append);
        let of = |field: &Field| rules.of(Kind::Contact, field);
        assert_eq!((of(&Field::tag("a")), of(&Field::tag("b"))), (FieldRule::Union, FieldRule::Union));
        assert_eq!((of(&Field::custom("hats")), of(&Field::PHONE)), (FieldRule::Append, FieldRule::Newest));
        assert_eq!(rules.of(Kind::Task, &Field::tag("a")), FieldRule::Newest);
        rules.set(Kind::Contact, TAGS, FieldRule::Newest);
        rules.set(Kind::Contact, "custom:hats", FieldRule::Newest);
        assert_eq!(rules, FieldRules::default());
    }

    #[rstest]
    #[case(Kind::Contact, "phone", FieldRule::PreferGhl, None)]
    #[case(Kind::Contact, "phone", FieldRule::NeverBlank, None)]
    #[case(Kind::Contact, "tags", FieldRule::Union, None)]
    #[case(Kind::Contact, "custom:hats", FieldRule::Union, None)]
    #[case(Kind::Note, "body", FieldRule::Append, None)]
    #[case(Kind::Appointment, "start", FieldRule::Hold, None)]
    #[case(Kind::Contact, "status", FieldRule::Union, Some("is no list"))]
    #[case(Kind::Task, "due", FieldRule::Append, Some("is no long text"))]
    #[case(Kind::Contact, "tags", FieldRule::Append, Some("is no long text"))]
    #[case(Kind::Appointment, "end", FieldRule::NeverBlank, Some("never blank"))]
    #[case(Kind::Contact, "body", FieldRule::Newest, Some("is no field of a contact"))]
    #[case(Kind::Task, "custom:hats", FieldRule::Newest, Some("is no field of a task"))]
    fn a_rule_makes_sense_or_not(
        #[case] kind: Kind,
        #[case] name: &str,
        #[case] rule: FieldRule,
        #[case] expected: Option<&str>,
    ) {
        let mistake = FieldRules::mistake(kind, name, rule);
        assert_eq!(mistake.is_some(), expected.is_some(), "{mistake:?}");
        assert!(mistake.unwrap_or_default().contains(expected.unwrap_or_default()));
    }
}
