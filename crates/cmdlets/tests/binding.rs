//! Lines in, bindings or messages out. The transcript is a snapshot: `INSTA_UPDATE=always cargo test` rewrites it.

use std::ops::Range;

use hvrsim_cmdlets::{bind, parse};

/// The line, a caret under what is wrong, the message and the help.
fn complaint(line: &str, span: Option<&Range<usize>>, message: &str, help: Option<&str>) -> String {
    let caret = span.map_or_else(String::new, |span| {
        let (before, marked) = (line[..span.start].chars().count(), line[span.clone()].chars().count());
        format!("  {}{}\n", " ".repeat(before), "^".repeat(marked.max(1)))
    });
    let help = help.map_or_else(String::new, |help| format!("  help: {}\n", help.replace('\n', "\n  ")));
    format!("{caret}  {message}\n{help}")
}

fn answer(line: &str) -> String {
    let line_of = |span: Option<&Range<usize>>, id: &str, message: &str, help: Option<&str>| {
        format!("{}  id: {id}\n", complaint(line, span, message, help))
    };
    let parsed = match parse(line) {
        Ok(parsed) => parsed,
        Err(e) => return line_of(Some(&e.span), "(syntax)", &e.message, e.help.as_deref()),
    };
    match bind(&parsed) {
        Err(e) => line_of(e.span.as_ref(), &e.id, &e.message, e.help.as_deref()),
        Ok(call) => {
            let ignored: Vec<_> = call.without_effect().collect();
            let waits = if call.waits() { "waits" } else { "does not wait" };
            let ignored = if ignored.is_empty() {
                String::new()
            } else {
                format!("; no effect: {}", ignored.join(" "))
            };
            format!("  {call}\n  set {}; {waits}{ignored}\n", call.set())
        }
    }
}

fn transcript(lines: &[&str]) -> String {
    lines.iter().fold(String::new(), |all, line| format!("{all}> {line}\n{}\n", answer(line)))
}

#[test]
fn syntax() {
    let text = transcript(&[
        "",
        "   # only a comment",
        "start-vm web01 # and a comment",
        "Hyper-V\\Start-VM web01",
        "Start-VM 'web 01', \"it's\", db#1,'don''t'",
        "Start-VM \u{2013}Name \u{201c}web01\u{201d}",
        "Start-VM web01 -Confirm:$false -Passthru: $true",
        "Start-VM -Name:web01",
        "Start-VM -Name:",
        "Start-VM web01,",
        "Start-VM ,web01",
        "Start-VM web01; Stop-VM web01",
        "Get-VM web01 | Start-VM",
        "Start-VM $name",
        "$vm = Get-VM web01",
        "Start-VM -Name \"$env:COMPUTERNAME-01\"",
        "Start-VM -Name web$i",
        "Start-VM @arguments",
        "Start-VM (Get-VM web01)",
        "Start-VM web01 `",
        "Start-VM web01 > log.txt",
        "Start-VM 'web01",
        "'Start-VM' web01",
        "& Start-VM web01",
        "Start-VM \"web`t01\"",
        "Get-VM | Where-Object { $_.State -eq 'Off' }",
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn bindings() {
    let text = transcript(&[
        "Start-VMFailover -Prepare web01 -ComputerName HV1",
        "Start-VMFailover web01 -AsJob",
        "Start-VMFailover -VMRecoverySnapshot HV2/web01@-2 -Confirm:$false",
        "Start-VMFailover -VMRecoveryCheckpoint 0d6f7a52-7a4c-4d2e-9a3f-0a5b5c8f1f10",
        "Start-VMFailover -VMName web01 -AsTest:$false",
        "Enable-VMReplication web01 HV2.contoso.com 80 Kerberos -RecHist 4 -RepFreq 30 -Compr $true",
        "Enable-VMReplication -VMName web01,db01 -ReplicaServerName HV2 -ReplicaServerPort 443 -AuthType cert -Cert 0F1E",
        "Enable-VMReplication web01 -AsReplica -AllowedPrimaryServer HV1",
        "Set-VMReplication web01 -AutoResync $true -AutoResyncStart 0:00 -AutoResyncEnd 23:59:59",
        "Set-VMReplication -VMName web01 -Reverse -ReplicaServerName HV1",
        "Set-VMReplication web01 -AsReplica",
        "Suspend-VMReplication web* -Relationship Simple",
        "Resume-VMReplication web01",
        "Resume-VMReplication web01 -Resync -ResyncStart '2026-01-06 22:00'",
        "Resume-VMReplication web01 -Continue",
        "Start-VMInitialReplication web01 -UseBackup -IRTime \"1/6/2026 10:00 PM\"",
        "Stop-VMInitialReplication web01",
        "Get-VMReplication",
        "Get-VMReplication -State Repl -Health crit",
        "Measure-VMReplication -Mode Primary -ComputerName HV1, HV2",
        "Reset-VMReplicationStatistics web01",
        "Stop-VMFailover web01",
        "Complete-VMFailover web01 -WhatIf",
        "Remove-VMReplication web01",
        "Stop-VMReplication web01",
        "Get-VM",
        "Get-VM -Id 0d6f7a52-7a4c-4d2e-9a3f-0a5b5c8f1f10",
        "Stop-VM web01 -TurnOff -Force",
        "Save-VM web01 -ErrorAction Stop",
        "Remove-VMSavedState web01",
        "Checkpoint-VM web01 before-patch",
        "Get-VMSnapshot web01 -SnapshotType Replica",
        "Get-VMCheckpoint web01",
        "Remove-VMSnapshot web01",
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn wrong_usage() {
    let text = transcript(&[
        "Strat-VM web01",
        "Start-VMFailback web01",
        "Restart-VM web01",
        "Import-VMInitialReplication web01 C:\\seed",
        "Frobnicate-Everything",
        "Start-VMFailover -VMName web01 -VMRecoverySnapshot HV2/web01@-2",
        "Start-VMFailover web01 -Prepare -AsTest",
        "Start-VMFailover -Prepare",
        "Start-VMFailover -AsTest",
        "Start-VMFailover web01 -AsTest",
        "Start-VMFailover -Prepare -VMRecoverySnapshot HV2/web01@-1",
        "Start-VMFailover -VMRecoverySnapshot yesterday",
        "Start-VMFailover -VMRecoverySnapshot HV2/web01@2",
        "Start-VMFailover -VM web01",
        "Start-VMFailover web01 -Prepaer",
        "Start-VMFailover web01 HV2",
        "Start-VMFailover -VMName=web01",
        "Start-VMFailover -VMName web01 -Name db01",
        "Start-VMFailover -VMName -Prepare",
        "Start-VMFailover -VMName",
        "Start-VM web01 -P",
        "Resume-VMReplication web01 -Resynch",
        "Resume-VMReplication web01 -Resynchronize -Continue",
        "Resume-VMReplication web01 -ResyncStart 2026-01-06",
        "Resume-VMReplication web01 -Resync -ResyncStart tomorrow",
        "Enable-VMReplication web01",
        "Enable-VMReplication web01 HV2 80 Ntlm",
        "Enable-VMReplication web01 HV2 80 Kerberos -AsReplica",
        "Enable-VMReplication web01 HV2 80 Kerberos -RecoveryHistory 25",
        "Enable-VMReplication web01 HV2 80 Kerberos -RecoveryHistory -1",
        "Enable-VMReplication web01 HV2 80 Kerberos -RecoveryHistory many",
        "Enable-VMReplication web01 HV2 80 Kerberos -ReplicationFrequencySec 60",
        "Enable-VMReplication web01 HV2 80 Kerberos -VSSSnapshotFrequencyHour 13",
        "Enable-VMReplication web01 HV2 80 Kerberos -VSSSnapshotFrequencyHour 4",
        "Enable-VMReplication web01 HV2,HV3 80 Kerberos",
        "Set-VMReplication web01 -CompressionEnabled true",
        "Set-VMReplication web01 -AutoResyncStart 25:00",
        "Set-VMReplication web01 -Reverse -AsReplica",
        "Set-VMReplication web01 HV3",
        "Suspend-VMReplication web01 -Relationship Both",
        "Get-VMReplication -State Replicatng",
        "Get-VMSnapshot web01 -SnapshotType StandardReplica",
        "Get-VM -Id web01",
        "Stop-VM web01 -Save -TurnOff",
        "Stop-VM web01 -Force:maybe",
        "Save-VM -Credential admin web01",
    ]);
    insta::assert_snapshot!(text);
}
