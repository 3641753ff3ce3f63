//! A vendor and the extension beside it, as the one system that the stages see.
//!
//! Each kind has one home: the vendor if it has the object, else the extension if there is one. The tags of a contact that the
//! vendor has live in the extension, under the vendor's own contact id. This is the one place that knows of both.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::ExtensionClient;
use crate::clock::Millis;
use crate::model::{
    Action, Change, Class, Entity, Field, Fields, Kind, Observation, Place, Shape, Step, System, Value, Workspace,
};
use crate::systems::{
    Answer, Expressed, Home, Inquiry, Inspected, NotAsked, Page, Reading, SystemError, Target, Terms, Unreadable,
    Wanted, wire,
};

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
        match &self.extension {
            Some(extension) if !self.native.home(kind).holds() && extension.home(kind).holds() => extension,
            _ => &self.native,
        }
    }

    /// The extension, if the vendor has the contacts and the extension their tags.
    fn tagger(&self, kind: Kind) -> Option<&ExtensionClient> {
        let apart = kind == Kind::Contact && self.native.home(kind).holds();
        self.extension.as_ref().filter(|_| apart)
    }

    fn owner_of(&self, kind: Kind, field: &Field) -> &dyn Target {
        match self.tagger(kind) {
            Some(extension) if field.as_tag().is_some() => extension,
            _ => self.owner(kind),
        }
    }

    async fn add_tags(&self, reading: &mut Reading) -> Result<(), SystemError> {
        let tagger = self.tagger(reading.observation.kind);
        if let (Some(extension), Shape::Full(fields)) = (tagger, &mut reading.observation.shape) {
            fields.extend(extension.tags(&reading.observation.id).await?);
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
            }),
            // An endpoint that serves only the tags call of a contact lists nothing.
            Err(SystemError::Gone { .. }) => Ok(Page { observations: Vec::new(), next: None }),
            Err(error) => Err(error),
        }
    }
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
        let mut reading = self.owner(place.kind).read(place).await?;
        self.add_tags(&mut reading).await?;
        Ok(reading)
    }

    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let mut found = self.owner(wanted.kind).find(wanted).await?;
        for reading in &mut found {
            self.add_tags(reading).await?;
        }
        Ok(found)
    }

    async fn apply(&self, step: &Step) -> Result<Answer, SystemError> {
        match (self.tagger(step.kind), step.action) {
            (Some(extension), Action::AddTags | Action::RemoveTags) => extension.apply(step).await,
            _ => self.owner(step.kind).apply(step).await,
        }
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
        let Page { observations, next } = self.native.changed(kind, since, page).await?;
        // The vendor's list knows nothing of the tags, so it does not show the whole object.
        let observations = observations.into_iter().map(wire::partial).collect();
        Ok(Page { observations, next: next.or_else(|| Some(TAGS.to_owned())) })
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
