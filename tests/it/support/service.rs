//! The real binary, as a process of its own that can be killed.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Ports below those that the system hands out for outgoing connections: nobody takes ours while the service is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// `lockstep serve`, again and again on one folder.
pub struct Service {
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    child: Option<Child>,
}

impl Service {
    /// Not started yet. `folder` holds `lockstep.toml`, and `service.log` is written to it; `variables` are the only ones that
    /// set keys.
    pub fn new(folder: PathBuf, variables: Vec<(&'static str, String)>) -> Self {
        Self { folder, variables, child: None }
    }

    /// Starts it; returns as soon as the process is there.
    pub fn start(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("service.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOCKSTEP_")) {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "127.0.0.1").envs(self.variables.iter().cloned());
        command.args(["serve", "--config"]).arg(self.folder.join("lockstep.toml")).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Kills it (SIGKILL) and waits until it is gone. It must have run until then.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it was started");
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "the service ended by itself: {ended:?}; see {}", self.folder.display());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
