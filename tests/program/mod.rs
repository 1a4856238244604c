//! Through the command line.

mod bad_disk;
mod bad_image;
mod bad_input;
mod batch;
mod chromium;
mod determinism;
mod events;
mod explain;
mod explore;
mod guide;
mod images;
mod language;
mod mistakes;
mod outside;
mod play;
mod reference;
mod report;
mod runs;
mod sweep;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::root;

/// `hvrsim` as the sources are now, in the profile of this test.
///
/// Cargo builds no other package's program for a test, so the test has it built: an old one is never met.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its file");
        let mut above = test.ancestors().skip(2);
        let profile = above.next().expect("a test stands in target/PROFILE/deps");
        let target = above.next().expect("a test stands in target/PROFILE/deps");
        let profile = profile.file_name().and_then(|name| name.to_str()).expect("profiles have plain names");
        let profile = if profile == "debug" { "dev" } else { profile };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(root())
            .args(["build", "--package", "hvrsim-cli", "--locked", "--offline", "--quiet"])
            .args(["--message-format", "json-render-diagnostics", "--profile", profile, "--target-dir"])
            .arg(target)
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).expect("it is JSON");
        let executable = |line: &str| {
            let message: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            message["executable"].as_str().map(PathBuf::from)
        };
        messages.lines().find_map(executable).expect("the program was built")
    })
}

/// What a call of the program came to.
#[derive(PartialEq, Eq, Debug)]
struct Answer {
    exit: i32,
    stdout: String,
    stderr: String,
}

fn answer(command: &mut Command) -> Answer {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    Answer {
        exit: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A folder of its own to call the program in.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    /// With a copy of a shipped scenario, without its folder.
    fn with(scenario: &str) -> Self {
        let site = Self::new();
        site.add(scenario);
        site
    }

    /// Copies another shipped scenario into it.
    fn add(&self, scenario: &str) {
        let from = root().join("scenarios").join(scenario);
        let to = self.path().join(from.file_name().expect("it is a file"));
        fs::copy(&from, to).expect("it can be copied");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, content).expect("it can be written");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.path()).args(args);
        command
    }

    fn call(&self, args: &[&str]) -> Answer {
        answer(&mut self.command(args))
    }

    /// Everything in the folder: folders as `None`, files by the digest of their content.
    fn content(&self) -> BTreeMap<PathBuf, Option<blake3::Hash>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("it can be listed") {
                let path = entry.expect("it can be listed").path();
                let hash = if path.is_dir() {
                    open.push(path.clone());
                    None
                } else {
                    Some(hash(&path))
                };
                found.insert(path, hash);
            }
        }
        found
    }
}

fn hash(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let file = fs::File::open(path).expect("it can be read");
    hasher.update_reader(file).expect("it can be read");
    hasher.finalize()
}
