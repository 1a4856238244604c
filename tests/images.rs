//! Images that other programs make and judge. A missing program is a failure, never a skipped test.

use std::path::Path;
use std::process::Command;

/// Runs a program of QEMU's and gives back what it printed.
pub(crate) fn qemu(program: &str, folder: &Path, args: &[&str]) -> String {
    let output = Command::new(program).current_dir(folder).args(args).output().unwrap_or_else(|error| {
        panic!(
            "{program} cannot be started ({error}): install Debian's qemu-utils, or `cargo xtask ci tools`"
        )
    });
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{program} {} ended with {}:\n{text}", args.join(" "), output.status);
    text
}

/// Makes a disk of 4 GiB with data on both sides of block edges, at its start and at its very end.
pub(crate) fn make(folder: &Path, name: &str, format: &str) {
    let options: &[&str] = if format == "vhdx" { &["-o", "subformat=dynamic,block_size=1M"] } else { &[] };
    qemu("qemu-img", folder, &[&["create", "-q", "-f", format], options, &[name, "4G"]].concat());
    let writes = [
        "write -P 0x11 0 128k",
        "write -P 0x22 1020k 8k",
        "write -P 0x33 64M 3M",
        "write -P 0x44 1073737728 12k",
        "write -P 0x55 2047M 2M",
        "write -P 0x66 3500M 512",
        "write -P 0x77 4294959104 8k",
    ];
    let commands: Vec<&str> = writes.iter().flat_map(|write| ["-c", write]).collect();
    qemu("qemu-io", folder, &[&["-f", format], commands.as_slice(), &[name]].concat());
}
