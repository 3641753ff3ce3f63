//! The list of an agency's locations, and whether the app is installed there: v2 with skip and limit, v3 with page tokens.
//!
//! In: an agency's request. Out: a page. Addresses are empty: the stand-in's locations have none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::installs::must_be_app;
use super::{Ask, Outcome, Said, agency};
use crate::sandbox::Turn;
use crate::sandbox::ghl::Ghl;
use crate::sandbox::ghl::rate::Meter;
use crate::sandbox::ghl::settings::LocationSettings;
use crate::sandbox::ghl::whitelist::{self, Form, Key, opt, req};
use crate::sandbox::web::Params;

/// Locations on a page unless more or fewer are asked for.
const PAGE: usize = 20;

const LIST: &[Key] = &[
    req("companyId", Form::Text),
    req("appId", Form::Text),
    opt("skip", Form::Text),
    opt("limit", Form::Text),
    opt("query", Form::Text),
    opt("isInstalled", Form::Text),
    opt("versionId", Form::Text),
    opt("onTrial", Form::Text),
    opt("planId", Form::Text),
    opt("locationId", Form::Text),
];

const LIST_V3: &[Key] = &[
    req("companyId", Form::Text),
    req("appId", Form::Text),
    opt("pageSize", Form::Text),
    opt("pageToken", Form::Text),
    opt("query", Form::Text),
    opt("isInstalled", Form::Text),
    opt("restrictToUserLocations", Form::Text),
    opt("versionId", Form::Text),
    opt("onTrial", Form::Text),
    opt("planId", Form::Text),
    opt("locationId", Form::Text),
];

/// `GET /oauth/installedLocations`, and its v3 form.
pub(super) fn list(ghl: &mut Ghl, ask: &Ask<'_>, turn: &mut Turn<'_>, meter: &mut Option<Meter>) -> Outcome {
    agency(ghl, ask, "oauth.readonly", turn, meter)?;
    let params = Params::of(ask.request);
    let sent = params.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    whitelist::query(if ask.v3 { LIST_V3 } else { LIST }, &sent)?;
    ghl.must_be_ours(params.get("companyId").unwrap_or_default())?;
    let app = params.get("appId").unwrap_or_default();
    let found: Vec<Value> =
        ghl.settings.locations.iter().filter(|one| wanted(one, &params)).map(|one| shown(ghl, one)).collect();
    if ask.v3 {
        return page_v3(ghl, app, &params, &found);
    }
    must_be_app(ghl, app)?;
    let (skip, limit) = (params.number("skip").unwrap_or(0), params.number("limit").unwrap_or(PAGE));
    let page: Vec<_> = found.iter().skip(skip).take(limit).collect();
    Ok(Said::Traced(200, json!({"locations": page, "count": found.len(), "installToFutureLocations": false})))
}

fn wanted(location: &LocationSettings, params: &Params) -> bool {
    let installed = params.get("isInstalled").map(|wanted| wanted == "true");
    let words = params.get("query").unwrap_or_default().to_lowercase();
    installed.is_none_or(|wanted| wanted == location.installed)
        && params.get("locationId").is_none_or(|id| id == location.id)
        && location.name.to_lowercase().contains(&words)
}

fn shown(ghl: &Ghl, location: &LocationSettings) -> Value {
    let mut shown =
        json!({"_id": location.id, "name": location.name, "address": "", "isInstalled": location.installed});
    if location.installed {
        shown["versionId"] = json!(ghl.settings.app_id);
    }
    if let Some(install) = ghl.installs.get(&Some(location.id.clone())) {
        shown["installedAt"] = json!(install.at.rfc3339());
    }
    shown
}

/// A page under v3, or a refusal in the envelope that v3 has for this route.
fn page_v3(ghl: &Ghl, app: &str, params: &Params, found: &[Value]) -> Outcome {
    if app != ghl.settings.app_id {
        let message = format!("The requested App '{app}' was not found.");
        return Err(aip(404, "RESOURCE_NOT_FOUND", &message, json!({"resource": "App", "identifier": app})));
    }
    let size =
        params.get("pageSize").map_or(Some(PAGE), |size| size.parse().ok().filter(|size| (1..=100).contains(size)));
    let Some(size) = size else {
        return Err(aip(400, "INVALID_ARGUMENT", "pageSize must be between 1 and 100", json!({"field": "pageSize"})));
    };
    let Some(skip) = params.get("pageToken").map_or(Some(0), opened) else {
        return Err(aip(400, "INVALID_ARGUMENT", "pageToken is invalid", json!({"field": "pageToken"})));
    };
    let items: Vec<_> = found.iter().skip(skip).take(size).collect();
    let (next, before) = (skip + items.len() < found.len(), skip > 0);
    let mut pagination = json!({
        "totalRecords": found.len(),
        "hasNextPage": next,
        "hasPrevPage": before,
        "currentPageSize": items.len(),
    });
    if next {
        pagination["nextPageToken"] = json!(sealed(skip + size));
    }
    if before {
        pagination["prevPageToken"] = json!(sealed(skip.saturating_sub(size)));
    }
    Ok(Said::Traced(200, json!({"items": items, "pagination": pagination, "installToFutureLocations": false})))
}

fn aip(status: u16, code: &str, message: &str, details: Value) -> Said {
    let resolution = "Correct the request and send it again.";
    let error = json!({"code": code, "message": message, "details": details, "resolution": resolution});
    Said::Plain(status, json!({ "error": error }))
}

/// A page token says where the page begins.
fn sealed(skip: usize) -> String {
    BASE64.encode(json!({ "skip": skip }).to_string())
}

fn opened(token: &str) -> Option<usize> {
    let text = BASE64.decode(token).ok()?;
    serde_json::from_slice::<Value>(&text).ok()?.get("skip")?.as_u64()?.try_into().ok()
}
