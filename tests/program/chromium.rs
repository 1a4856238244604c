//! Chromium without a window, driven by its own protocol over pipes: nothing but the program itself is needed, no
//! driver of the right version and no port.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

/// How long anything may take: far more than it does, as the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(super) struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: String,
    last: u64,
    /// What the page asked for, and what it complained of, since it was opened.
    pub(super) requests: Vec<String>,
    pub(super) complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it.
    pub(super) fn new() -> Self {
        let profile = tempfile::tempdir().expect("a folder can be made");
        // The protocol is spoken on the descriptors 3 and 4, each message ended by a zero byte.
        let script = "exec chromium --headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions \
                      --disable-component-update --disable-background-networking --hide-scrollbars \
                      --remote-debugging-pipe --user-data-dir=\"$1\" about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut process = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let to = process.stdin.take().expect("it has an input");
        let mut out = BufReader::new(process.stdout.take().expect("it has an output"));
        let (send, from) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while out.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).expect("Chromium speaks JSON");
                message.clear();
                if send.send(value).is_err() {
                    return;
                }
            }
        });
        let (requests, complaints) = (Vec::new(), Vec::new());
        let session = String::new();
        let mut browser =
            Self { process, to, from, session, last: 0, requests, complaints, _profile: profile };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().expect("the page has a session").to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.ask(domain, &json!({}));
        }
        browser
    }

    /// Calls a method of the protocol; what comes meanwhile is noted.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect(
            "Chromium listens: is it installed? `cargo xtask ci --install tools` installs Debian's package",
        );
        loop {
            let answer = self.next();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    fn next(&mut self) -> Value {
        let message = self.from.recv_timeout(PATIENCE).expect(
            "Chromium answers: is it installed? `cargo xtask ci --install tools` installs Debian's package",
        );
        let params = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => {
                self.complaints.push(params.to_string());
            }
            _ => {}
        }
        message
    }

    /// Sets the size of the window and the colours that the reader likes.
    pub(super) fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", &scheme);
    }

    /// Opens a file.
    pub(super) fn open(&mut self, file: &Path) {
        self.requests.clear();
        self.complaints.clear();
        let url = format!("file://{}", file.display());
        let answer = self.ask("Page.navigate", &json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        while self.next()["method"] != "Page.loadEventFired" {}
    }

    /// The value of an expression in the page.
    pub(super) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The text that a reader sees of the first element that is chosen.
    pub(super) fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({selector:?})?.innerText ?? ''"));
        text.as_str().expect("it is text").to_owned()
    }

    /// Presses and releases the mouse in the middle of the first element that is chosen.
    pub(super) fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center', behavior: \
             'instant' }}); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let params =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", &params);
        }
    }

    /// Presses and releases a key.
    pub(super) fn key(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.ask("Input.dispatchKeyEvent", &json!({ "type": kind, "key": key, "code": key }));
        }
    }

    /// The whole page as a picture.
    pub(super) fn picture(&mut self) -> Vec<u8> {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        base64(&self.ask("Page.captureScreenshot", &params)["data"])
    }

    /// The page as it is printed.
    pub(super) fn print(&mut self) -> Vec<u8> {
        base64(&self.ask("Page.printToPDF", &json!({ "printBackground": true }))["data"])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn base64(value: &Value) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in value.as_str().expect("it is text").bytes().filter(|byte| *byte != b'=') {
        let value = DIGITS.iter().position(|known| *known == digit).expect("it is base64");
        bits = bits << 6 | u32::try_from(value).expect("it is small");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).expect("it is a byte"));
        }
    }
    bytes
}
