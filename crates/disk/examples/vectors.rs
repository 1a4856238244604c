//! The conformance set beside another one: `vectors --vectors DIR` reads every file of a folder that names
//! its expectations in `expected.tsv`, tells where the library differs from that table and where that table
//! differs from this project's. `vectors --write DIR` writes this project's files.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

#[path = "../tests/vectors/set/mod.rs"]
mod set;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use hvrsim_disk::file::{BlockFile, FileSystem, HostFs};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--vectors", folder] => compare(Path::new(folder)),
        ["--write", folder] => write(Path::new(folder)),
        _ => {
            println!("usage: vectors --vectors DIR | --write DIR");
            ExitCode::from(2)
        }
    }
}

fn compare(folder: &Path) -> ExitCode {
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("DIR holds expected.tsv");
    let rows = table.lines().skip(1).filter_map(|line| line.split_once('\t'));
    let theirs: BTreeMap<&str, &str> =
        rows.map(|(name, rest)| (name, rest.split('\t').next().unwrap_or_default())).collect();
    let ours: BTreeMap<&str, &str> = set::expected().collect();
    let mut differences = 0;
    let mut tell = |text: String| {
        println!("{text}");
        differences += 1;
    };
    for (name, wanted) in &theirs {
        let found = set::reading(&HostFs, folder, name);
        if !set::fits(&found, wanted) {
            tell(format!("{name}: wanted {wanted}, read {found}"));
        }
        match ours.get(name) {
            None => tell(format!("{name}: not in this project's set")),
            Some(own) if own != wanted => tell(format!("{name}: wanted {wanted} there, {own} here")),
            Some(_) => {}
        }
    }
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        tell(format!("{name}: only in this project's set"));
    }
    println!("{} files there, {} here, {differences} differences", theirs.len(), ours.len());
    ExitCode::from(u8::from(differences > 0))
}

fn write(folder: &Path) -> ExitCode {
    std::fs::create_dir_all(folder).unwrap();
    for (name, file) in set::files() {
        let target = HostFs.create_new(&folder.join(name)).unwrap();
        let len = file.len().unwrap();
        target.set_len(len).unwrap();
        for part in file.data_extents(0..len).unwrap() {
            let mut bytes = vec![0; usize::try_from(part.end - part.start).unwrap()];
            file.read_at(part.start, &mut bytes).unwrap();
            target.write_at(part.start, &bytes).unwrap();
        }
    }
    let rows: String = set::expected().map(|(name, reads)| format!("{name}\t{reads}\t\n")).collect();
    std::fs::write(folder.join("expected.tsv"), format!("file\treads\tnote\n{rows}")).unwrap();
    ExitCode::SUCCESS
}
