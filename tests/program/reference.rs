//! The reference pages are those that the program makes.

use std::fs;

use super::Site;
use crate::golden;

#[test]
fn the_committed_pages_are_fresh() {
    let site = Site::new();
    fs::create_dir(site.path().join("pages")).expect("the folder can be made");
    let answer = site.call(&["reference", "pages"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    let mut names: Vec<String> = fs::read_dir(site.path().join("pages"))
        .expect("it can be listed")
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 9);
    for name in names {
        let text = fs::read_to_string(site.path().join("pages").join(&name)).expect("it can be read");
        golden::check(&format!("../../docs/reference/{name}"), &text);
    }
}
