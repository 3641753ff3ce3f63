//! What the service logs in this process, kept so that a test can look for what must not stand there.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex};

use tracing_subscriber::EnvFilter;

/// All that Lockstep says, at every level.
const FILTER: &str = "lockstep=trace";

static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static STARTED: LazyLock<()> = LazyLock::new(|| {
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(FILTER)).with_ansi(false);
    lines.with_writer(|| Keeper).init();
});

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        KEPT.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on what is logged is kept; by all tests of this process.
pub fn keep() {
    LazyLock::force(&STARTED);
}

/// What was kept.
pub fn kept() -> String {
    String::from_utf8_lossy(&KEPT.lock().unwrap()).into_owned()
}
