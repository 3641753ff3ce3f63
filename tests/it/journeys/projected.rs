//! What TIMIFY has no objects for, without any extension: notes in the customer's one notes text, both ways. A person's own
//! text above them is never touched. (What goes wrong on the way, tags and shadow mode are in `projected_more`.)

use serde_json::{Value, json};

use super::mission::held;
use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

/// Where our part of the text begins, and how it ends.
const BEGIN: &str = "--- Lockstep notes";
const END: &str = "--- End of Lockstep notes ---";

/// A workspace without extensions.
pub(super) fn plan() -> Plan {
    let mut plan = Plan::of(1);
    plan.adjust = |config| {
        let workspace = &mut config.workspaces[0];
        workspace.extensions.clear();
        workspace.projection.tags_field = Some("Tags".to_owned());
    };
    plan
}

/// A contact that is in GHL and TIMIFY, and nothing else.
pub(super) struct Stage {
    /// Both.
    pub world: World,
    /// The customer's id in TIMIFY.
    pub customer: String,
    /// The contact's id in GHL.
    pub contact: String,
}

impl Stage {
    /// On a database.
    pub(super) async fn set(plan: Plan, place: &Place, name: &str) -> Self {
        let world = plan.start(place).await;
        let contact = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
        world.settle().await;
        let mut people = world.people(0, "timify").await;
        people.retain(|person| person.fields["email"] == email(name));
        let customer = people.remove(0).id;
        Self { world, customer, contact }
    }

    /// The customer as TIMIFY holds it.
    pub(super) async fn record(&self) -> Value {
        let all = held(&self.world, "timify", "customers").await;
        all.into_iter().find(|one| one["id"] == self.customer.as_str()).unwrap()
    }

    /// The whole notes text in TIMIFY.
    pub(super) async fn text(&self) -> String {
        self.record().await["plain"]["notes"].as_str().unwrap_or_default().to_owned()
    }

    /// Types a notes text in TIMIFY, as staff do: all of it.
    pub(super) async fn types(&self, text: &str) {
        let edit = json!({ "id": self.customer, "fields": { "notes": text } });
        self.world.edit(0, "timify", "update contact", edit).await;
    }

    /// Makes a note in GHL; gives its id.
    pub(super) async fn note(&self, body: &str) -> String {
        let note = json!({ "parent": self.contact, "fields": { "body": body } });
        self.world.edit(0, "ghl", "create note", note).await
    }

    /// Edits a note in GHL.
    pub(super) async fn rewords(&self, note: &str, body: &str) {
        self.world.edit(0, "ghl", "update note", json!({ "id": note, "fields": { "body": body } })).await;
    }

    /// The notes in GHL, by their texts: id and text.
    pub(super) async fn in_ghl(&self) -> Vec<(String, String)> {
        let word = |note: &Value, key: &str| note[key].as_str().unwrap().to_owned();
        let notes = held(&self.world, "ghl", "notes").await;
        let mut notes: Vec<_> = notes.iter().map(|note| (word(note, "id"), word(note, "body"))).collect();
        notes.sort_by(|one, other| one.1.cmp(&other.1));
        notes
    }

    /// The texts of the notes in GHL, sorted.
    pub(super) async fn texts(&self) -> Vec<String> {
        self.in_ghl().await.into_iter().map(|(_, text)| text).collect()
    }

    /// Comes to rest; on the way the person's own text stands there at every look, to the byte.
    pub(super) async fn settle(&self, own: &str) {
        let watch = async {
            loop {
                let text = self.text().await;
                assert!(text.starts_with(own), "the person's own text was touched: {text:?}");
                tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            }
        };
        tokio::select! { () = self.world.settle() => {}, () = watch => {} }
        assert_eq!(self.text().await.split(BEGIN).next().unwrap().strip_suffix("\n\n").unwrap_or(own), own);
    }

    /// What waits for a person: the reasons.
    pub(super) async fn waits(&self) -> Vec<String> {
        self.world.app.store.reviews("main").await.unwrap().into_iter().map(|review| review.text).collect()
    }
}

/// A text with our part, whose notes have these lines.
pub(super) fn block(text: &str) -> Vec<String> {
    let ours = text.split_once(BEGIN).map_or("", |(_, ours)| ours);
    let lines = ours.lines().skip(1).take_while(|line| *line != END);
    // `[#0123456789] text`
    lines.map(|line| if line.starts_with("[#") { line[14..].to_owned() } else { line.to_owned() }).collect()
}

/// The text without the lines that a test for them picks.
fn without(text: &str, picked: impl Fn(&str) -> bool) -> String {
    text.lines().filter(|line| !picked(line)).collect::<Vec<_>>().join("\n")
}

async fn ghl_notes_stand_below_a_persons_own_text_and_follow_there(place: &mut Place) {
    const OWN: &str = "  Prefers mornings,\r\n\r\nwindow seat: \"3rd\" ";
    let stage = Stage::set(plan(), place, "Ada").await;
    stage.types(OWN).await;
    stage.settle(OWN).await;
    let first = stage.note("Call first,\nthen mail").await;
    stage.settle(OWN).await;
    let text = stage.text().await;
    assert!(text.starts_with(&format!("{OWN}\n\n{BEGIN}")) && text.ends_with(&format!("\n{END}")), "{text}");
    assert_eq!(block(&text), ["Call first,", "then mail"]);

    let second = stage.note("Knows the way").await;
    stage.settle(OWN).await;
    stage.rewords(&first, "Mail only").await;
    stage.settle(OWN).await;
    assert_eq!(block(&stage.text().await), ["Mail only", "Knows the way"]);

    stage.world.edit(0, "ghl", "delete note", json!({ "id": first })).await;
    stage.settle(OWN).await;
    assert_eq!(block(&stage.text().await), ["Knows the way"]);
    stage.world.edit(0, "ghl", "delete note", json!({ "id": second })).await;
    stage.settle(OWN).await;
    assert_eq!(stage.text().await, OWN, "with the last note the block goes");
    assert_eq!(stage.waits().await, Vec::<String>::new());
    stage.world.stop().await;
}

async fn a_persons_own_text_is_one_note_in_ghl_for_as_long_as_it_stands(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Bo").await;
    stage.types("Likes tea").await;
    stage.settle("Likes tea").await;
    let [(first, text)] = &stage.in_ghl().await[..] else { panic!("one note") };
    assert_eq!(text, "Likes tea");
    stage.types("Likes green tea").await;
    stage.settle("Likes green tea").await;
    assert_eq!(stage.in_ghl().await, [(first.clone(), "Likes green tea".to_owned())], "the same note");

    stage.types("").await;
    stage.world.settle().await;
    assert_eq!(stage.in_ghl().await, [], "cleared there, deleted here");
    // Two texts for blank: within one second, the same one twice would be the same webhook twice.
    for (anew, blank) in [("Comes by car", " "), ("Comes by train", "\n")] {
        stage.types(anew).await;
        stage.settle(anew).await;
        let [(again, text)] = &stage.in_ghl().await[..] else { panic!("one note") };
        assert!(again != first && text == anew, "a new note: {again} {text}");
        stage.types(&format!("{anew}!")).await;
        stage.settle(anew).await;
        assert_eq!(stage.in_ghl().await, [(again.clone(), format!("{anew}!"))]);
        stage.types(blank).await;
        stage.world.settle().await;
        assert_eq!(stage.in_ghl().await, []);
    }
    assert_eq!(stage.text().await, "\n", "nothing is written into a text that is the person's own");
    assert_eq!(stage.waits().await, Vec::<String>::new());
    stage.world.stop().await;
}

/// A stage with an own text and three notes of GHL.
async fn with_three(place: &Place, name: &str) -> Stage {
    let stage = Stage::set(plan(), place, name).await;
    stage.types("Own").await;
    stage.settle("Own").await;
    for body in ["One", "Three", "Two"] {
        stage.note(body).await;
        stage.settle("Own").await;
    }
    assert_eq!(block(&stage.text().await), ["One", "Three", "Two"]);
    stage
}

async fn what_people_do_to_our_part_of_the_text_is_done_to_the_notes_in_ghl(place: &mut Place) {
    let stage = with_three(place, "Cy").await;
    let ids = stage.in_ghl().await;
    let of = |body: &str| ids.iter().find(|(_, text)| text == body).unwrap().0.clone();
    let edited = stage.text().await.replace("] Two", "] Two\nand a half");
    stage.types(&edited).await;
    stage.settle("Own").await;
    assert!(stage.in_ghl().await.contains(&(of("Two"), "Two\nand a half".to_owned())));
    assert_eq!(stage.text().await, edited, "what a person made of it stands");

    stage.types(&without(&edited, |line| line.ends_with("] One"))).await;
    stage.settle("Own").await;
    assert_eq!(stage.texts().await, ["Own", "Three", "Two\nand a half"]);
    assert_eq!(block(&stage.text().await), ["Three", "Two", "and a half"]);

    stage.types("Own").await;
    stage.settle("Own").await;
    assert_eq!(stage.texts().await, ["Own"], "with the block its notes go");
    let again = stage.note("Four").await;
    stage.settle("Own").await;
    assert_eq!(block(&stage.text().await), ["Four"]);
    assert!(stage.in_ghl().await.iter().any(|(id, _)| *id == again));
    assert_eq!(stage.waits().await, Vec::<String>::new());
    stage.world.stop().await;
}

/// The text may have been cut: what is missing says nothing, until it is whole again.
async fn without_its_end_line_nothing_is_lost_or_deleted(place: &mut Place) {
    let stage = with_three(place, "Di").await;
    let whole = stage.text().await;
    stage.types(&without(&whole, |line| line == END)).await;
    stage.settle("Own").await;
    assert_eq!(stage.texts().await, ["One", "Own", "Three", "Two"]);
    stage.types(&without(&whole, |line| line == END || line.ends_with("] Two"))).await;
    stage.settle("Own").await;
    assert_eq!(stage.texts().await, ["One", "Own", "Three", "Two"], "it may have been cut");

    let zero = stage.note("Zero").await;
    stage.settle("Own").await;
    let text = stage.text().await;
    assert!(text.ends_with("] Zero") && !text.contains(END), "what we write does not make it whole: {text}");
    assert_eq!(stage.texts().await, ["One", "Own", "Three", "Two", "Zero"]);

    stage.types(&whole.replace("] One", "] One more")).await;
    stage.settle("Own").await;
    assert!(stage.in_ghl().await.iter().all(|(id, _)| *id != zero), "it is whole again, and this one is missing");
    assert_eq!(stage.texts().await, ["One more", "Own", "Three", "Two"]);
    assert_eq!(stage.waits().await, [""; 0]);
    stage.world.stop().await;
}

async fn only_its_author_changes_the_note_of_a_persons_own_text(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Eve").await;
    stage.types("Own").await;
    stage.settle("Own").await;
    let other = stage.note("Other").await;
    stage.settle("Own").await;
    let own = stage.in_ghl().await.into_iter().find(|(_, text)| text == "Own").unwrap().0;
    stage.rewords(&own, "Not my words").await;
    stage.rewords(&other, "Another").await;
    let city = json!({ "id": stage.contact, "fields": { "city": "Nara" } });
    stage.world.edit(0, "ghl", "update contact", city).await;
    stage.note("More").await;
    stage.settle("Own").await;
    assert_eq!(block(&stage.text().await), ["Another", "More"], "nothing else is held up");
    stage.record().await["plain"]["city"].as_str().inspect(|city| assert_eq!(*city, "Nara")).unwrap();
    let waits = stage.waits().await;
    assert!(
        matches!(&waits[..], [one] if one.contains("it was typed into the customer's notes in TIMIFY")),
        "{waits:?}"
    );
    assert_eq!(stage.world.app.load("main").await.unwrap().parked, 1);

    // What is typed in the same moment as the edit in GHL loses to it, and is kept; what is typed later is true.
    let (_, ours) = stage.text().await.split_once("\n\n").map(|(own, ours)| (own.to_owned(), ours.to_owned())).unwrap();
    for number in 0.. {
        let words = format!("My own words, version {number}");
        stage.types(&format!("{words}\n\n{ours}")).await;
        stage.settle(&words).await;
        if stage.in_ghl().await.contains(&(own.clone(), words)) {
            break;
        }
        assert!(number < 100, "{:?}", stage.texts().await);
    }
    assert_eq!(stage.world.app.load("main").await.unwrap().parked, 0);
    stage.world.stop().await;
}

on_both!(
    Place: ghl_notes_stand_below_a_persons_own_text_and_follow_there,
    a_persons_own_text_is_one_note_in_ghl_for_as_long_as_it_stands,
    what_people_do_to_our_part_of_the_text_is_done_to_the_notes_in_ghl,
    without_its_end_line_nothing_is_lost_or_deleted,
    only_its_author_changes_the_note_of_a_persons_own_text,
);
