//! A vendor and the extension beside it, as the one system that the stages see.
//!
//! Each kind has one home: the vendor if it has such objects itself, else the extension if there is one, else whatever the vendor's
//! connector makes of them (projected, kept). The tags of a contact that the vendor has live in the extension, under the vendor's
//! own contact id. What the vendor's connector projects and the extension holds is left out of what the vendor shows. This is
//! the one place that knows of both.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::ExtensionClient;
use crate::clock::Millis;
use crate::model::{
    Action, Change, Class, Entity, ExternalId, Field, Fields, Kind, Link, Observation, Place, Shape, Step, System,
    Value, Workspace,
};
use crate::systems::{
    Answer, Expressed, Home, Inquiry, Inspected, NotAsked, Page, Reading, Shown, SystemError, Target, Terms,
    Unreadable, Wanted, wire,
};

/// Why an object is not read that the vendor's connector held before.
const MOVED: &str = "it was put into the customer's text in TIMIFY before there was an extension endpoint for such objects, and \
                     is still there: move it to the endpoint, or unlink it";

/// What marks a page that lists the extension's tags, after the last page of the vendor's contacts.
const TAGS: &str = "tags:";

/// A vendor's own connector with the extension beside it, if there is one.
pub struct Combined<N> {
    native: N,
    extension: Option<ExtensionClient>,
}

impl<N: Target> Combined<N> {
    /// `extension`: of the same system and workspace.
    pub fn new(native: N, extension: Option<ExtensionClient>) -> Self {
        Self { native, extension }
    }

    /// The vendor's own connector.
    pub fn native(&self) -> &N {
        &self.native
    }

    /// Whose objects of a kind they are.
    fn owner(&self, kind: Kind) -> &dyn Target {
        self.beside(kind).map_or(&self.native, |extension| extension)
    }

    /// The extension, if objects of a kind live there.
    fn beside(&self, kind: Kind) -> Option<&ExtensionClient> {
        let apart = self.native.home(kind) != Home::Native;
        self.extension.as_ref().filter(|extension| apart && extension.home(kind).holds())
    }

    /// Refuses an object that was put into a contact of the vendor's before there was an extension: the form of its id says so,
    /// whatever is put there now. The endpoint does not know it, which would look like a deletion.
    fn check_home(&self, kind: Kind, id: &ExternalId, parent: Option<&ExternalId>) -> Result<(), SystemError> {
        let apart = kind != Kind::Contact && self.tagger(Kind::Contact).is_some() && self.beside(kind).is_some();
        if apart && parent.is_some_and(|outer| id.within().as_ref() == Some(outer)) {
            return Err(wire::not_sent(self.system(), MOVED));
        }
        Ok(())
    }

    /// What the vendor's connector says of an object, as far as its home is there.
    fn own(&self, mut one: Observation) -> Observation {
        if self.tagger(one.kind).is_some() {
            one.all_tags = false;
            if let Shape::Full(fields) | Shape::Partial(fields) = &mut one.shape {
                fields.retain(|field, _| field.as_tag().is_none());
            }
        }
        one
    }

    /// What stands within an object, where that is its home. Only notes stand within contacts.
    fn own_within(&self, reading: Reading) -> Reading {
        let apart = reading.observation.kind == Kind::Contact && self.beside(Kind::Note).is_some();
        let Reading { observation, within, .. } = reading;
        Reading { observation: self.own(observation), within: within.filter(|_| !apart), ..reading }
    }

    /// The extension, if the vendor has the contacts and the extension their tags.
    fn tagger(&self, kind: Kind) -> Option<&ExtensionClient> {
        let apart = kind == Kind::Contact && self.native.home(kind) == Home::Native;
        self.extension.as_ref().filter(|_| apart)
    }

    fn owner_of(&self, kind: Kind, field: &Field) -> &dyn Target {
        match self.tagger(kind) {
            Some(extension) if field.as_tag().is_some() => extension,
            _ => self.owner(kind),
        }
    }

    async fn add_tags(&self, reading: &mut Reading) -> Result<(), SystemError> {
        let Some(extension) = self.tagger(reading.observation.kind) else { return Ok(()) };
        let Observation { shape, id, all_tags, .. } = &mut reading.observation;
        if let Shape::Full(fields) | Shape::Partial(fields) = shape {
            let tags = extension.tags(id).await?;
            *all_tags = tags.is_some();
            fields.extend(tags.into_iter().flatten());
        }
        Ok(())
    }

    async fn tag_page(
        &self,
        extension: &ExtensionClient,
        since: Option<Millis>,
        cursor: &str,
    ) -> Result<Page, SystemError> {
        let cursor = Some(cursor).filter(|cursor| !cursor.is_empty());
        match extension.changed(Kind::Contact, since, cursor).await {
            Ok(page) => Ok(Page {
                observations: page.observations.into_iter().map(only_tags).collect(),
                next: page.next.map(|next| format!("{TAGS}{next}")),
                of: page.of,
            }),
            // An endpoint that serves only the tags call of a contact lists nothing.
            Err(SystemError::Gone { .. }) => Ok(Page::empty()),
            Err(error) => Err(error),
        }
    }
}

/// What a page shows of the objects that it lists is a part; what stands within them is shown whole.
fn listed(one: Observation, kind: Kind) -> Observation {
    if one.kind == kind { wire::partial(one) } else { one }
}

/// What the extension's object of a contact says where the vendor has the contact: its tags. Versions of the two are not
/// comparable, so it is a claim; without a list of tags it is a hint.
fn only_tags(mut one: Observation) -> Observation {
    if one.kind == Kind::Contact {
        let tags: Fields =
            one.fields().into_iter().flatten().filter(|(field, _)| field.as_tag().is_some()).map(owned).collect();
        one.class = Class::Claim;
        one.shape = if one.all_tags && one.shape != Shape::Gone { Shape::Partial(tags) } else { Shape::Hint };
    }
    one
}

fn owned((field, value): (&Field, &Value)) -> (Field, Value) {
    (field.clone(), value.clone())
}

impl<N: Target> Terms for Combined<N> {
    fn system(&self) -> System {
        self.native.system()
    }

    fn home(&self, kind: Kind) -> Home {
        self.owner(kind).home(kind)
    }

    fn tags(&self) -> Home {
        self.tagger(Kind::Contact).map_or_else(|| self.owner(Kind::Contact).tags(), Terms::tags)
    }

    fn creates(&self, kind: Kind) -> Result<(), &'static str> {
        self.owner(kind).creates(kind)
    }

    fn changes(&self, kind: Kind) -> Result<(), &'static str> {
        self.owner(kind).changes(kind)
    }

    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        self.owner_of(kind, field).express(kind, field, value)
    }

    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        let apart = self.tagger(kind).is_some() && field.as_tag().is_some();
        // The vendor makes the contact without tags; they follow under the id that it then has.
        self.owner_of(kind, field).carriers(kind, field, value, making && !apart)
    }

    fn wants(&self, entity: &Entity) -> bool {
        self.owner(entity.kind).wants(entity)
    }

    fn is_final(&self, kind: Kind, field: &Field, value: &Value) -> bool {
        self.owner_of(kind, field).is_final(kind, field, value)
    }

    fn gone_means(&self, kind: Kind) -> Option<(Field, Value)> {
        self.owner(kind).gone_means(kind)
    }

    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable> {
        if !change.said.extension {
            return self.native.observe(change);
        }
        let extension =
            self.extension.as_ref().ok_or_else(|| Unreadable("no extension is configured here".to_owned()))?;
        let observations = extension.observe(change)?;
        Ok(match self.tagger(Kind::Contact) {
            Some(_) => observations.into_iter().map(only_tags).collect(),
            None => observations,
        })
    }
}

#[async_trait]
impl<N: Target> Target for Combined<N> {
    async fn read(&self, place: &Place) -> Result<Reading, SystemError> {
        self.check_home(place.kind, &place.id, place.parent.as_ref())?;
        let mut reading = self.own_within(self.owner(place.kind).read(place).await?);
        self.add_tags(&mut reading).await?;
        Ok(reading)
    }

    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let mut found = Vec::new();
        for reading in self.owner(wanted.kind).find(wanted).await? {
            let mut reading = self.own_within(reading);
            self.add_tags(&mut reading).await?;
            found.push(reading);
        }
        Ok(found)
    }

    async fn apply(&self, step: &Step) -> Result<Answer, SystemError> {
        if let Some(id) = &step.id {
            self.check_home(step.kind, id, step.parent.as_ref())?;
        }
        if let (Some(extension), Action::AddTags | Action::RemoveTags) = (self.tagger(step.kind), step.action) {
            return extension.apply(step).await;
        }
        let answer = self.owner(step.kind).apply(step).await?;
        Ok(Answer { shown: answer.shown.map(|shown| self.own(shown)), ..answer })
    }

    fn granted(&self, kind: Kind, action: Action) -> Result<(), SystemError> {
        self.owner(kind).granted(kind, action)
    }

    async fn changed(&self, kind: Kind, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        let Some(extension) = self.tagger(kind) else {
            return self.owner(kind).changed(kind, since, page).await;
        };
        if let Some(cursor) = page.and_then(|page| page.strip_prefix(TAGS)) {
            return self.tag_page(extension, since, cursor).await;
        }
        let Page { observations, next, of } = self.native.changed(kind, since, page).await?;
        // The vendor's list knows nothing of the tags, so it does not show the whole object.
        let here = |one: &Observation| one.kind == kind || self.beside(one.kind).is_none();
        let observations = observations.into_iter().filter(here).map(|one| self.own(listed(one, kind))).collect();
        Ok(Page { observations, next: next.or_else(|| Some(TAGS.to_owned())), of })
    }

    fn shows(&self, link: &Link) -> Shown {
        self.owner(link.kind).shows(link)
    }

    async fn untold(&self, kind: Kind, page: Option<&str>) -> Result<Page, SystemError> {
        self.owner(kind).untold(kind, page).await
    }
}

#[async_trait]
impl<N: Target + Inquiry> Inquiry for Combined<N> {
    async fn inspect(&self, workspace: &Workspace) -> Vec<Inspected> {
        let mut found = self.native.inspect(workspace).await;
        if let Some(extension) = &self.extension {
            found.push(extension.inspected(!self.native.home(Kind::Contact).holds()).await);
        }
        found
    }

    async fn ask(&self, operation: &str, params: &BTreeMap<String, String>) -> Result<(u16, Json), NotAsked> {
        self.native.ask(operation, params).await
    }
}
