//! Stories from edge to edge, on both databases: the real service, the sandbox, HTTP between them. Each law of the design
//! has its test here; `tests/guards/run` shows that the tests notice when a guard is taken out.

mod bad_input;
mod bench;
mod calls;
mod capabilities;
mod conflicts;
mod creating;
mod deciding;
mod deletions;
mod extension_example;
mod fields;
mod first_run;
mod guests;
mod hardships;
mod intake;
mod invitations;
mod kill;
mod lanes;
mod limits;
mod lost_notes;
mod mission;
mod oauth;
mod oauth_kill;
mod outcomes;
mod pipes;
mod projected;
mod projected_more;
mod proving;
mod quiet;
mod secret_links;
mod series;
mod shares;
mod task_edits;
mod tenants;
mod time_zones;
mod timerex_oauth;

use lockstep::model::{Origin, System};
use lockstep::sandbox::StandIn;
use serde_json::{Value, json};

use crate::support::world::{World, now};

/// A person entered in a system as its pages do it. `timify` names the phone field otherwise.
fn contact(system: &str, name: &str) -> Value {
    let phone = if system == "timify" { "mobilePhone" } else { "phone" };
    let number = name.bytes().fold(10_000_u64, |sum, byte| sum * 31 % 89_999 + u64::from(byte)) + 10_000;
    json!({
        "firstName": name, "lastName": "Sato", "email": email(name), phone: format!("+49151237{number}"),
        "city": "Osaka"
    })
}

fn email(name: &str) -> String {
    format!("{}@example.test", name.to_lowercase())
}

/// A webhook of GHL about a contact, as the vendor sends it, not yet signed.
fn told(world: &World, at: usize, webhook: &str, id: &str, fields: &Value) -> String {
    let app = &world.settings.ghl.app_id;
    let mut body = json!({
        "type": "ContactUpdate", "locationId": world.account(at).ghl_location, "versionId": app, "appId": app, "id": id,
        "timestamp": now().rfc3339(), "webhookId": webhook
    });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body.to_string()
}

/// Sends a body as GHL, signed well.
async fn from_ghl(world: &World, body: &str) -> crate::support::world::Reply {
    let headers = world.signed(StandIn::vendor(System::Ghl), "", "", body);
    world.post("/webhooks/ghl", &headers, body.to_owned()).await
}

/// How many rows webhooks have made.
async fn recorded(world: &World, workspace: &str) -> u64 {
    world.app.store.origins(workspace).await.unwrap().get(&Origin::Webhook).copied().unwrap_or(0)
}
