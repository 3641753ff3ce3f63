//! The wire of a replica into the world, and how long its store takes.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::sightings::Look;
use super::world::{Answered, Caller, Shared, lock};
use crate::clock::{Clock, Sleep};
use crate::sandbox::Request;
use crate::store::memory::Pace;
use crate::systems::{Transport, TransportError};

tokio::task_local! {
    static RECONCILING: ();
}

/// Runs what reconciles: it looks at all that it is shown.
pub async fn reconciling<T>(run: impl Future<Output = T>) -> T {
    RECONCILING.scope((), run).await
}

/// What who asks now looks at: a lane that looks for one object while somebody else reconciles still looks at that one.
fn look(request: &Request) -> Look {
    let reconciles = RECONCILING.try_with(|()| ()).is_ok();
    let path = request.uri().path();
    // GHL's contacts are also listed for the sake of their notes, and then nobody looks at them.
    if (lists(request) && !reconciles) || path.ends_with("/contacts/search") {
        return Look::One;
    }
    let half = |before: &str, after: &str| {
        let id = path.strip_prefix(before)?.strip_suffix(after)?;
        (request.method() == http::Method::GET && !id.contains('/')).then(|| id.to_owned())
    };
    let customer = || half("/timify/v1/customers/", "").filter(|id| id != "customfields").map(Look::Customer);
    let tags = || half("/extension/timify/contacts/", "/tags").map(Look::Tags);
    customer().or_else(tags).unwrap_or(Look::All)
}

/// Whether a request asks for all objects: page by page, or all that a contact has.
fn lists(request: &Request) -> bool {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let pages = query.split('&').any(|part| part.starts_with("limit="));
    let lists = pages || path.ends_with("/tasks") || path.ends_with("/notes");
    (request.method() == http::Method::GET && lists) || path.ends_with("/tasks/search") || path.ends_with("/duplicate")
}

/// A replica's way out, and how long its store takes.
#[derive(Clone)]
pub struct Wire {
    /// The world.
    pub world: Shared,
    /// Whose.
    pub caller: Caller,
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Answered {
        let frozen = {
            let world = lock(&self.world);
            let (now, until) = (world.clock.now(), world.frozen[self.caller.0]);
            (until > now).then(|| world.clock.sleep(until.since(now)))
        };
        if let Some(frozen) = frozen {
            frozen.await;
            // It would be late by more than a create may be, and its connection is closed by now.
            if request.method() == http::Method::POST {
                return Err(TransportError::NotSent("the connection was closed meanwhile".to_owned()));
            }
        }
        let (caller, answer) = oneshot::channel();
        let look = look(&request);
        lock(&self.world).send(request, self.caller, look, caller);
        answer.await.unwrap_or_else(|_| Err(TransportError::NoAnswer("nobody answers".to_owned())))
    }
}

impl Pace for Wire {
    fn pause(&self) -> Option<Sleep> {
        let mut world = lock(&self.world);
        let (now, until) = (world.clock.now(), world.frozen[self.caller.0]);
        if until > now {
            return Some(world.clock.sleep(until.since(now)));
        }
        let waits = world.chance(12);
        waits.then(|| {
            let time = world.ms(1..25);
            world.clock.sleep(time)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(path: &str) -> Request {
        let request = http::Request::get(format!("http://sandbox{path}"));
        request.body(bytes::Bytes::new()).unwrap()
    }

    /// Found by simulation (seed 314300): a lane listed the contacts of an extension to look for one, while a reconcile was
    /// under way elsewhere. That it looked at all of them was not true.
    #[tokio::test]
    async fn only_who_reconciles_looks_at_all_that_is_listed() {
        let list = || look(&asks("/extension/timerex/contacts?limit=100"));
        let read = || look(&asks("/extension/timerex/contacts/contact_1"));
        assert_eq!((list(), read()), (Look::One, Look::All));
        let beside = tokio::spawn(async move { list() });
        let within = reconciling(async { (list(), beside.await.unwrap()) }).await;
        assert_eq!(within, (Look::All, Look::One), "what runs beside a reconcile is none");
    }

    /// Found by simulation (seeds 20026478 and 120014223): a lane searched for one task, or for a contact that it would double,
    /// and was told an edit of another one.
    #[test]
    fn who_searches_for_one_looks_at_no_other() {
        for path in ["/ghl/locations/l1/tasks/search", "/ghl/contacts/search/duplicate?email=a"] {
            assert_eq!(look(&asks(path)), Look::One, "{path}");
        }
    }

    #[test]
    fn a_customer_is_read_in_two_halves() {
        let of = |path| look(&asks(path));
        assert_eq!(of("/timify/v1/customers/c1"), Look::Customer("c1".to_owned()));
        assert_eq!(of("/extension/timify/contacts/c1/tags"), Look::Tags("c1".to_owned()));
        assert_eq!(of("/timify/v1/customers/customfields"), Look::All);
        assert_eq!(of("/extension/timify/contacts/c1/notes/n1"), Look::All);
    }
}
