//! The stepper, driven through a terminal.

use std::process::Command;
use std::time::{Duration, Instant};

use super::Site;

/// How long a screen may take: far more than it does, as the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A terminal of its own, which ends with this.
struct Terminal(String);

impl Terminal {
    fn new(site: &Site, args: &[&str]) -> Self {
        let name = site.path().file_name().expect("it has a name").to_string_lossy().into_owned();
        let terminal = Self(name);
        let program = super::program().to_str().expect("it is text").to_owned();
        let call = format!("{program} {}; echo ended with $?; sleep 600", args.join(" "));
        let folder = site.path().to_str().expect("it is text");
        terminal.tmux(&["new-session", "-d", "-x", "140", "-y", "44", "-c", folder, &call]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.0, "-f", "/dev/null"])
            .args(args)
            .output()
            .expect("tmux starts; `cargo xtask ci --install tools` installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is text")
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn write(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// The screen, once it shows this.
    fn shows(&self, text: &str) -> String {
        self.becomes(text, |screen| screen.contains(text))
    }

    /// The screen, once it is as wanted: it may be looked at while it is drawn, the lower lines last.
    fn becomes(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if wanted(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "`{what}` does not come:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.0, "kill-server"]).output();
    }
}

/// The digest that the screen shows.
fn digest(screen: &str) -> String {
    let (_, rest) = screen.split_once("digest ").unwrap_or_else(|| panic!("no digest on\n{screen}"));
    rest.chars().take(16).collect()
}

#[test]
fn steps_rewinds_breaks_asks_and_records() {
    let site = Site::with("failover/unplanned-failover.yaml");
    let terminal = Terminal::new(&site, &["play", "unplanned-failover.yaml", "--record", "played.yaml"]);
    let screen = terminal.shows("0 of 12 steps");
    for part in
        ["Steps", "Lanes", "Next events", "Timeline", "HV1/web01", "Primary Replicating", "timer Cycle"]
    {
        assert!(screen.contains(part), "{part} on\n{screen}");
    }

    // Forwards, by an event into the next step, and back: the same place is the same world.
    terminal.press(&["s", "s", "s"]);
    let straight = digest(&terminal.shows("3 of 12 steps "));
    terminal.press(&["s", "s", "s"]);
    assert_ne!(digest(&terminal.shows("6 of 12 steps ")), straight);
    terminal.press(&["u", "u", "u"]);
    assert_eq!(digest(&terminal.shows("3 of 12 steps ")), straight, "after rewinding");
    terminal.press(&["e"]);
    assert_ne!(digest(&terminal.shows("3 of 12 steps and a part")), straight);
    terminal.press(&["u"]);
    assert_eq!(digest(&terminal.shows("3 of 12 steps  ")), straight);

    // A run halts at a breakpoint.
    terminal.press(&["Down", "Down", "b", "r"]);
    terminal.shows("5 of 12 steps");
    terminal.press(&["Home"]);
    terminal.shows("0 of 12 steps");
    terminal.press(&["s", "s", "s"]);
    assert_eq!(digest(&terminal.shows("3 of 12 steps ")), straight, "from the start again");

    // Why not?
    terminal.press(&["?"]);
    terminal.write("HV2: Start-VM -Name web01");
    terminal.press(&["Enter"]);
    terminal.shows("W-1 refuses Start-VM on HV2: web01 is Replica Replicating");
    assert_eq!(digest(&terminal.shows("3 of 12 steps ")), straight, "asking changes nothing");

    // A fault that the file has not, from the menu; and a step as it is written.
    terminal.press(&["f"]);
    terminal.shows("Put in here");
    terminal.press(&["Down", "Down", "Enter"]);
    let screen = terminal.shows("4 of 13 steps");
    assert!(screen.contains("HV2 (down)/web01") && screen.contains("power: lost"), "{screen}");
    terminal.press(&[":"]);
    terminal.write("advanc: 5m");
    terminal.press(&["Enter"]);
    terminal.shows("a step has no key `advanc`");
    terminal.press(&[":"]);
    terminal.write("advance: 5m");
    terminal.press(&["Enter"]);
    let played = digest(&terminal.shows("5 of 14 steps"));
    terminal.press(&["q"]);
    terminal.shows("ended with 0");

    let text = String::from_utf8(site.read("played.yaml")).expect("it is text");
    assert!(text.contains("  - fault: { host: HV2, power: lost }\n  - advance: 5m"), "{text}");
    let answer = site.call(&["run", "played.yaml", "--quiet"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains(&played), "{played} is played again: {}", answer.stdout);
}

#[test]
fn what_goes_wrong_is_shown_and_can_be_gone_back_from() {
    let site = Site::new();
    site.write(
        "red.yaml",
        "scenario: Red\ntopology:\n  hosts: { HV1: {}, HV2: {} }\n  links: { HV1-HV2: {} }\n  vms:\n    web01: { \
         host: HV1, disks: [ { size: 1GiB } ], replica: { host: HV2 } }\nsteps:\n  - advance: 1m\n  - host: \
         HV2\n    run: Start-VM -Name web01\n  - advance: 1m\n",
    );
    let terminal = Terminal::new(&site, &["play", "red.yaml"]);
    terminal.shows("0 of 3 steps");
    terminal.press(&["r"]);
    let screen = terminal.shows("line 10: W-1 refuses Start-VM on HV2");
    assert!(screen.contains("1 of 3 steps") && screen.contains("✗ 2."), "{screen}");
    terminal.press(&["u"]);
    terminal.becomes("back, without the error", |screen| {
        screen.contains("0 of 3 steps") && !screen.contains("refuses")
    });
    terminal.press(&["q"]);
    terminal.shows("ended with 0");
}

#[test]
fn needs_a_terminal() {
    let site = Site::with("failover/unplanned-failover.yaml");
    let answer = site.call(&["play", "unplanned-failover.yaml"]);
    assert_eq!(answer.exit, 3);
    assert!(answer.stderr.contains("needs a terminal"), "{}", answer.stderr);
}
