//! The real binary, as a process of its own that can be killed.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rlimit::Resource;

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

    /// With one more variable, which counts more than those before.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Starts it; returns as soon as the process is there.
    pub fn start(&mut self) {
        self.start_behind(&[]);
    }

    /// The same, run by a command of these words, which becomes the service.
    pub fn start_behind(&mut self, words: &[&str]) {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("service.log")).unwrap();
        let program = env!("CARGO_BIN_EXE_lockstep");
        let mut command = Command::new(words.first().unwrap_or(&program));
        command.args(words.iter().skip(1).chain(words.first().map(|_| &program)));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOCKSTEP_")) {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "127.0.0.1").envs(self.variables.iter().cloned());
        command.args(["serve", "--config"]).arg(self.folder.join("lockstep.toml")).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Sets a limit that its process goes by, up to the one that nobody may raise; gives the one of before.
    pub fn limit(&self, resource: Resource, soft: u64) -> u64 {
        let process = i32::try_from(self.process()).unwrap();
        let (mut before, mut hard) = (0, 0);
        rlimit::prlimit(process, resource, None, Some((&mut before, &mut hard))).unwrap();
        rlimit::prlimit(process, resource, Some((soft.min(hard), hard)), None).unwrap();
        before
    }

    /// The number of its process.
    fn process(&self) -> u32 {
        self.child.as_ref().expect("it was started").id()
    }

    /// The memory that is its own, in bytes: what it shares counts in part.
    pub fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process())).unwrap();
        let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let (mut child, began) = (self.child.take().expect("it was started"), Instant::now());
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if began.elapsed() > patience {
                drop(child.kill());
                panic!("it did not end\n{}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has ended, and well.
    pub async fn stop(&mut self) {
        let process = self.process().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let ended = self.ended(Duration::from_secs(20)).await;
        assert!(ended.success(), "{ended:?}\n{}", self.last_words());
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("service.log")).unwrap();
        let from = log.lines().count().saturating_sub(20);
        log.lines().skip(from).collect::<Vec<_>>().join("\n")
    }

    /// Kills it (SIGKILL) and waits until it is gone. It must have run until then.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it was started");
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "the service ended by itself: {ended:?}\n{}", self.last_words());
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
