//! Every situation of a small world, and the way out of one.

use super::Site;

#[test]
fn every_situation_of_pauses_and_resynchronizations() {
    let answer = Site::new().call(&["explore", "--space", "resync", "--threads", "2"]);
    assert_eq!(answer.exit, 0, "{}{}", answer.stdout, answer.stderr);
    assert!(
        answer.stdout.contains("from every situation operators lead back to protection"),
        "{}",
        answer.stdout
    );
    assert_eq!(answer, Site::new().call(&["explore", "--space", "resync", "--threads", "1"]));
}

#[test]
fn the_way_out_of_a_situation() {
    let from = "HV1 Primary WaitingForStartResynchronize; HV2 Replica Replicating";
    let answer = Site::new().call(&["explore", "--space", "resync", "--from", from, "--to", "protected"]);
    let told = format!("{}{}", answer.stdout, answer.stderr);
    let nowhere = Site::new().call(&["explore", "--from", "somewhere", "--to", "protected"]);
    assert_eq!(nowhere.exit, 2, "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("`somewhere` names no copy"), "{}", nowhere.stderr);
    assert_eq!(answer.exit, 0, "{told}");
    assert!(
        told.contains("The shortest way to protection:") && told.contains("Resume-VMReplication"),
        "{told}"
    );
}
