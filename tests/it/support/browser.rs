//! A real browser: the installed Chromium, headless, driven by its `DevTools` protocol.
//!
//! It reaches nothing but loopback: everything else would go through a proxy that is not there. What a page complains of
//! (its console, exceptions, the Content-Security-Policy) and what it asks for is written down for the test to look at.
//! A shell holds it, as in [`super::nats`], so that it ends with this process.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// How long a page may take for what it is asked to do. Far above what it takes, for a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the browser until standard input closes.
const HOLD: &str = r#"
"$@" <&- &
browser=$!
trap 'kill -TERM "$browser" 2>/dev/null; wait "$browser"' EXIT
cat >/dev/null
"#;

const ARGUMENTS: [&str; 16] = [
    "--headless",
    "--remote-debugging-port=0",
    // Tests often run as root, in a container that is a sandbox itself.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-extensions",
    "--lang=en",
    // Nobody listens there; loopback addresses are asked without a proxy.
    "--proxy-server=http://127.0.0.1:9",
    "--window-size=1440,900",
];

/// A browser, which ends when it is dropped.
pub struct Browser {
    held: Child,
    wire: Arc<Wire>,
    _folder: TempDir,
}

/// What is said to the browser, and what it says.
struct Wire {
    out: UnboundedSender<Message>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    last: u64,
    answers: HashMap<u64, oneshot::Sender<Value>>,
    complaints: Vec<String>,
    requests: Vec<String>,
}

/// One window of the browser.
pub struct Window {
    wire: Arc<Wire>,
    session: String,
}

impl Browser {
    /// A new one, which knows nothing of earlier ones.
    pub async fn start() -> Self {
        let binary = installed().unwrap_or_else(|| {
            panic!("The tests need chromium in PATH. `scripts/test` installs it; by hand: apt-get install chromium.")
        });
        let folder = tempfile::Builder::new().prefix("cosell-browser.").tempdir().expect("a temporary folder");
        let mut command = Command::new("sh");
        command.args(["-c", HOLD, "cosell-test-browser"]).arg(binary).args(ARGUMENTS);
        command.arg(format!("--user-data-dir={}", folder.path().display())).arg("about:blank");
        // Ctrl-C in the terminal ends the tests, and the closing pipe then ends the browser.
        command.process_group(0).env("HOME", folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut held = command.spawn().unwrap_or_else(|e| panic!("{command:?} did not start: {e}"));
        let stderr = held.stderr.take().expect("standard error is piped");
        let address = tokio::task::spawn_blocking(move || told_address(stderr)).await.expect("a thread");
        let (stream, _) = connect_async(address).await.expect("the browser takes connections");
        let (mut sink, mut stream) = stream.split();
        let (out, mut queue) = unbounded_channel::<Message>();
        tokio::spawn(async move {
            while let Some(message) = queue.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        });
        let wire = Arc::new(Wire { out, heard: Mutex::default() });
        let reader = wire.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Text(text) = message {
                    reader.hear(&serde_json::from_str(&text).expect("JSON"));
                }
            }
        });
        Self { held, wire, _folder: folder }
    }

    /// A new window at that address.
    pub async fn open(&self, url: &str) -> Window {
        let target =
            self.wire.call(None, "Target.createTarget", json!({"url": "about:blank", "newWindow": true})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.wire.call(None, "Target.attachToTarget", attach).await;
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        self.wire.listen(&session);
        let window = Window { wire: self.wire.clone(), session };
        window.call("Page.enable", json!({})).await;
        window.go(url).await;
        window
    }

    /// What the pages have complained of: errors and warnings on the console, exceptions, violations of a policy.
    pub fn complaints(&self) -> Vec<String> {
        self.wire.heard.lock().expect("no panic").complaints.clone()
    }

    /// The addresses that the pages have asked for.
    pub fn requests(&self) -> Vec<String> {
        self.wire.heard.lock().expect("no panic").requests.clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.held.stdin.take());
        let _ = self.held.wait();
    }
}

impl Wire {
    fn post(&self, session: Option<&str>, method: &str, parameters: &Value) -> oneshot::Receiver<Value> {
        let (sender, answer) = oneshot::channel();
        let mut heard = self.heard.lock().expect("no panic");
        heard.last += 1;
        let id = heard.last;
        heard.answers.insert(id, sender);
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        // Where the browser has gone, no answer comes.
        let _ = self.out.send(Message::text(message.to_string()));
        answer
    }

    async fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        let answer = timeout(2 * PATIENCE, self.post(session, method, &parameters)).await;
        let answer = answer.unwrap_or_else(|_| panic!("the browser did not answer {method}")).expect("it is there");
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    /// Hears everything that a page or a worker says.
    fn listen(&self, session: &str) {
        for method in ["Runtime.enable", "Log.enable", "Network.enable", "Audits.enable"] {
            // A worker lacks some; its answer is not waited for.
            drop(self.post(Some(session), method, &json!({})));
        }
        let workers = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        drop(self.post(Some(session), "Target.setAutoAttach", &workers));
    }

    fn hear(&self, message: &Value) {
        let of = &message["params"];
        let complaint = match message["method"].as_str() {
            None => {
                let id = message["id"].as_u64().unwrap_or_default();
                let waiting = self.heard.lock().expect("no panic").answers.remove(&id);
                // Nobody may wait for it any more.
                drop(waiting.map(|waiting| waiting.send(message.clone())));
                return;
            }
            Some("Target.attachedToTarget") if of["targetInfo"]["type"] != "page" => {
                return self.listen(of["sessionId"].as_str().expect("a session"));
            }
            Some("Network.requestWillBeSent") => {
                let url = of["request"]["url"].as_str().expect("a URL").to_owned();
                return self.heard.lock().expect("no panic").requests.push(url);
            }
            Some("Network.webSocketCreated") => {
                let url = of["url"].as_str().expect("a URL").to_owned();
                return self.heard.lock().expect("no panic").requests.push(url);
            }
            Some("Runtime.exceptionThrown") => of["exceptionDetails"].to_string(),
            Some("Runtime.consoleAPICalled") if of["type"] == "error" || of["type"] == "warning" => {
                of["args"].to_string()
            }
            Some("Log.entryAdded") if of["entry"]["level"] != "info" && of["entry"]["level"] != "verbose" => {
                of["entry"].to_string()
            }
            Some("Audits.issueAdded") if of["issue"]["code"] == "ContentSecurityPolicyIssue" => of["issue"].to_string(),
            Some(_) => return,
        };
        self.heard.lock().expect("no panic").complaints.push(complaint);
    }
}

impl Window {
    async fn call(&self, method: &str, parameters: Value) -> Value {
        self.wire.call(Some(&self.session), method, parameters).await
    }

    /// The value of an expression of JavaScript, awaited where it is a promise.
    pub async fn run(&self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let outcome = self.call("Runtime.evaluate", parameters).await;
        assert!(outcome["exceptionDetails"].is_null(), "{expression}: {}", outcome["exceptionDetails"]);
        outcome["result"]["value"].clone()
    }

    /// The value of an expression, once it is neither null nor false nor empty.
    #[track_caller]
    pub fn wait_for(&self, expression: impl Into<String>) -> impl Future<Output = Value> {
        let expression = expression.into();
        let caller = std::panic::Location::caller();
        async move {
            let looking = format!(
                "new Promise((resolve) => {{
                     const look = () => {{
                         let value;
                         try {{ value = {expression}; }} catch {{ /* not yet */ }}
                         if (value) resolve(value); else setTimeout(look, 50);
                     }};
                     look();
                 }})"
            );
            let Ok(value) = timeout(PATIENCE, self.run(&looking)).await else {
                let page = self.run("document.body.innerText").await;
                let complaints = self.wire.heard.lock().expect("no panic").complaints.join("\n");
                panic!("{caller}: {expression} did not come to be; the page:\n{page}\ncomplaints:\n{complaints}")
            };
            value
        }
    }

    /// Clicks into the middle of what a selector of CSS names, once it is there.
    #[track_caller]
    pub fn click(&self, selector: &str) -> impl Future<Output = ()> {
        let place = format!(
            "(() => {{
                 const element = document.querySelector({});
                 element.scrollIntoView({{ block: 'nearest', inline: 'nearest' }});
                 const {{ left, top, width, height }} = element.getBoundingClientRect();
                 const [x, y] = [left + width / 2, top + height / 2];
                 return width > 0 && element.contains(document.elementFromPoint(x, y)) && [x, y];
             }})()",
            json!(selector)
        );
        let place = self.wait_for(place);
        async move {
            let place = place.await;
            // A window in the background draws nothing.
            self.call("Page.bringToFront", json!({})).await;
            for kind in ["mousePressed", "mouseReleased"] {
                let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
                self.call("Input.dispatchMouseEvent", event).await;
            }
        }
    }

    /// Types text where the cursor is, in place of what is selected.
    pub async fn write(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses a key with Ctrl.
    pub async fn control(&self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "modifiers": 2});
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Goes to another address.
    pub async fn go(&self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
    }

    /// Makes it a phone of that size, in CSS pixels.
    pub async fn phone(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 2, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Writes what is seen into a PNG file.
    pub async fn picture(&self, file: &Path) {
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().expect("an image")).expect("base64");
        std::fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// Where the browser says that it listens.
fn told_address(stderr: impl std::io::Read + Send + 'static) -> String {
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    while let Some(Ok(line)) = lines.next() {
        if let Some(address) = line.strip_prefix("DevTools listening on ") {
            let address = address.to_owned();
            // It goes on talking, and must not wait for a reader.
            std::thread::spawn(move || lines.for_each(drop));
            return address;
        }
        said.push_str(&line);
        said.push('\n');
    }
    panic!("the browser did not start:\n{said}")
}

/// The same names that `scripts/prerequisites.sh` looks for.
fn installed() -> Option<PathBuf> {
    let folders = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|binary| binary.is_file())
}
