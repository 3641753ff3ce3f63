//! The three systems and the four kinds of object.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in configuration, routes, rows and logs.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { f.write_str(self.word()) }
        }

        impl ::std::str::FromStr for $name {
            type Err = crate::model::UnknownWord;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(crate::model::UnknownWord::new(stringify!($name), other)),
                }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// A system that Lockstep keeps equal with the others.
    System {
        /// GoHighLevel, the CRM.
        Ghl = "ghl",
        /// TIMIFY, a booking tool.
        Timify = "timify",
        /// TimeRex, a booking tool.
        Timerex = "timerex",
    }
}

words! {
    /// A kind of object. Tags are a set field of a contact.
    Kind {
        /// A person.
        Contact = "contact",
        /// A thing to do, belonging to a contact.
        Task = "task",
        /// A text about a contact.
        Note = "note",
        /// A booking.
        Appointment = "appointment",
    }
}

/// A word that none of ours is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a {what}")]
pub struct UnknownWord {
    what: &'static str,
    word: String,
}

impl UnknownWord {
    pub(crate) fn new(what: &'static str, word: &str) -> Self {
        Self { what, word: word.to_owned() }
    }
}
