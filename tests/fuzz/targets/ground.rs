//! A service's configuration for the sandbox's accounts, and the sandbox's keys: what all targets stand on.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use lockstep::app;
use lockstep::cli::demo::config::{Service, text};
use lockstep::clock::Millis;
use lockstep::config::{Config, checks};
use lockstep::model::System;
use lockstep::record::Directory;
use lockstep::sandbox::SandboxSettings;
use lockstep::sandbox::signing::Signer;
use lockstep::systems::ghl::GhlDoor;
use lockstep::systems::timerex::TimerexDoor;
use lockstep::systems::timify::TimifyDoor;
use lockstep::systems::{Door, Site};
use lockstep::verify::Check;

/// When it is.
pub const NOW: Millis = Millis(1_780_000_000_000);

pub struct Ground {
    pub settings: SandboxSettings,
    pub signer: Signer,
    pub config: String,
    pub checks: BTreeMap<System, Vec<Check>>,
    pub doors: BTreeMap<System, Arc<dyn Door>>,
    pub directory: Directory,
    pub sites: BTreeMap<String, Arc<Site>>,
}

pub static GROUND: LazyLock<Ground> = LazyLock::new(|| {
    let settings = SandboxSettings::example();
    let signer = Signer::new(&settings).expect("the sandbox has its keys");
    let text = text(&settings, "http://127.0.0.1:9", &Service::default()).expect("the sandbox has its apps");
    let config = Config::read("lockstep.toml", &text, &std::env::temp_dir(), []).expect("it is what we print");
    let doors: [(System, Arc<dyn Door>); 3] = [
        (System::Ghl, Arc::new(GhlDoor)),
        (System::Timify, Arc::new(TimifyDoor)),
        (System::Timerex, Arc::new(TimerexDoor)),
    ];
    Ground {
        checks: checks(&config),
        doors: doors.into(),
        directory: Directory::of(&config.workspaces()),
        sites: app::sites(&config).expect("the accounts fit"),
        config: text,
        settings,
        signer,
    }
});

/// Those of these headers that are such.
pub fn headers<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    lines
        .filter_map(|(name, value)| {
            Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
        })
        .collect()
}
