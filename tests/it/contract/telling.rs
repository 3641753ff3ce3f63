//! What became of a delivery or a reading, in words: for the snapshots of every known body.
//!
//! In: changes, observations, the folders of fixtures and snapshots. Out: texts, names, the settings of the snapshots.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use insta::Settings;
use lockstep::clock::Millis;
use lockstep::model::{Change, Class, ExternalId, Fields, Guest, Kind, Moved, Observation, Shape, System};
use lockstep::receive::Arrival;

/// A place below `tests`.
pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// The names of the files in a folder that end so, without the ending.
pub fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

/// What arrives at a system's route.
pub fn arrival(system: System, headers: &[(String, String)], body: &[u8]) -> Arrival {
    let header = |(name, value): &(String, String)| -> (HeaderName, HeaderValue) {
        (name.parse().unwrap(), value.parse().unwrap())
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    Arrival { system, workspace: None, headers, body: Bytes::copy_from_slice(body) }
}

/// A recorded change, and what is read from it.
pub fn told(change: &Change, observations: &[Observation]) -> String {
    let said = &change.said;
    let mut text = format!("{} ({})\n", said.label, said.standing);
    let object = said.object.as_ref().map(ExternalId::as_str);
    let _ = writeln!(text, "workspace: {}", or_none(said.workspace.as_deref()));
    let _ = writeln!(text, "about: {} {}", or_none(said.kind.map(Kind::word)), or_none(object));
    let _ = writeln!(text, "at: {}", moment(said.at));
    let _ = writeln!(text, "key: {}", said.dedup);
    if let Some(reason) = &said.reason {
        let _ = writeln!(text, "because: {reason}");
    }
    text + &observations.iter().map(observed).collect::<String>()
}

/// One observation.
pub fn observed(seen: &Observation) -> String {
    let class = match seen.class {
        Class::Current => "current".to_owned(),
        Class::Versioned(version) => format!("of version {version}"),
        Class::Claim => "a claim".to_owned(),
    };
    let mut text = format!("\n{} {}, {class}\n", seen.kind, seen.id.as_str());
    let parent = seen.parent.as_ref().map(ExternalId::as_str);
    let _ = writeln!(text, "of: {}, not after: {}", or_none(parent), moment(seen.at));
    if let Some(moved) = &seen.moved {
        let (way, Moved::From(other) | Moved::To(other)) =
            (if matches!(moved, Moved::From(_)) { "from" } else { "to" }, moved);
        let _ = writeln!(text, "moved {way}: {}", other.as_str());
    }
    let (shape, fields) = match &seen.shape {
        Shape::Full(fields) => ("all of it", Some(fields)),
        Shape::Partial(fields) => ("only", Some(fields)),
        Shape::Gone => ("it is gone", None),
        Shape::Hint => ("to be read", None),
    };
    let _ = writeln!(text, "{shape}");
    text += &fields.map(listed).unwrap_or_default();
    text + &seen.guest.as_deref().map(booked_by).unwrap_or_default()
}

fn booked_by(guest: &Guest) -> String {
    let mut text = format!("by a guest, typed: {}\n", moment(guest.typed));
    let _ = writeln!(text, "whom the link calls: {}", or_none(guest.correlation.as_deref()));
    let _ = writeln!(text, "who says: {}", or_none(guest.comment.as_deref()));
    text + &listed(&guest.fields)
}

fn listed(fields: &Fields) -> String {
    fields.iter().fold(String::new(), |text, (field, value)| format!("{text}  {field} = {value:?}\n"))
}

fn moment(at: Option<Millis>) -> String {
    or_none(at.map(Millis::rfc3339).as_deref())
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or("none").to_owned()
}

/// Snapshots in a folder of their own.
pub fn snapshots(folder: &str) -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path(format!("snapshots/{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}
