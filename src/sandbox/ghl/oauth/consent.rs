//! The marketplace's page on which a person chooses where to install the app, and what their choice does.
//!
//! In: an authorize URL. Out: a page with one form a location and one for the agency; after the choice the app is installed
//! and the browser sent back with a code. Nobody logs in: whoever opens the page is the user that the settings name.

use std::fmt::Write;

use super::installs::{self, Place};
use super::settings::TargetUser;
use super::{Ask, Outcome, Said};
use crate::sandbox::Turn;
use crate::sandbox::ghl::Ghl;
use crate::sandbox::ghl::rate::Meter;
use crate::sandbox::web::{self, Params};

/// What an authorize URL carries on to the choice.
const CARRIED: &[&str] = &["response_type", "redirect_uri", "client_id", "scope", "state", "version_id"];

/// What an app asks for, found to be in order.
struct Wish {
    redirect: String,
    state: Option<String>,
    scopes: Vec<String>,
}

/// The page.
pub(super) fn page(ghl: &mut Ghl, ask: &Ask<'_>, _: &mut Turn<'_>, _: &mut Option<Meter>) -> Outcome {
    let params = Params::of(ask.request);
    wish(ghl, &params)?;
    Ok(Said::Page(200, choices(ghl, &params)))
}

/// The choice: `account` is a location, or the agency with its `location`s.
pub(super) fn choose(ghl: &mut Ghl, ask: &Ask<'_>, turn: &mut Turn<'_>, _: &mut Option<Meter>) -> Outcome {
    let params = Params::of(ask.request);
    let wish = wish(ghl, &params)?;
    let account = params.get("account").unwrap_or_default();
    let (place, chosen) = match Place::of(ghl, account) {
        Some(Place::Company) => (Place::Company, params.all("location")),
        Some(place) if ghl.settings.client.target == TargetUser::SubAccount => (place, Vec::new()),
        _ => return Err(sorry("there is no such account to install the app in")),
    };
    if chosen.iter().any(|location| ghl.settings.location(location).is_none()) {
        return Err(sorry("there is no such location"));
    }
    for place in [place].into_iter().chain(chosen.into_iter().map(Place::Location)) {
        installs::install(ghl, place, Some(wish.scopes.clone()), turn);
    }
    let grant = ghl.granted(place);
    let until = ghl.code_ends(turn.now);
    let code = ghl.tokens.code(grant, Some(wish.redirect.clone()), until, turn);
    let mut back = format!("{}{}code={code}", wish.redirect, if wish.redirect.contains('?') { '&' } else { '?' });
    if let Some(state) = wish.state {
        let _ = write!(back, "&state={}", web::encoded(&state));
    }
    Ok(Said::Redirect(back))
}

/// Reads an authorize URL, or says what is wrong with it. Only `error.noversionid` is known from the vendor.
fn wish(ghl: &Ghl, params: &Params) -> Result<Wish, Said> {
    let client = &ghl.settings.client;
    if params.get("response_type") != Some("code") {
        return Err(sorry("response_type must be code"));
    }
    if params.get("client_id") != Some(&client.id) {
        return Err(sorry("there is no such client_id"));
    }
    if client.version_id.is_some() && params.get("version_id") != client.version_id.as_deref() {
        return Err(sorry("error.noversionid"));
    }
    let redirect = params.get("redirect_uri").unwrap_or_default().to_owned();
    if !client.redirect_uris.contains(&redirect) {
        return Err(sorry("redirect_uri is none of the app's"));
    }
    let scopes = client.granted(params.get("scope").unwrap_or_default());
    Ok(Wish { redirect, state: params.get("state").map(str::to_owned), scopes })
}

fn sorry(what: &str) -> Said {
    Said::Page(400, format!("<!doctype html><title>Not possible</title><p>{}</p>", web::escaped(what)))
}

/// One form for each location, one for the agency. Links are relative: the stand-in may stand below any path.
fn choices(ghl: &Ghl, params: &Params) -> String {
    let hidden: String = CARRIED
        .iter()
        .filter_map(|name| Some((name, params.get(name)?)))
        .map(|(name, value)| input("hidden", name, value))
        .collect();
    let form = |account: &str, name: &str, inner: &str| {
        format!(
            "<form action=\"chooselocation/choose\" method=\"get\">{hidden}{}{inner}<button>{}</button></form>\n",
            input("hidden", "account", account),
            web::escaped(name)
        )
    };
    let mut page = "<!doctype html><title>Choose a location</title><h1>Where to install the app?</h1>\n".to_owned();
    if ghl.settings.client.target == TargetUser::SubAccount {
        for location in &ghl.settings.locations {
            page.push_str(&form(&location.id, &location.name, ""));
        }
    }
    let choice =
        |id: &str, name: &str| format!("<label>{}{}</label>", input("checkbox", "location", id), web::escaped(name));
    let choices: String = ghl.settings.locations.iter().map(|location| choice(&location.id, &location.name)).collect();
    page.push_str(&form(&ghl.settings.company.id, &ghl.settings.company.name, &choices));
    page
}

fn input(kind: &str, name: &str, value: &str) -> String {
    format!("<input type=\"{kind}\" name=\"{name}\" value=\"{}\">", web::escaped(value))
}
