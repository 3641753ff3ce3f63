//! An appointment never moves by being mirrored: on the days when clocks change, east and west of Greenwich, whatever offset
//! a system writes an instant with.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lockstep::clock::Millis;
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

/// Places with the local times at which an appointment might slip: around both changes of the clock, the hour that is there
/// twice, midnight, a date that is another one in UTC.
const WHERE: &[(&str, &[&str])] = &[
    (
        "America/New_York",
        &[
            "2027-03-14T01:30",
            "2027-03-14T03:00",
            "2027-11-07T00:30",
            "2027-11-07T01:30",
            "2027-11-07T02:30",
            "2027-07-04T23:45",
        ],
    ),
    (
        "Europe/Berlin",
        &["2027-03-28T01:45", "2027-03-28T03:00", "2027-10-31T02:30", "2027-10-31T03:00", "2027-01-01T00:00"],
    ),
    ("Asia/Tokyo", &["2027-03-28T02:30", "2027-06-01T08:55", "2027-12-31T23:30"]),
    ("Asia/Kathmandu", &["2027-05-05T09:10"]),
];

/// The instant of a local time; of an hour that is there twice, the first.
fn instant(zone: &TimeZone, local: &str) -> Millis {
    let local: DateTime = local.parse().unwrap();
    Millis(local.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond())
}

/// As a system in that zone writes it: local time with its offset.
fn with_offset(zone: &TimeZone, at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap().to_zoned(zone.clone());
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A workspace for each place.
async fn world(place: &mut Place) -> World {
    let mut plan = Plan::of(WHERE.len());
    let zones = || WHERE.iter().map(|(zone, _)| *zone);
    for (zone, location) in zones().zip(&mut plan.settings.ghl.locations) {
        zone.clone_into(&mut location.timezone);
    }
    for (zone, team) in zones().zip(&mut plan.settings.timerex.teams) {
        zone.clone_into(&mut team.calendars[0].timezone);
    }
    plan.start(place).await
}

/// First and last instant of each appointment that a system shows by this title.
async fn spans(world: &World, at: usize, system: &str, title: &str) -> Vec<(Millis, Millis)> {
    let (state, account) = (world.state().await, world.account(at));
    let (all, start, end) = match system {
        "ghl" => (&state["ghl"]["appointments"], "/startTime", "/endTime"),
        _ => (&state["timify"][&account.timify_company]["appointments"], "/startDate", "/bookings/0/interval/end"),
    };
    let all: Vec<&Value> =
        all.as_object().map_or_else(|| all.as_array().into_iter().flatten().collect(), |map| map.values().collect());
    let read = |one: &Value, pointer: &str| {
        let text = one.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {one}"));
        Millis::parse(text).unwrap_or_else(|| panic!("{text}"))
    };
    let ours = |one: &&&Value| {
        one["title"] == title && (system != "ghl" || one["locationId"] == account.ghl_location.as_str())
    };
    all.iter().filter(ours).map(|one| (read(one, start), read(one, end))).collect()
}

async fn an_appointment_of_ghl_or_timify_stands_at_the_same_instant_everywhere(place: &mut Place) {
    let world = world(place).await;
    for (at, (name, times)) in WHERE.iter().enumerate() {
        let zone = TimeZone::get(name).unwrap();
        let ghl = world.edit(at, "ghl", "create contact", json!({ "fields": contact("ghl", "Kai") })).await;
        world.settle().await;
        let account = world.account(at).clone();
        let customer = world.everywhere(at, &email("Kai")).await[1].id.clone();
        for (number, local) in times.iter().enumerate() {
            let start = instant(&zone, local);
            let after = |minutes: i64| Millis(start.0 + minutes * 60_000);
            let end = after(45);
            let (here, there) = (format!("{name} {number} GHL"), format!("{name} {number} TIMIFY"));
            let fields = json!({
                "calendarId": account.ghl_calendar, "title": here,
                "startTime": with_offset(&zone, start), "endTime": with_offset(&zone, end),
            });
            let id = world.edit(at, "ghl", "create appointment", json!({ "parent": ghl, "fields": fields })).await;
            let fields = json!({
                "startDate": after(50).rfc3339(), "duration": 20, "title": there, "customer_id": customer,
                "service_id": account.timify_service, "resource_ids": [account.timify_resource],
            });
            world.edit(at, "timify", "create appointment", json!({ "fields": fields })).await;
            world.settle().await;
            for (title, span) in [(&here, (start, end)), (&there, (after(50), after(70)))] {
                for system in ["ghl", "timify"] {
                    assert_eq!(spans(&world, at, system, title).await, [span], "{title} of {local} in {system}");
                }
            }
            let renamed = format!("{here} again");
            world.edit(at, "ghl", "update appointment", json!({ "id": id, "fields": { "title": renamed } })).await;
            world.settle().await;
            for system in ["ghl", "timify"] {
                assert_eq!(
                    spans(&world, at, system, &renamed).await,
                    [(start, end)],
                    "a new title moves nothing in {system}"
                );
            }
        }
    }
    let mark = world.mark().await;
    world.reconcile().await;
    world.settle().await;
    assert_eq!(world.writes(mark).await, [""; 0], "comparing moves nothing");
    world.stop().await;
}

async fn a_guests_booking_stands_at_the_same_instant_everywhere(place: &mut Place) {
    let world = world(place).await;
    for (at, (name, times)) in WHERE.iter().enumerate() {
        let zone = TimeZone::get(name).unwrap();
        for (number, local) in times.iter().enumerate() {
            let start = instant(&zone, local);
            let fields = json!({
                "calendar": world.account(at).timerex_calendar, "start_datetime": start.rfc3339(),
                "guest_name": format!("Guest {number}"), "guest_email": format!("guest{number}@example.test"),
            });
            world.edit(at, "timerex", "create appointment", json!({ "fields": fields })).await;
            world.settle().await;
            for system in ["ghl", "timify"] {
                let found = spans(&world, at, system, "Consultation").await;
                let expected = (start, Millis(start.0 + 30 * 60_000));
                assert!(
                    found.contains(&expected) && found.len() == number + 1,
                    "{name} {local} in {system}: {found:?}"
                );
            }
        }
    }
    world.stop().await;
}

on_both!(
    Place: an_appointment_of_ghl_or_timify_stands_at_the_same_instant_everywhere,
    a_guests_booking_stands_at_the_same_instant_everywhere,
);
