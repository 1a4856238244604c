//! What the scripts call back for: reading two files, and a session between two processes.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Subcommand;
use hvrsim_disk::file::{BlockFile, HostFile};

/// A part that a script runs and times.
#[derive(Subcommand)]
pub(crate) enum Helper {
    /// Reads what is allocated of two files, a thread each
    Read { first: PathBuf, second: PathBuf },
    /// A resync over loopback TCP between two processes of PROGRAM
    Tcp { program: PathBuf, source: PathBuf, target: PathBuf, scratch: PathBuf },
}

impl Helper {
    pub(crate) fn run(&self) -> Result<(), String> {
        match self {
            Self::Read { first, second } => both(first, second),
            Self::Tcp { program, source, target, scratch } => tcp(program, source, target, scratch),
        }
    }
}

fn both(first: &Path, second: &Path) -> Result<(), String> {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| read(second));
        let own = read(first);
        own.and(other.join().map_err(|_| "a thread panicked".to_owned())?)
    })
    .map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = HostFile::new(File::open(path).map_err(told)?);
    let end = file.len().map_err(told)?;
    let mut buffer = vec![0; 1 << 20];
    for extent in file.data_extents(0..end).map_err(told)? {
        let mut at = extent.start;
        while at < extent.end {
            let len = usize::try_from(extent.end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            file.read_at(at, &mut buffer[..len]).map_err(told)?;
            at += len as u64;
        }
    }
    Ok(())
}

fn tcp(program: &Path, source: &Path, target: &Path, scratch: &Path) -> Result<(), String> {
    let key = scratch.join("key");
    std::fs::write(&key, "a key for a measurement").map_err(|error| format!("{}: {error}", key.display()))?;
    let mut serve = Command::new(program);
    serve.args(["resync", "serve", "--listen", "127.0.0.1:0", "--write", "--once", "--key-file"]).arg(&key);
    serve.arg("--export").arg(format!("disk={}", target.display())).stdout(Stdio::piped());
    let mut server = serve.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let pushed = push(program, source, &key, &mut server);
    if pushed.is_err() {
        let _ = server.kill();
    }
    let served = server.wait().map_err(|error| error.to_string())?;
    pushed?;
    if served.success() { Ok(()) } else { Err(format!("the server ended with {served}")) }
}

fn push(program: &Path, source: &Path, key: &Path, server: &mut std::process::Child) -> Result<(), String> {
    let mut told = String::new();
    let out = server.stdout.take().ok_or("the server has no output")?;
    let mut out = BufReader::new(out);
    out.read_line(&mut told).map_err(|error| error.to_string())?;
    let address =
        told.split([' ', ';']).find(|word| word.contains(':')).ok_or("the server told no address")?;
    let mut client = Command::new(program);
    client.args(["resync", "-q", "--key-file"]).arg(key).arg(source).arg(format!("tcp://{address}/disk"));
    let done = client.status().map_err(|error| error.to_string())?;
    // Read to its end, or the server's last words fail.
    let _ = std::io::copy(&mut out, &mut std::io::sink());
    if done.success() { Ok(()) } else { Err(format!("the client ended with {done}")) }
}
