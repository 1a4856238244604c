//! The files of virtual disks, as clients name them: a machine's disk has one path, the same on every host.

/// The folder in which Hyper-V makes virtual hard disks where nobody says another.
const FOLDER: &str = "C:\\Users\\Public\\Documents\\Hyper-V\\Virtual Hard Disks";

/// The path of a machine's disk.
#[must_use]
pub fn disk_path(vm: &str, disk: u8) -> String {
    format!("{FOLDER}\\{vm}-disk{disk}.vhdx")
}

/// The machine's name and the disk that a path, or a file's name alone, is of. The folder is not looked at.
#[must_use]
pub fn disk_named(path: &str) -> Option<(&str, u8)> {
    let file = path.rsplit(['\\', '/']).next()?;
    let (stem, extension) = file.rsplit_once('.')?;
    let known = ["vhdx", "vhd", "raw"].iter().any(|known| extension.eq_ignore_ascii_case(known));
    let at = stem.to_ascii_lowercase().rfind("-disk")?;
    let number = stem[at + "-disk".len()..].parse().ok()?;
    known.then_some((&stem[..at], number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_disk_that_it_was_made_for() {
        assert_eq!(disk_named(&disk_path("web01", 12)), Some(("web01", 12)));
        assert_eq!(disk_named("D:/old/My-Disk-DISK3.VHD"), Some(("My-Disk", 3)));
        for wrong in
            ["web01.vhdx", "web01-disk0", "web01-disk256.vhdx", "web01-disk.vhdx", "", "web01-disk0.iso"]
        {
            assert_eq!(disk_named(wrong), None, "{wrong}");
        }
    }
}
