//! Calls in, operations, codes or messages out. `INSTA_UPDATE=always cargo test` rewrites the transcripts.

#[path = "../../cmdlets/tests/fake/mod.rs"]
mod fake;

use std::collections::BTreeMap;

use fake::{Fake, HV1, HV2, WEB01};
use hvrsim_sim::look::Look;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_wmi::table::{METHODS, Parameter, Role};
use hvrsim_wmi::{Answer, CallError, Planned, Value, call, check, find};

/// `Method {parameters as JSON}`.
fn answer(line: &str, host: HostId, world: &Fake) -> String {
    let (method, parameters) = line.split_once(' ').unwrap_or((line, "{}"));
    let parameters: BTreeMap<String, Value> = serde_json::from_str(parameters).expect("parameters");
    let helped = |help: Option<String>| help.map_or_else(String::new, |help| format!("  help: {help}\n"));
    match call(method, &parameters, host, world) {
        Ok(Planned::Operate { on, operation }) => {
            let of = if on.vm.is_extended() { " (extended)" } else { "" };
            format!("  {}/{}{of} {operation:?}\n", world.host_name(on.host), world.vm_name(on.vm))
        }
        Ok(Planned::Answer(Answer { code, why, out })) => {
            let out = out.iter().map(|(name, value)| format!("  {name} = {value:?}\n"));
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            format!("  {code}{why}\n{}", out.collect::<String>())
        }
        Err(CallError::Unknown { message, help }) => format!("  unknown: {message}\n{}", helped(help)),
        Err(CallError::Parameter { parameter, property, message, help }) => {
            let place = property.map_or_else(String::new, |property| format!(".{property}"));
            format!("  wrong at {parameter}{place}: {message}\n{}", helped(help))
        }
    }
}

fn transcript(lines: &[&str], host: HostId, world: &Fake) -> String {
    lines.iter().fold(String::new(), |all, line| format!("{all}> {line}\n{}\n", answer(line, host, world)))
}

#[test]
fn operations() {
    let lines = [
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryConnectionPoint": "hv2.contoso.com", "RecoveryServerPortNumber": 80, "AuthenticationType": 1, "ReplicationInterval": 30, "RecoveryHistory": 24}}"#,
        r#"ModifyReplicationSettings {"ComputerSystem": "web01", "ReplicationSettingData": {"RecoveryConnectionPoint": "HV2", "autoresynchronizeenabled": true, "AutoResynchronizeIntervalStart": "00000000220000.000000:000"}}"#,
        r#"RemoveReplicationRelationship {"ComputerSystem": "web01"}"#,
        r#"ReverseReplicationRelationship {"ComputerSystem": "web01", "ReplicationSettingData": {"CompressionEnabled": false}}"#,
        r#"ReverseReplicationRelationship {"ComputerSystem": "web01", "ReplicationSettingData": {"RecoveryConnectionPoint": "DR3"}}"#,
        r#"StartReplication {"ComputerSystem": "web02", "InitialReplicationType": 1}"#,
        r#"StartReplication {"ComputerSystem": "web02", "InitialReplicationType": 3, "StartTime": "20260106020000.000000+060"}"#,
        r#"Resynchronize {"ComputerSystem": "web01", "StartTime": null}"#,
        r#"InitiateFailover {"ComputerSystem": "web01", "SnapshotSettingData": null}"#,
        r#"InitiateFailover {"ComputerSystem": "web01", "SnapshotSettingData": "HV2/web01@-1"}"#,
        r#"RevertFailover {"ComputerSystem": "web01"}"#,
        r#"CommitFailover {"ComputerSystem": "web01"}"#,
        r#"ResetReplicationStatistics {"ComputerSystem": "web01"}"#,
        r#"msvm_replicationservice.revertfailover {"computersystem": "WEB01"}"#,
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 1}"#,
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 2}"#,
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 3}"#,
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 4}"#,
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 7}"#,
        r#"RequestReplicationStateChangeEx {"ComputerSystem": "web01", "RequestedState": 9, "TimeoutPeriod": null}"#,
        r#"Msvm_ComputerSystem.RequestStateChange {"ComputerSystem": "web01", "RequestedState": 2}"#,
        r#"Msvm_ComputerSystem.RequestStateChange {"ComputerSystem": "web01", "RequestedState": 3}"#,
        r#"Msvm_ComputerSystem.RequestStateChange {"ComputerSystem": "web01", "RequestedState": 6}"#,
        r#"Msvm_ConcreteJob.RequestStateChange {"Job": 7, "RequestedState": 4}"#,
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 15}"#,
        r#"StartReplication {"ComputerSystem": "web02", "InitialReplicationType": 2, "InitialReplicationExportLocation": "E:\\IR"}"#,
        r#"ImportInitialReplica {"ComputerSystem": "web01", "InitialReplicationImportLocation": "E:\\IR\\web01_0"}"#,
        r#"ImportInitialReplica {"ComputerSystem": "web01", "InitialReplicationImportLocation": "D:\\IR"}"#,
        r#"ModifyReplicationSettings {"ComputerSystem": "web01", "ReplicationSettingData": {"ApplicationConsistentSnapshotInterval": 4}}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryConnectionPoint": "HV2", "IncludedDisks": ["Microsoft:45F32A28-4B73-57A1-9493-C375515A8C7C\\83F8638B-8DCA-4152-9EDA-2CA8B33039B4\\0\\1\\L"]}}"#,
        r#"ModifyReplicationSettings {"ComputerSystem": "web01", "ReplicationSettingData": {"IncludedDisks": ["a"]}}"#,
    ];
    insta::assert_snapshot!(transcript(&lines, HV1, &Fake::new()));
}

#[test]
fn codes_of_the_service() {
    let lines = [
        r#"RevertFailover {"ComputerSystem": null}"#,
        r#"RevertFailover {"ComputerSystem": ""}"#,
        r#"RevertFailover {"ComputerSystem": "00000000-0000-0000-0000-000000000001"}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": null}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": "<INSTANCE/>"}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryHistory": 4}}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryConnectionPoint": "HV7"}}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryConnectionPoint": "HV2", "RecoveryHistory": 25}}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryConnectionPoint": "HV2", "RecoveryHistory": "many"}}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryConnectionPoint": "HV2", "ReplicationInterval": 60}}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"RecoveryConnectionPoint": "HV2", "ReplicationProvider": "{5A7B}"}}"#,
        r#"ModifyReplicationSettings {"ComputerSystem": "web01", "ReplicationSettingData": {"AutoResynchronizeIntervalEnd": "06:00"}}"#,
        r#"ModifyReplicationSettings {"ComputerSystem": "web01", "ReplicationSettingData": {"AutoResynchronizeIntervalEnd": "00000001000000.000000:000"}}"#,
        r#"RemoveReplicationRelationshipEx {"ComputerSystem": "web01", "ReplicationRelationship": null}"#,
        r#"RemoveReplicationRelationshipEx {"ComputerSystem": "web01", "ReplicationRelationship": {"InstanceID": "web01"}}"#,
        r#"RemoveReplicationRelationshipEx {"ComputerSystem": "web01", "ReplicationRelationship": {"InstanceID": "Microsoft:00000000-0000-0000-0000-000000000001\\HVR\\0"}}"#,
        r#"StartReplication {"ComputerSystem": "web02", "InitialReplicationType": 4}"#,
        r#"StartReplication {"ComputerSystem": "web02", "InitialReplicationType": null}"#,
        r#"Resynchronize {"ComputerSystem": "web01", "StartTime": "20260105090000.000000+000"}"#,
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 5}"#,
        r#"Msvm_ComputerSystem.RequestStateChange {"ComputerSystem": "web01", "RequestedState": 5}"#,
        r#"Msvm_ConcreteJob.RequestStateChange {"Job": 7, "RequestedState": 3}"#,
        r#"Msvm_ConcreteJob.RequestStateChange {"Job": 7, "RequestedState": 99}"#,
        r#"Msvm_ConcreteJob.RequestStateChange {"Job": 8, "RequestedState": 4}"#,
    ];
    insta::assert_snapshot!(transcript(&lines, HV1, &Fake::new()));
}

#[test]
fn failback_leaves_the_order_of_checks_to_the_rules() {
    let lines = [
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": "built-in", "RecoveryConnectionPoint": "HV2"}}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": "\\\\HV1\\root\\virtualization\\v2:Microsoft:HV1\\ReplicationProvider\\22391cdc-272c-4ddf-ba88-9befb1a0975c", "RecoveryConnectionPoint": "HV2.contoso.com"}, "RecoveryPointIdentifier": ""}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": "sim-failback", "RecoveryConnectionPoint": "HV2"}, "RecoveryPointIdentifier": "HV2/web01@-2"}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": "sim-nofailback", "RecoveryConnectionPoint": "HV2"}, "RecoveryPointIdentifier": "HV2/web01@-9"}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": "{A0F3}", "RecoveryConnectionPoint": "HV2"}, "RecoveryPointIdentifier": "yesterday"}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": "built-in", "RecoveryConnectionPoint": "HV9"}, "RecoveryPointIdentifier": "00000000-0000-0000-0000-000000000001"}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": "built-in"}, "RecoveryPointIdentifier": "HV2/web01@0"}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {}}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": null}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": [1]}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvider": 5, "RecoveryConnectionPoint": "HV2"}}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": {"ReplicationProvidr": "built-in"}}"#,
        r#"InitiateFailback {"ComputerSystem": "web01"}"#,
        r#"InitiateFailback {"ComputerSystem": "web01", "ReplicationSettingData": null, "RecoveryPointIdentifier": "HV3/web01@-1"}"#,
    ];
    insta::assert_snapshot!(transcript(&lines, HV1, &Fake::new()));
}

#[test]
fn wrong_calls() {
    let lines = [
        "InitiateFailbak",
        "Msvm_ReplicationServce.InitiateFailback",
        "Msvm_ReplicationService.Frobnicate",
        "RequestStateChange",
        r#"RevertFailover {"ComputerSytem": "web01"}"#,
        r#"RevertFailover {"ComputerSystem": "web01", "Job": 1}"#,
        r#"RevertFailover {"ComputerSystem": ["web01"]}"#,
        r#"RevertFailover {"ComputerSystem": "web01", "computersystem": "web02"}"#,
        r#"RevertFailover {"ComputerSystem": "wbe01"}"#,
        "RevertFailover",
        r#"StartReplication {"ComputerSystem": "web01"}"#,
        r#"StartReplication {"ComputerSystem": "web01", "InitialReplicationType": "network"}"#,
        r#"StartReplication {"ComputerSystem": "web01", "InitialReplicationType": 70000}"#,
        r#"Resynchronize {"ComputerSystem": "web01", "StartTime": "tomorrow"}"#,
        r#"Msvm_ConcreteJob.RequestStateChange {"Job": "the last", "RequestedState": 4}"#,
    ];
    insta::assert_snapshot!(transcript(&lines, HV1, &Fake::new()));
}

/// What the model cannot do is answered with a documented code and the reason.
#[test]
fn answered_without_asking_a_copy() {
    let lines = [
        r#"TestReplicaSystem {"ComputerSystem": "web01"}"#,
        r#"StartReplication {"ComputerSystem": "web01", "InitialReplicationType": 2}"#,
        r#"CreateReplicationRelationship {"ComputerSystem": "db01", "ReplicationSettingData": {"ReplicationProvider": "sim-failback"}}"#,
        r#"ModifyReplicationSettings {"ComputerSystem": "web01", "ReplicationSettingData": {"RecoveryConnectionPoint": "DR3"}}"#,
        r#"Msvm_ComputerSystem.RequestStateChange {"ComputerSystem": "web01", "RequestedState": 9}"#,
        r#"ImportInitialReplica {"ComputerSystem": "web01", "InitialReplicationImportLocation": null}"#,
        r#"Msvm_ReplicationService.RequestStateChange {"RequestedState": 2}"#,
        r#"StopService {}"#,
        r#"ChangeReplicationModeToPrimary {"ComputerSystem": "web01", "ReplicationRelationship": null}"#,
        r#"TestReplicationConnection {"RecoveryConnectionPoint": "hv2.contoso.com", "RecoveryServerPortNumber": 80, "AuthenticationType": 1}"#,
        r#"TestReplicationConnection {"RecoveryConnectionPoint": "HV1", "RecoveryServerPortNumber": 80, "AuthenticationType": 1}"#,
        r#"TestReplicationConnection {"RecoveryConnectionPoint": "HV9", "RecoveryServerPortNumber": 80, "AuthenticationType": 1}"#,
        r#"TestReplicationConnection {"RecoveryConnectionPoint": "HV2", "RecoveryServerPortNumber": 443, "AuthenticationType": 2}"#,
        r#"TestReplicationConnection {"RecoveryConnectionPoint": "HV2", "RecoveryServerPortNumber": 443, "AuthenticationType": 3}"#,
        r#"ModifyServiceSettings {"SettingData": {"RecoveryServerEnabled": false, "HttpPort": 80}}"#,
        r#"ModifyServiceSettings {"SettingData": {"RecoveryServerEnabled": true}}"#,
        r#"ModifyServiceSettings {"SettingData": {"MonitoringInterval": 60}}"#,
        r#"ModifyServiceSettings {"SettingData": "<INSTANCE"}"#,
        r#"AddAuthorizationEntry {"AuthorizationEntry": {"AllowedPrimaryHostSystem": "HV1.contoso.com", "TrustGroup": "G", "ReplicaStorageLocation": "D:\\R"}}"#,
        r#"AddAuthorizationEntry {"AuthorizationEntry": {"TrustGroup": "G"}}"#,
        r#"SetAuthorizationEntry {"ComputerSystem": "web01", "AuthorizationEntry": null}"#,
        r#"RemoveAuthorizationEntry {"AllowedPrimaryHostSystem": ""}"#,
        r#"RemoveAuthorizationEntry {"AllowedPrimaryHostSystem": "*"}"#,
        "GetSystemCertificates",
        r#"SetFailoverNetworkAdapterSettings {"ComputerSystem": "web01", "NetworkSettings": [{"IPAddresses": ["192.0.2.7"], "DHCPEnabled": false}]}"#,
        r#"SetFailoverNetworkAdapterSettings {"ComputerSystem": "web01", "NetworkSettings": [{"IPAddresses": ["192.0.2.7"]}]}"#,
        r#"SetFailoverNetworkAdapterSettings {"ComputerSystem": "web01", "NetworkSettings": [{"DHCPEnabled": true, "IPAddresses": [], "DefaultGateways": ["a", "b", "c", "d", "e", "f"]}]}"#,
        r#"DefineSystem {"SystemSettings": null}"#,
        r#"DefineSystem {"SystemSettings": {"ElementName": "web09"}}"#,
        r#"DestroySystem {"AffectedSystem": "web01"}"#,
        r#"DestroySystem {"AffectedSystem": "db01"}"#,
        r#"DestroySystem {"AffectedSystem": null}"#,
        r#"Msvm_CollectionReplicationService.StartReplication {"Collection": "shop", "InitialReplicationType": 1}"#,
        r#"Msvm_CollectionReplicationService.StartReplication {"Collection": null, "InitialReplicationType": 1}"#,
        r#"GetError {"Job": 7}"#,
        r#"GetErrorEx {"Job": 8}"#,
        r#"GetReplicationStatistics {"ComputerSystem": "db01"}"#,
    ];
    insta::assert_snapshot!(transcript(&lines, HV1, &Fake::new()));
}

#[test]
fn identifiers_in_their_long_forms() {
    let world = Fake::new();
    let vm = world.copy(CopyId { host: HV2, vm: WEB01 }).unwrap().guid;
    let point = world.points[0].guid;
    let on_path = |point: &str| {
        let path = format!(r#"\\\\HV2\\root\\virtualization\\v2:Msvm_ComputerSystem.Name=\"{vm}\""#);
        let call =
            format!(r#"InitiateFailover {{"ComputerSystem": "{path}", "SnapshotSettingData": "{point}"}}"#);
        answer(&call, HV2, &world)
    };
    let found = "  HV2/web01 Failover { point: Id(PointId(1099511627777)) }\n";
    assert_eq!(on_path(&point.to_string()), found);
    assert_eq!(on_path(&format!("Microsoft:{point}")), found);
    assert_eq!(on_path(&format!(r"Microsoft:{vm}\\{point}")), found);
    assert_eq!(
        on_path(&format!(r#"\\\\HV2:Msvm_VirtualSystemSettingData.InstanceID=\"Microsoft:{point}\""#)),
        found
    );
    assert_eq!(on_path("HV2/web01@-3"), found);
    let unknown = "  HV2/web01 Failover { point: Unknown }\n";
    assert_eq!(on_path(&format!(r"Microsoft:{point}\\{point}")), unknown, "of another machine");
    assert_eq!(on_path("HV2/db01@-1"), unknown, "of another machine");
    assert_eq!(on_path(r"Microsoft:web01\\1"), "  HV2/web01 Failover { point: Malformed }\n");
}

#[test]
fn relationships_are_told_apart_by_their_index() {
    let world = Fake::new();
    let vm = world.copy(CopyId { host: HV1, vm: WEB01 }).unwrap().guid;
    let remove = |index: &str| {
        let id = format!(r"Microsoft:{vm}\\HVR\\{index}");
        let method = "RemoveReplicationRelationshipEx";
        let call = format!(
            r#"{method} {{"ComputerSystem": "web01", "ReplicationRelationship": {{"InstanceID": "{id}"}}}}"#
        );
        answer(&call, HV1, &world)
    };
    assert_eq!(remove("0"), "  HV1/web01 Remove\n");
    assert_eq!(remove("1"), "  HV1/web01 (extended) Remove\n");
    assert!(remove("2").starts_with("  32773"));
}

/// On a replica, what begins or changes sending is about its extended relationship.
#[test]
fn methods_on_a_middle_copy() {
    let world = Fake::extended(hvrsim_types::state::ReplicationState::Replicating);
    let vm = world.copy(CopyId { host: HV2, vm: WEB01 }).unwrap().guid;
    let extended = format!(r#""ReplicationRelationship": {{"InstanceID": "Microsoft:{vm}\\HVR\\1"}}"#);
    let to = r#""ReplicationSettingData": {"RecoveryConnectionPoint": "DR3", "ReplicationInterval": 900}"#;
    let lines = [
        format!(r#"CreateReplicationRelationship {{"ComputerSystem": "web01", {to}}}"#),
        format!(r#"ModifyReplicationSettings {{"ComputerSystem": "web01", {to}}}"#),
        r#"StartReplication {"ComputerSystem": "web01", "InitialReplicationType": 1}"#.to_owned(),
        r#"Resynchronize {"ComputerSystem": "web01", "StartTime": null}"#.to_owned(),
        format!(
            r#"RequestReplicationStateChangeEx {{"ComputerSystem": "web01", "RequestedState": 7, {extended}}}"#
        ),
        format!(r#"ResetReplicationStatisticsEx {{"ComputerSystem": "web01", {extended}}}"#),
        format!(r#"RemoveReplicationRelationshipEx {{"ComputerSystem": "web01", {extended}}}"#),
        format!(r#"ChangeReplicationModeToPrimary {{"ComputerSystem": "web01", {extended}}}"#),
        format!(r#"GetReplicationStatisticsEx {{"ComputerSystem": "web01", {extended}}}"#),
        r#"RequestReplicationStateChange {"ComputerSystem": "web01", "RequestedState": 7}"#.to_owned(),
        r#"RemoveReplicationRelationship {"ComputerSystem": "web01"}"#.to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    insta::assert_snapshot!(transcript(&lines, HV2, &world));
}

#[test]
fn a_machine_must_be_on_the_host() {
    let world = Fake::new();
    let text = answer(r#"RevertFailover {"ComputerSystem": "db01"}"#, HV2, &world);
    assert_eq!(text, "  32773 (Invalid parameter): HV2 holds no machine `db01`\n");
}

#[test]
fn every_row_of_the_table_is_found_and_begins_with_its_target() {
    for method in METHODS {
        assert_eq!(find(&method.full_name()), Ok(method));
        let target = |p: &Parameter| matches!(p.role, Role::This | Role::Target);
        let targets: Vec<_> = method.parameters.iter().filter(|p| target(p)).collect();
        assert!(targets.len() <= 1 && targets.first().is_none_or(|p| target(p)), "{}", method.name);
        let accepted = if method.asynchronous { 4096 } else { 0 };
        assert!(method.returns.iter().any(|code| code.0 == accepted), "{}", method.name);
        assert!(method.returns.is_sorted(), "{}", method.name);
    }
    assert_eq!(METHODS.iter().filter(|m| m.class == "Msvm_ReplicationService").count(), 29);
}

#[test]
fn a_time_beyond_all_limits_is_handed_on() {
    let world = Fake::new();
    let far = r#"Resynchronize {"ComputerSystem": "web01", "StartTime": "99981231235959.000000+000"}"#;
    assert!(answer(far, HV1, &world).starts_with("  HV1/web01 Resynchronize { at: Some("));
}

#[test]
fn most_mistakes_are_found_without_a_world() {
    let check = |method: &str, parameters: &str| {
        let parameters: BTreeMap<String, Value> = serde_json::from_str(parameters).unwrap();
        check(method, &parameters)
    };
    assert_eq!(check("RevertFailover", r#"{"ComputerSystem": "no such machine"}"#), Ok(()));
    assert!(matches!(check("RevertFailovr", "{}"), Err(CallError::Unknown { .. })));
    assert_eq!(check("StartService", "{}"), Ok(()));
    let misspelt = r#"{"ComputerSystem": "web01", "ReplicationSettingData": {"RecoveryHistroy": 4}}"#;
    let Err(CallError::Parameter { parameter, property, .. }) = check("ModifyReplicationSettings", misspelt)
    else {
        panic!("the property does not exist");
    };
    assert_eq!(
        (parameter.as_str(), property.as_deref()),
        ("ReplicationSettingData", Some("RecoveryHistroy"))
    );
}
