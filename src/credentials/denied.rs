//! Scopes that a vendor said are not granted, each remembered for an hour: long enough that not each call finds out again,
//! short enough that a scope granted since is noticed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Millis};

/// How long a denial is believed.
const BELIEVED: Duration = Duration::from_hours(1);

/// The denials of one credential.
pub struct Denied {
    clock: Arc<dyn Clock>,
    until: Mutex<BTreeMap<String, Millis>>,
}

impl Denied {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, until: Mutex::default() }
    }

    /// Remembers one.
    pub fn add(&self, scope: &str) {
        let until = self.clock.now() + BELIEVED;
        self.all().insert(scope.to_owned(), until);
    }

    /// Whether this scope was denied within the hour.
    pub fn has(&self, scope: &str) -> bool {
        let now = self.clock.now();
        self.all().get(scope).is_some_and(|until| now < *until)
    }

    /// Forgets all: the credential is another one now.
    pub fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Millis>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Denied").field(&*self.all()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_denial_is_believed_for_an_hour_and_for_its_scope_only() {
        let clock = Arc::new(ManualClock::at(Millis(0)));
        let denied = Denied::new(clock.clone());
        denied.add("contacts.write");
        clock.advance(Duration::from_mins(59));
        assert!(denied.has("contacts.write") && !denied.has("contacts.readonly"));
        clock.advance(Duration::from_mins(1));
        assert!(!denied.has("contacts.write"));
        denied.add("contacts.write");
        denied.clear();
        assert!(!denied.has("contacts.write"));
    }
}
