//! The example endpoint, `examples/extension.py`, as TimeRex's extension: it keeps to the contract's document, what is edited
//! in GHL arrives there, and what people edit there arrives in GHL.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::Method;
use lockstep::clock::SystemClock;
use lockstep::config::Config;
use lockstep::sandbox::SandboxSettings;
use lockstep::sandbox::signing::standard_webhooks;
use lockstep::systems::SystemError;
use lockstep::systems::http_client::{HttpLimits, HttpTransport};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{contact, email};
use crate::contract::extension::{caller, exercise};
use crate::contract::extension_document::{Judged, operations};
use crate::support::databases::Place;
use crate::support::service::free_port;
use crate::support::world::{Plan, World, now};

/// No secret of ours.
const OTHER: &str = "whsec_bm90IHRoZSBzZWNyZXQgb2YgdGhlIGVuZHBvaW50";

/// Where the example listens in the journey, known before the service is configured.
static PORT: LazyLock<u16> = LazyLock::new(free_port);

/// The example, running; it ends with the test.
struct Example {
    child: Child,
    folder: TempDir,
    secret: String,
    port: u16,
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn python(script: &str, folder: &TempDir, secret: &str) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(script);
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).current_dir(folder.path()).env("SECRET", secret).env("NO_PROXY", "127.0.0.1");
    command.stdin(Stdio::null());
    command
}

impl Example {
    async fn start(secret: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python("extension.py", &folder, secret);
        let child = command.arg(port.to_string()).stderr(Stdio::null()).spawn().unwrap();
        let mut example = Self { child, folder, secret: secret.to_owned(), port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(example.child.try_wait().unwrap(), None, "the example ended by itself");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        example
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs `edit.py`, telling the service.
    async fn run(&self, world: &World, secret: &str, method: &str, path: &str, body: &Value) -> Output {
        let mut command = python("edit.py", &self.folder, secret);
        command.env("LOCKSTEP", format!("http://{}/webhooks/timerex/main", world.app.public));
        command.args([method, path, &body.to_string()]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// A person's edit, or look; gives what it printed.
    async fn edit(&self, world: &World, method: &str, path: &str, body: Value) -> Value {
        let output = self.run(world, &self.secret, method, path, &body).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The only object of a kind that is there and not deleted.
    async fn only(&self, world: &World, path: &str) -> Value {
        let page = self.edit(world, "GET", path, json!({})).await;
        let mut live = page["items"].as_array().unwrap().clone();
        live.retain(|one| one["deleted"] != true);
        assert_eq!(live.len(), 1, "{path}: {page}");
        live.remove(0)
    }
}

/// The service with the example in the place of TimeRex's extension.
fn plan() -> Plan {
    fn adjust(config: &mut Config) {
        for extension in config.workspaces[0].extensions.iter_mut().filter(|(system, _)| system.word() == "timerex") {
            extension.1.url = format!("http://127.0.0.1:{}", *PORT);
        }
        // Else the sandbox's extension would hold the same tasks for TIMIFY.
        config.workspaces[0].extensions.retain(|system, _| system.word() == "timerex");
    }
    Plan { adjust, ..Plan::of(1) }
}

/// What GHL holds of a kind.
async fn in_ghl(world: &World, kind: &str) -> Vec<Value> {
    world.state().await["ghl"][kind].as_object().unwrap().values().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(python_missing, ignore = "no python3: apt-get install python3; then cargo test")]
async fn the_example_keeps_to_the_document_in_every_operation() {
    let secret = SandboxSettings::example().workspaces[0].timerex_extension_secret.clone();
    let example = Example::start(&secret, free_port()).await;
    let http = HttpTransport::new(&HttpLimits { proxy: false, ..HttpLimits::default() }).unwrap();
    let judged = Arc::new(Judged::new(http));
    exercise(&caller(judged.clone(), Arc::new(SystemClock), &example.url(), &[OTHER, &secret])).await;
    assert_eq!(*judged.succeeded.lock().unwrap(), operations());

    let stranger = caller(judged.clone(), Arc::new(SystemClock), &example.url(), &[OTHER]);
    let refused = stranger.call(Method::GET, "/contacts", &[], None, false).await.unwrap_err();
    assert!(matches!(refused, SystemError::Unauthorized { status: 401, .. }), "{refused}");
    for off in [-301_000, 301_000] {
        let at = lockstep::clock::Millis(now().0 + off);
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{}/contacts", example.url()));
        let signed = standard_webhooks(&secret, "msg_1", at, b"");
        let request = signed.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(request.send().await.unwrap().status(), 401, "{off} ms off");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(python_missing, ignore = "no python3: apt-get install python3; then cargo test")]
async fn the_example_and_ghl_are_kept_equal_both_ways() {
    let place = Place::sqlite().await;
    let secret = SandboxSettings::example().workspaces[0].timerex_extension_secret.clone();
    let example = Example::start(&secret, *PORT).await;
    let world = plan().start(&place).await;
    let person = from_ghl(&world, &example).await;
    from_the_example(&world, &example, &person).await;
    deleted_there(&world, &example).await;

    let wrong = example.run(&world, OTHER, "POST", "/contacts", &json!({ "firstName": "Mallory" })).await;
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("401"), "{wrong:?}");
    world.settle().await;
    assert_eq!(world.people(0, "ghl").await.len(), 1);
    world.stop().await;
}

/// A contact, a tag, a task and a note of GHL arrive in the example. Gives the contact's id in GHL.
async fn from_ghl(world: &World, example: &Example) -> String {
    let person = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Hana") })).await;
    let task =
        json!({ "title": "Send the offer", "body": "", "dueDate": "2031-05-05T09:00:00.000Z", "completed": false });
    world.edit(0, "ghl", "create task", json!({ "parent": person, "fields": task })).await;
    world.edit(0, "ghl", "create note", json!({ "parent": person, "fields": { "body": "Mornings" } })).await;
    world.edit(0, "ghl", "update contact", json!({ "id": person, "fields": { "addTags": ["vip"] } })).await;
    world.settle().await;
    let held = example.only(world, "/contacts").await;
    assert_eq!((&held["email"], &held["tags"]), (&json!(email("Hana")), &json!(["vip"])));
    let task = example.only(world, "/tasks").await;
    assert_eq!(
        (&task["title"], &task["completed"], &task["status"]),
        (&json!("Send the offer"), &json!(false), &json!("open"))
    );
    assert_eq!((&task["dueDate"], &task["contactId"]), (&json!("2031-05-05T09:00:00.000Z"), &held["id"]));
    let note = example.only(world, "/notes").await;
    assert_eq!((&note["content"], &note["contactId"]), (&json!("Mornings"), &held["id"]));
    assert!(note["timestamp"].is_string(), "{note}");
    person
}

/// What people edit at the example arrives in GHL.
async fn from_the_example(world: &World, example: &Example, person: &str) {
    let held = example.only(world, "/contacts").await;
    let base = format!("/contacts/{}", held["id"].as_str().unwrap());
    example.edit(world, "PUT", &base, json!({ "firstName": "Hanako", "tags": ["vip", "new"] })).await;
    let task = example.only(world, "/tasks").await;
    let path = format!("{base}/tasks/{}", task["id"].as_str().unwrap());
    example.edit(world, "PUT", &path, json!({ "title": "Send two offers", "completed": true })).await;
    let note = example.only(world, "/notes").await;
    let path = format!("{base}/notes/{}", note["id"].as_str().unwrap());
    example.edit(world, "PUT", &path, json!({ "content": "Evenings" })).await;
    example
        .edit(
            world,
            "POST",
            &format!("{base}/tasks"),
            json!({ "title": "Call", "dueDate": "2031-06-01T09:00:00.000Z" }),
        )
        .await;
    world.settle().await;
    let tasks = in_ghl(world, "tasks").await;
    let task = |title: &str| tasks.iter().find(|task| task["title"] == title).unwrap();
    assert_eq!((&task("Send two offers")["completed"], &task("Call")["completed"]), (&json!(true), &json!(false)));
    assert_eq!(task("Call")["contactId"], person);
    assert_eq!(in_ghl(world, "notes").await[0]["body"], "Evenings");
    let held = in_ghl(world, "contacts").await;
    assert_eq!(
        (&held[0]["firstName"], &held[0]["tags"]),
        (&json!("Hanako"), &json!(["vip", "new"])),
        "the one of before stayed"
    );
}

/// What people delete at the example is deleted in GHL.
async fn deleted_there(world: &World, example: &Example) {
    let (tasks, notes) = (in_ghl(world, "tasks").await.len(), in_ghl(world, "notes").await.len());
    let note = example.only(world, "/notes").await;
    let path = |one: &Value, kind: &str| {
        format!("/contacts/{}/{kind}/{}", one["contactId"].as_str().unwrap(), one["id"].as_str().unwrap())
    };
    example.edit(world, "DELETE", &path(&note, "notes"), json!({})).await;
    let page = example.edit(world, "GET", "/tasks", json!({})).await;
    let call = page["items"].as_array().unwrap().iter().find(|task| task["title"] == "Call").unwrap().clone();
    example.edit(world, "DELETE", &path(&call, "tasks"), json!({})).await;
    world.settle().await;
    assert_eq!((in_ghl(world, "tasks").await.len(), in_ghl(world, "notes").await.len()), (tasks - 1, notes - 1));
}
