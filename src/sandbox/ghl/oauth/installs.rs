//! Where the app is installed: installing, uninstalling, and the webhooks that tell of it.
//!
//! In: choices, requests, and edits from the control API. Out: INSTALL and UNINSTALL in the observed shapes, and tokens that
//! end with their install. An agency's uninstall is told once, by its companyId alone. Listing is `listing`'s.

use std::collections::BTreeMap;

use serde_json::json;

use super::tokens::{Grant, Whose};
use super::{Ask, Outcome, Said, count};
use crate::clock::Millis;
use crate::sandbox::ghl::answers::Refusal;
use crate::sandbox::ghl::fields::text;
use crate::sandbox::ghl::rate::Meter;
use crate::sandbox::ghl::whitelist::{self, Form, Key, opt};
use crate::sandbox::ghl::{Ghl, auth, webhooks};
use crate::sandbox::{Edit, EditRefused, Request, Turn};

const UNINSTALL: &[Key] = &[opt("companyId", Form::Text), opt("locationId", Form::Text), opt("reason", Form::Text)];

/// Where an app can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Company,
    Location(&'a str),
}

impl<'a> Place<'a> {
    /// The place that an account's id, or the word `company`, names.
    pub(super) fn of(ghl: &Ghl, account: &'a str) -> Option<Self> {
        if account == "company" || account == ghl.settings.company.id {
            return Some(Self::Company);
        }
        ghl.settings.location(account).map(|_| Self::Location(account))
    }

    fn whose(self) -> Whose<'a> {
        match self {
            Self::Company => Whose::Company,
            Self::Location(id) => Whose::Location(id),
        }
    }

    fn location(self) -> Option<&'a str> {
        match self {
            Self::Company => None,
            Self::Location(id) => Some(id),
        }
    }
}

/// What is known of an install beyond that it is there.
#[derive(Debug, Clone)]
pub(in crate::sandbox::ghl) struct Installed {
    pub(super) at: Millis,
    scopes: Option<Vec<String>>,
}

/// By location; none is the agency.
pub(in crate::sandbox::ghl) type Installs = BTreeMap<Option<String>, Installed>;

impl Ghl {
    /// Whether the app is installed at a place.
    fn has_app(&self, place: Place<'_>) -> bool {
        match place {
            Place::Company => self.settings.company.installed,
            Place::Location(id) => self.settings.location(id).is_some_and(|location| location.installed),
        }
    }

    fn set_app(&mut self, place: Place<'_>, installed: bool) {
        match place {
            Place::Company => self.settings.company.installed = installed,
            Place::Location(id) => {
                if let Some(location) = self.settings.location_mut(id) {
                    location.installed = installed;
                }
            }
        }
    }

    pub(super) fn must_be_installed(&self, place: Place<'_>) -> Result<(), Refusal> {
        if self.has_app(place) { Ok(()) } else { Err(Refusal::bad_request("The app is not installed")) }
    }

    /// Refuses another agency than the token's.
    pub(super) fn must_be_ours(&self, company: &str) -> Result<(), Refusal> {
        if company == self.settings.company.id { Ok(()) } else { Err(Refusal::forbidden("Forbidden resource")) }
    }

    /// What an install grants: what was asked for when it was made, or all that the app may have.
    pub(super) fn granted(&self, place: Place<'_>) -> Grant {
        let location = place.location();
        let asked = self.installs.get(&location.map(str::to_owned)).and_then(|install| install.scopes.clone());
        let scopes = asked.unwrap_or_else(|| self.settings.client.granted(""));
        Grant { location: location.map(str::to_owned), scopes, user: self.installer(place) }
    }

    fn installer(&self, place: Place<'_>) -> String {
        let location = place.location().and_then(|id| self.settings.location(id));
        location.map_or_else(|| self.settings.company.user.clone(), |location| location.user.clone())
    }

    /// Whom the bearer of a request speaks for.
    pub(super) fn bearer(&self, request: &Request, now: Millis) -> Option<&Grant> {
        self.tokens.bearer(auth::bearer(request.headers())?, now)
    }
}

/// Installs the app and tells of it; without `scopes`, nobody has granted any by OAuth.
pub(super) fn install(ghl: &mut Ghl, place: Place<'_>, scopes: Option<Vec<String>>, turn: &mut Turn<'_>) {
    ghl.set_app(place, true);
    ghl.installs.insert(place.location().map(str::to_owned), Installed { at: turn.now, scopes });
    let company = &ghl.settings.company;
    let (account, payload) = match place {
        Place::Company => (company.id.clone(), json!({"installType": "Company", "companyId": company.id, "trial": {}})),
        Place::Location(id) => {
            let payload = json!({
                "installType": "Location",
                "locationId": id,
                "companyId": company.id,
                "userId": ghl.installer(place),
                "companyName": company.name,
                "isWhitelabelCompany": false,
                "whitelabelDetails": {"logoUrl": "", "domain": ""},
                "trial": {},
            });
            (id.to_owned(), payload)
        }
    };
    webhooks::app(ghl, "INSTALL", &account, payload, turn);
}

/// Takes the app out and tells of it; its tokens end. An agency's goes with those of all its locations.
fn uninstall(ghl: &mut Ghl, place: Place<'_>, turn: &mut Turn<'_>) {
    ghl.set_app(place, false);
    // An agency's install carries those of its locations.
    ghl.tokens.end(if place == Place::Company { Whose::All } else { place.whose() });
    let (key, account) = match place {
        Place::Location(id) => {
            ghl.installs.remove(&Some(id.to_owned()));
            ("locationId", id.to_owned())
        }
        Place::Company => {
            ghl.installs.clear();
            ghl.settings.locations.iter_mut().for_each(|location| location.installed = false);
            ("companyId", ghl.settings.company.id.clone())
        }
    };
    webhooks::app(ghl, "UNINSTALL", &account, json!({ key: account }), turn);
}

/// `DELETE /marketplace/app/{appId}/installations`: a location's token takes out its own, an agency's all, or one.
pub(super) fn delete(ghl: &mut Ghl, ask: &Ask<'_>, turn: &mut Turn<'_>, meter: &mut Option<Meter>) -> Outcome {
    auth::version_or_v3(ask.request.headers())?;
    let caller = auth::caller(ghl, ask.request.headers(), turn.now)?;
    caller.must_have("oauth.write")?;
    count(ghl, &caller.resource(&ghl.settings), turn, meter)?;
    whitelist::body(UNINSTALL, &ask.body)?;
    must_be_app(ghl, &ask.ids[0])?;
    let (company, location) = (text(&ask.body, "companyId"), text(&ask.body, "locationId"));
    let place = match (caller.is_agency(), company, location) {
        (true, "", "") => return Err(absent("companyId")),
        (false, _, "") => return Err(absent("locationId")),
        (true, _, "") => Place::Company,
        (_, _, location) => Place::Location(location),
    };
    if !company.is_empty() {
        ghl.must_be_ours(company)?;
    }
    if let Place::Location(location) = place {
        caller.must_reach(location)?;
    }
    ghl.must_be_installed(place)?;
    uninstall(ghl, place, turn);
    Ok(Said::Traced(200, json!({"success": true})))
}

fn absent(key: &str) -> Said {
    Refusal::unprocessable(vec![format!("{key} should not be empty")]).into()
}

pub(super) fn must_be_app(ghl: &Ghl, app: &str) -> Result<(), Refusal> {
    if app == ghl.settings.app_id { Ok(()) } else { Err(Refusal::unknown("App", app)) }
}

/// What people do to an app and an account, as the control API takes it; `None` for edits of other kinds. The account is a
/// location, the agency (its id, or `company`), or, where tokens end, empty for all.
///
/// | kind | action | does |
/// | --- | --- | --- |
/// | `app` | `install` | installs from the marketplace, without OAuth: INSTALL and nothing else |
/// | `app` | `uninstall` | ends the tokens, sends UNINSTALL |
/// | `location` | `deactivate`, `activate` | pauses the location, and back |
/// | `token` | `expire` | ends access tokens |
/// | `token` | `invalidate` | ends refresh tokens |
pub(in crate::sandbox::ghl) fn edit(
    ghl: &mut Ghl,
    edit: &Edit,
    turn: &mut Turn<'_>,
) -> Option<Result<String, EditRefused>> {
    let (kind, action, account) = (edit.kind.as_str(), edit.action.as_str(), edit.account.as_str());
    if !matches!(kind, "app" | "location" | "token") {
        return None;
    }
    let place = Place::of(ghl, account);
    let whose = if account.is_empty() { Some(Whose::All) } else { place.map(Place::whose) };
    match (kind, action, place, whose) {
        ("app", "install", Some(place), _) => install(ghl, place, None, turn),
        ("app", "uninstall", Some(place), _) if ghl.has_app(place) => uninstall(ghl, place, turn),
        ("location", "activate", Some(Place::Location(id)), _) => set_active(ghl, id, true),
        ("location", "deactivate", Some(Place::Location(id)), _) => set_active(ghl, id, false),
        ("token", "expire", _, Some(whose)) => ghl.tokens.expire(whose),
        ("token", "invalidate", _, Some(whose)) => ghl.tokens.invalidate(whose),
        _ => return Some(Err(EditRefused(format!("cannot {action} the {kind} of `{account}`")))),
    }
    Some(Ok(account.to_owned()))
}

fn set_active(ghl: &mut Ghl, id: &str, active: bool) {
    if let Some(location) = ghl.settings.location_mut(id) {
        location.active = active;
    }
}
