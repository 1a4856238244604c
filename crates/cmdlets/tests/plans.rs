//! Lines in, operations or tables out, in a small world. `INSTA_UPDATE=always cargo test` rewrites the transcripts.

mod fake;

use fake::{Fake, HV1, HV2, WEB01};
use hvrsim_cmdlets::{Action, BindError, Names, bind, check, parse, plan};
use hvrsim_replica::operation::Operation;
use hvrsim_sim::look::Look;
use hvrsim_types::state::{Power, ReplicationState};

fn planned(line: &str, host: Option<&str>, world: &Fake) -> Result<Vec<Action>, BindError> {
    plan(&bind(&parse(line).expect("a line"))?, host, world)
}

fn answer(line: &str, host: Option<&str>, world: &Fake) -> String {
    let one = |action: &Action| match action {
        Action::Return { on, class } => {
            let text = hvrsim_cmdlets::returned(*class, *on, world);
            text.lines().map(|l| format!("  < {l}\n")).collect()
        }
        Action::Show { text } => text.lines().map(|l| format!("  | {l}\n")).collect(),
        Action::Operate { on, operation, waits } => {
            let (host, vm) = (world.host_name(on.host), world.vm_name(on.vm));
            let of = if on.vm.is_extended() { " (extended)" } else { "" };
            format!("  {host}/{vm}{of} {operation:?}{}\n", if *waits { "" } else { " (does not wait)" })
        }
    };
    match planned(line, host, world) {
        Ok(actions) if actions.is_empty() => "  nothing\n".to_owned(),
        Ok(actions) => actions.iter().map(one).collect(),
        Err(e) => {
            let place = e.span.map_or_else(String::new, |span| format!(" at `{}`", &line[span]));
            let help = e.help.map_or_else(String::new, |help| format!("  help: {help}\n"));
            format!("  {}{place}\n{help}  id: {}\n", e.message, e.id)
        }
    }
}

fn transcript(lines: &[&str], host: Option<&str>, world: &Fake) -> String {
    lines.iter().fold(String::new(), |all, line| format!("{all}> {line}\n{}\n", answer(line, host, world)))
}

#[test]
fn operations() {
    let lines = [
        "Enable-VMReplication db01 hv2.contoso.com 80 Kerberos -RecoveryHistory 4 -ReplicationFrequencySec 30",
        "Enable-VMReplication db01 -AsReplica",
        "Remove-VMReplication web01",
        "Set-VMReplication web01 -RecoveryHistory 12 -CompressionEnabled $false",
        "Set-VMReplication web01 -AutoResync $true -AutoResyncStart 22:00 -AutoResyncEnd 5:30",
        "Set-VMReplication web01 -AsReplica",
        "Set-VMReplication web01 -Reverse -ComputerName HV2",
        "Set-VMReplication web01 -Reverse -ReplicaServerName DR3 -ComputerName HV2",
        "Suspend-VMReplication web01 -ComputerName HV1,HV2",
        "Resume-VMReplication web01",
        "Resume-VMReplication web01 -Continue",
        "Resume-VMReplication web01 -Resynchronize",
        "Resume-VMReplication web01 -Resynchronize -ResynchronizeStartTime '2026-01-05 18:30'",
        "Stop-VMReplication web01",
        "Reset-VMReplicationStatistics web01",
        "Start-VMInitialReplication *",
        "Start-VMInitialReplication web02 -UseBackup -InitialReplicationStartTime '01/06/2026 1:00 AM'",
        "Stop-VMInitialReplication web02",
        "Start-VMFailover web01 -Prepare",
        "Start-VMFailover web01 -ComputerName HV2 -Confirm:$false",
        "Start-VMFailover web01 -ComputerName HV2 -AsJob",
        "Start-VMFailover -VMRecoverySnapshot HV2/web01@-2",
        "Stop-VMFailover web01",
        "Complete-VMFailover web01 -ComputerName HV2",
        "Start-VM web*",
        "Start-VM web0?,db01,WEB01",
        "Start-VM nothing*",
        "Stop-VM web01",
        "Stop-VM web01 -TurnOff",
        "Stop-VM web01 -Save",
        "Save-VM web01",
        "Remove-VMSavedState db01",
        "Checkpoint-VM web01",
        "Remove-VMSnapshot web01",
        "Stop-VM web01 -ComputerName localhost",
        "Stop-VM web01,db01 -WhatIf",
        "Suspend-VMReplication web01 -Passthru",
        "Start-VM web01,db01 -Passthru",
        "Enable-VMReplication db01 HV2 80 1 -Passthru -AsJob",
        "Enable-VMReplication db01 HV2 80 Kerberos -ExcludedVhdPath 'D:\\VHD\\db01-disk1.vhdx'",
        "Enable-VMReplication db01 HV2 80 Kerberos -ExcludedVhdPath web01-disk1.vhdx",
        "Set-VMReplication web01 -ReplicatedDiskPaths web01-disk0.vhdx,WEB01-DISK1.VHDX",
        "Set-VMReplication web01 -ReplicatedDiskPaths web01-disk7.vhdx",
        "Set-VMReplication web01 -ReplicatedDiskPaths system.vhdx",
        "Start-VMInitialReplication web02 -DestinationPath E:\\IR",
        "Import-VMInitialReplication web01 'E:\\IR\\web01_0' -ComputerName HV2",
        "Import-VMInitialReplication web01 -Path E:\\ -ComputerName HV2",
        "Set-VMReplication web01 -VSSSnapshotFrequencyHour 4",
        "Set-VMReplication web01 -DisableVSSSnapshotReplication",
        "Resize-VHD web01-disk0.vhdx 16GB",
        "Resize-VHD -Path web01-disk0.vhdx,db01-disk1.vhdx -ToMinimumSize -WhatIf",
        "Resize-VHD -Path nobody-disk0.vhdx -SizeBytes 16GB",
    ];
    insta::assert_snapshot!(transcript(&lines, Some("HV1"), &Fake::new()));
}

#[test]
fn shown() {
    let world = Fake::new();
    let point = world.points[0].guid;
    let by_id = format!("Get-VMSnapshot -Id {point} -ComputerName HV2");
    let lines = [
        "Get-VMReplication",
        "Get-VMReplication -ComputerName HV1,HV2 -VMName web01",
        "Get-VMReplication -ReplicationState ReadyForInitialReplication",
        "Get-VMReplication -Health Critical",
        "Get-VMReplication -ReplicaServerName hv2.contoso.com -Mode Primary",
        "Measure-VMReplication web01",
        "Get-VM",
        "Get-VM -Name db01",
        "Get-VMSnapshot web01 -ComputerName HV2",
        "Get-VMSnapshot web01 -ComputerName HV2 -SnapshotType AppConsistentReplica",
        "Get-VMSnapshot web01",
        &by_id,
        "Get-VMReplication -ReplicationState 1",
        "Get-VMReplicationServer",
        "Get-VMReplicationServer -ComputerName HV1,HV2",
        "Get-VMReplicationAuthorizationEntry -ComputerName HV2",
        "Get-VMReplicationAuthorizationEntry HV1 -ComputerName HV2",
        "Test-VMReplicationConnection HV2 80 Kerberos",
        "Test-VMReplicationConnection HV1 80 Kerberos",
        "Test-VMReplicationConnection HV2 443 Certificate",
        "Test-VMReplicationConnection HV2 443 Certificate -ComputerName DR3 -Thumbprint 00",
    ];
    insta::assert_snapshot!(transcript(&lines, Some("HV1"), &world));
}

/// On a replica, what begins or changes sending is about its extended relationship.
#[test]
fn of_a_middle_copy() {
    let lines = [
        "Get-VMReplication web01",
        "Get-VMReplication web01 -ReplicationRelationshipType Extended",
        "Get-VMReplication web01 -Relationship Simple",
        "Measure-VMReplication",
        "Start-VMInitialReplication *",
        "Stop-VMInitialReplication web01",
        "Set-VMReplication web01 -RecoveryHistory 4",
        "Set-VMReplication web01 -Reverse",
        "Suspend-VMReplication web01",
        "Suspend-VMReplication web01 -Relationship Extended",
        "Resume-VMReplication web01 -Resynchronize -Relationship Extended",
        "Resume-VMReplication web01 -Resynchronize",
        "Stop-VMReplication web01 -Relationship Extended",
        "Reset-VMReplicationStatistics web01 -Relationship Extended",
        "Remove-VMReplication web01 -Relationship Extended",
        "Remove-VMReplication web01",
        "Resume-VMReplication web01 -Continue",
    ];
    let mut world = Fake::extended(ReplicationState::ReadyForInitialReplication);
    let mut text = transcript(&lines, Some("HV2"), &world);
    for state in [ReplicationState::Recovered, ReplicationState::Committed] {
        world.copy_mut(HV2, WEB01).state = state;
        text += &transcript(&["Resume-VMReplication web01 -Continue"], Some("HV2"), &world);
    }
    let first = "Enable-VMReplication web01 DR3 80 Kerberos -ReplicationFrequencySec 900";
    text += &transcript(&[first], Some("HV2"), &Fake::new());
    insta::assert_snapshot!(text);
}

#[test]
fn not_found() {
    let lines = [
        "Start-VM web03 -ComputerName HV1",
        "Start-VM db01 -ComputerName HV2",
        "Start-VM web01 -ComputerName HV4",
        "Start-VM web01",
        "Enable-VMReplication db01 192.0.2.7 80 Kerberos -ComputerName HV1",
        "Start-VMFailover -VMRecoverySnapshot HV2/web01@-4",
        "Start-VMFailover -VMRecoverySnapshot HV2/web@-1",
        "Start-VMFailover -VMRecoverySnapshot DR3/web01@-1",
        "Start-VMFailover -VMRecoverySnapshot 00000000-0000-0000-0000-000000000001",
        "Resume-VMReplication web01 -Resync -ResyncStart 2026-01-05T09:30 -ComputerName HV1",
        "Resume-VMReplication web01 -Resync -ResyncStart 2027-01-05T09:30 -ComputerName HV1",
    ];
    insta::assert_snapshot!(transcript(&lines, None, &Fake::new()));
}

#[test]
fn a_failover_is_reverted_with_the_machine_off() {
    let mut world = Fake::new();
    let copy = world.copy_mut(HV2, WEB01);
    (copy.state, copy.power) = (ReplicationState::Recovered, Power::Running);
    let asked: Vec<_> = planned("Stop-VMFailover web01", Some("HV2"), &world)
        .unwrap()
        .into_iter()
        .map(|action| match action {
            Action::Operate { operation, .. } => operation,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, [Operation::TurnOffVm, Operation::RevertFailover]);
}

#[test]
fn a_point_is_found_by_its_guid() {
    let world = Fake::new();
    let by_guid = format!("Start-VMFailover -VMRecoverySnapshot {}", world.points[1].guid);
    assert_eq!(
        planned(&by_guid, None, &world),
        planned("Start-VMFailover -VMRecoverySnapshot HV2/web01@-2", Some("HV1"), &world)
    );
}

#[test]
fn a_host_that_is_down_shows_nothing() {
    let mut world = Fake::new();
    world.down = Some(HV1);
    let error = planned("Get-VM -ComputerName HV1", None, &world).unwrap_err();
    assert_eq!(error.message, "The operation on computer 'HV1' failed: it does not answer.");
    assert!(planned("Start-VM web01", Some("HV1"), &world).is_ok(), "the host's own answer is a rule's");
}

#[test]
fn names_are_checked_without_a_world() {
    let (hosts, vms) = (["HV1".to_owned(), "HV2".to_owned()], ["web01".to_owned()]);
    let names = Names { hosts: &hosts, access_points: &[], vms: &vms };
    let check = |line: &str| check(&bind(&parse(line).unwrap()).unwrap(), &names);
    assert_eq!(check("Start-VM web0* -ComputerName HV2.contoso.com"), Ok(()));
    assert_eq!(check("Start-VM wbe01").unwrap_err().help.as_deref(), Some("did you mean `web01`?"));
    assert_eq!(check("Start-VM web01 -ComputerName HV7").unwrap_err().span, Some(15..32));
    assert!(check("Start-VMFailover -VMRecoverySnapshot HV3/web01@-1").is_err());
}
