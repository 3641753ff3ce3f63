//! The nouns of credentials: what a connection shows its vendor.
//!
//! In: the secrets, from wherever they are kept. Out: a [`Login`]. Reading them is left to the configuration and to
//! [`logins`](super::logins), using them to the credentials beside this file.

use crate::model::{System, words};
use crate::secret::Secret;

/// What we show a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// GHL: a Private Integration Token.
    Ghl(Secret),
    /// TIMIFY: the app's id and secret.
    Timify(TimifyLogin),
    /// TimeRex: an api key.
    Timerex(Secret),
}

/// What TIMIFY exchanges for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimifyLogin {
    /// The app's id.
    pub app_id: Secret,
    /// The app's secret.
    pub app_secret: Secret,
}

impl Login {
    /// Puts a system's login together; `part` gives each part that the system asks for, by its name.
    pub fn of<E>(system: System, mut part: impl FnMut(&'static str) -> Result<Secret, E>) -> Result<Self, E> {
        Ok(match system {
            System::Ghl => Self::Ghl(part("token")?),
            System::Timify => Self::Timify(TimifyLogin { app_id: part("app_id")?, app_secret: part("app_secret")? }),
            System::Timerex => Self::Timerex(part("api_key")?),
        })
    }

    /// Its parts, by the names that [`of`](Self::of) asks for.
    pub fn parts(&self) -> Vec<(&'static str, &Secret)> {
        match self {
            Self::Ghl(token) => vec![("token", token)],
            Self::Timify(app) => vec![("app_id", &app.app_id), ("app_secret", &app.app_secret)],
            Self::Timerex(key) => vec![("api_key", key)],
        }
    }
}

words! {
    /// How TIMIFY's token stands in the `Authorization` header: its documents show both, and both occur in working clients.
    TokenScheme {
        /// `Bearer TOKEN` (newer documents).
        Bearer = "bearer",
        /// `TOKEN` (older documents).
        Raw = "raw",
    }
}
