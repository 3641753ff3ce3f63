//! Terms for tests: a system that holds everything as it is, with single traits changed by the test that needs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    Action, Change, Entity, Expressed, Field, Home, Kind, Observation, System, Terms, Unreadable, Value, Workspace,
};
use crate::systems::Site;
use crate::systems::ghl::{Ghl, GhlSettings};
use crate::systems::testing::caller;

/// The workspace `w`, which has an account in GHL alone.
pub fn site() -> Site {
    let settings = GhlSettings {
        location: "L".to_owned(),
        contacts_version: "2021-07-28".to_owned(),
        calendars_version: "2021-04-15".to_owned(),
        locations_version: "2021-07-28".to_owned(),
        businesses_version: "2021-07-28".to_owned(),
        custom_fields: BTreeMap::new(),
        notify: false,
    };
    let ghl = Ghl::new(settings, Vec::new(), None, caller(System::Ghl, []).0);
    let accounts = [(System::Ghl, "L".to_owned())].into();
    let workspace = Workspace { name: "w".to_owned(), accounts, ..Workspace::default() };
    Site::new(workspace, [(System::Ghl, Arc::new(ghl) as _)].into())
}

pub struct Sample {
    pub system: System,
    pub creates: Result<(), &'static str>,
    pub wants: fn(&Entity) -> bool,
    pub express: fn(&Field, &Value) -> Expressed,
    pub carriers: fn(&Field, &Value) -> &'static [Action],
    pub is_final: fn(Kind, &Field, &Value) -> bool,
    pub gone_means: Option<(Field, Value)>,
}

impl Sample {
    /// Holds everything as it is, and writes all of it by one call.
    pub fn plain(system: System) -> Self {
        Self {
            system,
            creates: Ok(()),
            wants: |_| true,
            express: |_, value| Expressed::Holds(value.clone()),
            carriers: |_, _| &[Action::Update],
            is_final: |_, _, _| false,
            gone_means: None,
        }
    }
}

impl Terms for Sample {
    fn system(&self) -> System {
        self.system
    }
    fn home(&self, _: Kind) -> Home {
        Home::Native
    }
    fn tags(&self) -> Home {
        Home::Native
    }
    fn creates(&self, _: Kind) -> Result<(), &'static str> {
        self.creates
    }
    fn changes(&self, _: Kind) -> Result<(), &'static str> {
        Ok(())
    }
    fn express(&self, _: Kind, field: &Field, value: &Value) -> Expressed {
        (self.express)(field, value)
    }
    fn carriers(&self, _: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        let carriers = (self.carriers)(field, value);
        if making && !carriers.is_empty() { &[Action::Create] } else { carriers }
    }
    fn wants(&self, entity: &Entity) -> bool {
        (self.wants)(entity)
    }
    fn is_final(&self, kind: Kind, field: &Field, value: &Value) -> bool {
        (self.is_final)(kind, field, value)
    }
    fn gone_means(&self, _: Kind) -> Option<(Field, Value)> {
        self.gone_means.clone()
    }
    fn observe(&self, _: &Change) -> Result<Vec<Observation>, Unreadable> {
        Ok(Vec::new())
    }
}
