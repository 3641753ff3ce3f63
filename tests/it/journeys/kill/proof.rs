//! What must hold after the kills, from what the stand-ins and the database say. The service is not asked.
//!
//! Each check gives what differs, in lines for people; nothing differs, nothing is said.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::clock::Millis;
use lockstep::sandbox::settings::Workspace;
use serde_json::Value;

use super::Kill;
use super::load::{Person, Told};
use crate::support::ledger::Ledger;

/// Law 1: what was answered 2xx is a row; by its id where the sender gives one, by its body where not.
pub async fn accounted_for(deliveries: &Value, ledger: &Ledger) -> Vec<String> {
    let changes = ledger.changes().await;
    let bodies: BTreeSet<String> =
        changes.iter().map(|(_, body)| hex::encode(lockstep::secret::digest(body))).collect();
    let keys: BTreeSet<&str> = changes.iter().filter_map(|(key, _)| key.rsplit('/').next()).collect();
    let mut differ = Vec::new();
    for delivery in deliveries["deliveries"].as_array().unwrap() {
        let name = format!("{} {} {}", delivery["system"], delivery["type"], delivery["id"]);
        if delivery["state"] != "delivered" {
            differ.push(format!("webhook {name} is {}", delivery["state"]));
        }
        let acknowledged = delivery["attempts"].as_array().unwrap().iter().any(|one| {
            let status = one["status"].as_u64().unwrap_or(0);
            (200..300).contains(&status)
        });
        let has_id = delivery["system"] == "ghl" || delivery["extension"] == true;
        let recorded = bodies.contains(delivery["body_sha256"].as_str().unwrap())
            && (!has_id || keys.contains(delivery["id"].as_str().unwrap()));
        if acknowledged && !recorded {
            differ.push(format!("webhook {name} was acknowledged and is not in the change log"));
        }
    }
    for (what, sql) in [
        (
            "changes without a verdict",
            "SELECT COUNT(*) FROM change_log c LEFT JOIN verdicts v ON v.change_id = c.id WHERE v.change_id IS NULL",
        ),
        ("rows left in the inbox", "SELECT COUNT(*) FROM inbox"),
        (
            "changes unparsed or unrouted",
            "SELECT COUNT(*) FROM change_log WHERE standing NOT IN ('routed', 'not_mirrored')",
        ),
        ("mirrors parked or held", "SELECT COUNT(*) FROM mirrors WHERE state IN ('parked', 'held')"),
        ("mirrors still due", "SELECT COUNT(*) FROM mirrors WHERE state = 'due'"),
        ("calls still open", "SELECT COUNT(*) FROM links WHERE sent IS NOT NULL"),
        ("intents still open", "SELECT COUNT(*) FROM mirrors WHERE intent IS NOT NULL"),
        ("open reviews", "SELECT COUNT(*) FROM reviews WHERE closed IS NULL"),
    ] {
        let count = ledger.count(sql).await;
        if count > 0 {
            differ.push(format!("{count} {what}"));
        }
    }
    let reasons = "SELECT m.system || ' ' || e.kind || ' ' || COALESCE(m.reason, '') FROM mirrors m \
                   JOIN entities e ON e.id = m.entity WHERE m.state IN ('parked', 'held', 'due')";
    differ.extend(ledger.texts(reasons).await.into_iter().map(|reason| format!("held up: {reason}")));
    differ
}

/// Writes that said the same twice, each with the kill between the two. No kill between them, or more than that kill
/// left open: that differs.
pub fn repeats(requests: &Value, kills: &[Kill]) -> (usize, Vec<String>) {
    let mut writes: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
    for row in requests["requests"].as_array().unwrap().iter().filter(|row| row["write"] == true) {
        let extension = if row["extension"] == true { "+" } else { "" };
        let text = |key: &str| row[key].as_str().unwrap();
        let call = format!("{}{extension} {} {}", text("system"), text("method"), text("path"));
        let at = row["at"].as_i64().unwrap();
        writes.entry((call, text("body_sha256").to_owned())).or_default().push(at);
    }
    let (mut count, mut of_kill, mut differ) = (0, BTreeMap::<usize, usize>::new(), Vec::new());
    for ((call, _), times) in &writes {
        for pair in times.windows(2) {
            count += 1;
            match kills.iter().rposition(|kill| pair[0] <= kill.at.0 && kill.at.0 <= pair[1]) {
                Some(kill) => *of_kill.entry(kill).or_default() += 1,
                None => differ.push(format!("{call} was made twice without a kill, {} ms apart", pair[1] - pair[0])),
            }
        }
    }
    for (kill, repeated) in of_kill {
        let open = kills[kill].creates + kills[kill].writes;
        if repeated > open {
            differ.push(format!("kill {kill} left {open} calls open, and {repeated} were repeated"));
        }
    }
    (count, differ)
}

/// One system as it holds things: contacts with their tags, and what hangs on them by the contact's e-mail.
#[derive(Default)]
struct Side {
    name: &'static str,
    people: BTreeMap<String, Vec<Person>>,
    tasks: BTreeMap<String, Vec<(String, bool)>>,
    notes: BTreeMap<String, Vec<String>>,
    bookings: BTreeMap<i64, Vec<String>>,
}

/// No object was made twice, none is missing, and every value is the one that was said last.
pub fn disagreements(state: &Value, account: &Workspace, told: &Told) -> Vec<String> {
    let mut differ = Vec::new();
    for side in [ghl(state), timify(state, account), timerex(state, account)] {
        let everybody = side.name != "timerex";
        let is_there = |email: &String| everybody || told.people[email].booked;
        let expected = |wanted: bool| usize::from(wanted);
        for (email, person) in &told.people {
            let held = side.people.get(email).cloned().unwrap_or_default();
            if held.len() != expected(is_there(email)) {
                differ.push(format!("{}: {} contacts {email}", side.name, held.len()));
            }
            let wanted = Person { booked: false, ..person.clone() };
            differ.extend(
                held.iter()
                    .filter(|one| **one != wanted)
                    .map(|one| format!("{}: {email} is {one:?}, said was {wanted:?}", side.name)),
            );
        }
        for (title, (email, completed)) in &told.tasks {
            let held = side.tasks.get(title).cloned().unwrap_or_default();
            let wanted = vec![(email.clone(), *completed); expected(is_there(email))];
            differ.extend((held != wanted).then(|| format!("{}: {title} is {held:?}, not {wanted:?}", side.name)));
        }
        for (text, email) in &told.notes {
            let held = side.notes.get(text).cloned().unwrap_or_default();
            let wanted = vec![email.clone(); expected(is_there(email))];
            differ.extend((held != wanted).then(|| format!("{}: {text} is {held:?}, not {wanted:?}", side.name)));
        }
        for (start, email) in &told.bookings {
            let held = side.bookings.get(start).cloned().unwrap_or_default();
            let at = Millis(*start);
            differ.extend((held != [email.clone()]).then(|| format!("{}: at {at} {held:?}, not {email}", side.name)));
        }
        let more = |what: &str, held: usize, told: usize| {
            (held > told).then(|| format!("{}: {held} {what}, said were {told}", side.name))
        };
        differ.extend(more("contacts", side.people.len(), told.people.len()));
        differ.extend(more("tasks", side.tasks.len(), told.tasks.len()));
        differ.extend(more("notes", side.notes.len(), told.notes.len()));
        differ.extend(more("bookings", side.bookings.len(), told.bookings.len()));
    }
    differ
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn instant(value: &Value) -> i64 {
    value.as_str().and_then(Millis::parse).map_or(0, |at| at.0)
}

/// Objects, whether listed by id or as a list.
fn objects(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(map) => map.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    }
}

fn tags(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn ghl(state: &Value) -> Side {
    let ghl = &state["ghl"];
    let mut side = Side { name: "ghl", ..Side::default() };
    let mut emails = BTreeMap::new();
    for one in objects(&ghl["contacts"]) {
        emails.insert(text(&one["id"]), text(&one["email"]));
        side.people.entry(text(&one["email"])).or_default().push(Person {
            first: text(&one["firstName"]),
            last: text(&one["lastName"]),
            phone: text(&one["phone"]),
            city: text(&one["city"]),
            tags: tags(&one["tags"]),
            booked: false,
        });
    }
    hang(&mut side, ghl, "body", &emails);
    for one in objects(&ghl["appointments"]) {
        let whose = emails.get(&text(&one["contactId"])).cloned().unwrap_or_default();
        side.bookings.entry(instant(&one["startTime"])).or_default().push(whose);
    }
    side
}

fn timify(state: &Value, account: &Workspace) -> Side {
    let timify = &state["timify"][&account.timify_company];
    let beside = &state["extension"]["timify"][&account.timify_company];
    let mut side = Side { name: "timify", ..Side::default() };
    let mut emails = BTreeMap::new();
    for one in objects(&timify["customers"]) {
        let plain = &one["plain"];
        emails.insert(text(&one["id"]), text(&plain["email"]));
        let tagged = objects(&beside["contacts"]).into_iter().find(|contact| contact["id"] == one["id"]);
        side.people.entry(text(&plain["email"])).or_default().push(Person {
            first: text(&plain["firstName"]),
            last: text(&plain["lastName"]),
            phone: text(&plain["mobilePhone"]),
            city: text(&plain["city"]),
            tags: tagged.map(|contact| tags(&contact["tags"])).unwrap_or_default(),
            booked: false,
        });
    }
    hang(&mut side, beside, "content", &emails);
    for one in objects(&timify["appointments"]) {
        let whose = emails.get(&text(&one["customers"][0]["id"])).cloned().unwrap_or_default();
        side.bookings.entry(instant(&one["startDate"])).or_default().push(whose);
    }
    side
}

fn timerex(state: &Value, account: &Workspace) -> Side {
    let timerex = &state["timerex"][&account.timerex_team];
    let beside = &state["extension"]["timerex"][&account.timerex_team];
    let mut side = Side { name: "timerex", ..Side::default() };
    let mut emails = BTreeMap::new();
    for one in objects(&beside["contacts"]) {
        emails.insert(text(&one["id"]), text(&one["email"]));
        side.people.entry(text(&one["email"])).or_default().push(Person {
            first: text(&one["firstName"]),
            last: text(&one["lastName"]),
            phone: text(&one["phone"]),
            city: text(one.pointer("/address/city").unwrap_or(&Value::Null)),
            tags: tags(&one["tags"]),
            booked: false,
        });
    }
    hang(&mut side, beside, "content", &emails);
    for one in objects(&timerex["appointments"]).into_iter().filter(|one| one["status"] == "confirmed") {
        side.bookings.entry(instant(&one["start_datetime"])).or_default().push(text(&one["guest_email"]));
    }
    side
}

/// Tasks and notes. `content`: what a note's text is called.
fn hang(side: &mut Side, from: &Value, content: &str, emails: &BTreeMap<String, String>) {
    let whose = |one: &Value| emails.get(&text(&one["contactId"])).cloned().unwrap_or_default();
    for one in objects(&from["tasks"]) {
        let completed = one["completed"] == true;
        side.tasks.entry(text(&one["title"])).or_default().push((whose(one), completed));
    }
    for one in objects(&from["notes"]) {
        side.notes.entry(text(&one[content])).or_default().push(whose(one));
    }
}
