//! Reading instances: every property of every class, paths, texts that read back, statistics, summaries, errors.

#[path = "../../cmdlets/tests/fake/mod.rs"]
mod fake;

use std::collections::BTreeMap;

use fake::{Fake, HV1, HV2, WEB01};
use hvrsim_sim::look::Look;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::job::JobState;
use hvrsim_wmi::table::CLASSES;
use hvrsim_wmi::{Answer, Planned, Value, call, find_object, get, instances, properties, to_text};

fn text(value: Value) -> String {
    match value {
        Value::Text(text) => text,
        other => panic!("{other:?} is no text"),
    }
}

fn read(class: &str, instance: &str, property: &str, host: HostId) -> Value {
    get(class, instance, property, host, &Fake::new()).expect("a property")
}

/// Every property of every instance is Null or of its type, within its limits, and reads the same by its path.
#[test]
fn every_property_is_of_its_type() {
    let world = Fake::new();
    let mut seen = 0;
    for (class, host) in CLASSES.iter().flat_map(|class| [(class, HV1), (class, HV2)]) {
        for object in instances(class.name, host, &world).unwrap() {
            let path = object.path(&world);
            for (name, value) in properties(&object, &world) {
                let property = class.property(name).unwrap();
                let fits = match &value {
                    Value::Null => true,
                    Value::List(list) => property.array && list.iter().all(|one| property.ty.holds(one)),
                    one => !property.array && property.ty.holds(one),
                };
                assert!(fits && property.limit.allows(&value), "{path} {name} is {value:?}");
                assert_eq!(hvrsim_wmi::read(&object, name, &world), Ok(value));
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen} properties");
}

/// A middle copy has two relationships; the machine's own properties, and index 0, show the first.
#[test]
fn a_middle_copy_has_two_relationships() {
    let world = Fake::extended(hvrsim_types::state::ReplicationState::ReadyForInitialReplication);
    let vm = world.copy(CopyId { host: HV2, vm: WEB01 }).unwrap().guid.to_string().to_uppercase();
    let of = |class: &str, index: u8, name: &str| {
        get(class, &format!("Microsoft:{vm}\\HVR\\{index}"), name, HV2, &world).expect("a property")
    };
    let state = |index| of("Msvm_ReplicationRelationship", index, "ReplicationState");
    assert_eq!((state(0), state(1)), (Value::Integer(3), Value::Integer(1)));
    let host = |index, name| text(of("Msvm_ReplicationSettingData", index, name));
    assert_eq!((host(0, "PrimaryHostSystem"), host(0, "RecoveryHostSystem")), ("HV1".into(), "HV2".into()));
    assert_eq!((host(1, "PrimaryHostSystem"), host(1, "RecoveryHostSystem")), ("HV2".into(), "DR3".into()));
    let of_machine = |class, name| get(class, "web01", name, HV2, &world).expect("a property");
    assert_eq!(of_machine("Msvm_ComputerSystem", "ReplicationState"), Value::Integer(3));
    assert_eq!(of_machine("Msvm_ComputerSystem", "ReplicationMode"), Value::Integer(2));
    let both = Value::List(vec![Value::Integer(3), Value::Integer(1)]);
    assert_eq!(of_machine("Msvm_SummaryInformation", "ReplicationStateEx"), both);
}

#[test]
fn instances_of_a_host() {
    let mut shown = String::new();
    let world = Fake::new();
    for class in CLASSES {
        for (host, name) in [(HV1, "HV1"), (HV2, "HV2")] {
            for object in instances(class.name, host, &world).unwrap() {
                shown += &format!("{name}: {}\n", object.path(&world));
            }
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn texts() {
    let world = Fake::new();
    let of = |class: &str, name: &str, host| {
        let text = to_text(&find_object(class, name, host, &world).unwrap(), &world);
        format!("{}\n", text.replace("><PROPERTY", ">\n<PROPERTY"))
    };
    let shown = [
        of("Msvm_ReplicationRelationship", "web01", HV2),
        of("Msvm_ReplicationSettingData", "web01", HV1),
        of("Msvm_ReplicationService", "", HV1),
        of("Msvm_ReplicationServiceSettingData", "", HV2),
        of("Msvm_ConcreteJob", "7", HV1),
        of("Msvm_ComputerSystem", "web01", HV1),
        of("Msvm_SystemReplicationRelationship", "web01", HV1),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn an_instance_is_found_by_name_guid_key_and_path() {
    let world = Fake::new();
    let guid = world.copy(CopyId { host: HV1, vm: WEB01 }).unwrap().guid.to_string();
    let id = format!("Microsoft:{guid}\\HVR\\0");
    let relationship = find_object("msvm_replicationrelationship", "WEB01", HV1, &world).unwrap();
    for name in [guid, id, relationship.path(&world)] {
        assert_eq!(find_object("Msvm_ReplicationRelationship", &name, HV1, &world), Ok(relationship.clone()));
    }
    assert_eq!(read("Msvm_ReplicationRelationship", "web01", "ReplicationState", HV1), Value::Integer(3));
    assert_eq!(read("Msvm_ReplicationService", "", "Name", HV1), Value::Text("replicasvc".to_owned()));
}

#[test]
fn what_does_not_exist_is_named() {
    let world = Fake::new();
    let wrong = |class: &str, name: &str, property: &str| {
        get(class, name, property, HV1, &world).unwrap_err().to_string()
    };
    assert_eq!(
        wrong("Msvm_ReplicationRelationshp", "web01", "X"),
        "there is no class `Msvm_ReplicationRelationshp`; did you mean `Msvm_ReplicationRelationship`?"
    );
    assert_eq!(
        wrong("Msvm_ReplicationRelationship", "web01", "ReplicationStat"),
        "Msvm_ReplicationRelationship has no property `ReplicationStat`; did you mean `ReplicationState`?"
    );
    assert_eq!(
        wrong("Msvm_ReplicationRelationship", "db01", "ReplicationState"),
        "there is no instance of Msvm_ReplicationRelationship with `db01`"
    );
}

fn answer(method: &str, parameters: &[(&str, Value)], host: HostId, world: &Fake) -> Answer {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    match call(method, &parameters.collect::<BTreeMap<_, _>>(), host, world) {
        Ok(Planned::Answer(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn machine(name: &str) -> (&'static str, Value) {
    ("ComputerSystem", Value::Text(name.to_owned()))
}

/// A client reads the settings, changes nothing and passes the text back.
#[test]
fn settings_read_back() {
    let world = Fake::new();
    let settings = find_object("Msvm_ReplicationSettingData", "web01", HV1, &world).unwrap();
    let written = to_text(&settings, &world);
    let parameters: BTreeMap<String, Value> = [
        ("ComputerSystem".to_owned(), Value::Text("web01".to_owned())),
        ("ReplicationSettingData".to_owned(), Value::Text(written)),
    ]
    .into();
    let Ok(Planned::Operate { operation, .. }) = call("ModifyReplicationSettings", &parameters, HV1, &world)
    else {
        panic!("accepted");
    };
    let hvrsim_replica::operation::Operation::Modify(change) = operation else { panic!("a change") };
    // The machine has two disks, and both are replicated.
    let disks = hvrsim_types::disks::DiskSet::first(2);
    let settings = hvrsim_replica::operation::Settings { disks, ..Default::default() };
    assert_eq!(change.applied_to(&settings), settings);
    assert_eq!((change.recovery_history, change.compression), (Some(0), Some(true)));
}

/// Texts that are no instance, of another class, with unknown properties or values of another type: 32776.
#[test]
fn texts_that_cannot_be_read() {
    let world = Fake::new();
    let property =
        |inside: &str| format!("<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\">{inside}</INSTANCE>");
    let history = |ty: &str, value: &str| {
        property(&format!(
            "<PROPERTY NAME=\"RecoveryHistory\" TYPE=\"{ty}\"><VALUE>{value}</VALUE></PROPERTY>"
        ))
    };
    let unreadable = [
        "no text of an instance".to_owned(),
        "<INSTANCE>".to_owned(),
        "<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\">".to_owned() + "<PROPERTY",
        "<INSTANCE CLASSNAME=\"Msvm_Error\"/>".to_owned(),
        property("<PROPERTY NAME=\"RecoveryHistroy\" TYPE=\"uint16\"/>"),
        history("string", "4"),
        history("uint16", "four"),
        history("uint16", "70000"),
        history("real32", "4"),
        property("<PROPERTY NAME=\"RecoveryHistory\" TYPE=\"uint16\"><VALUE>&nothing;</VALUE></PROPERTY>"),
        property("<PROPERTY NAME=\"RecoveryHistory\" TYPE=\"uint16\"><VALUE>4</VALUE>"),
    ];
    let modify = |written: &str| {
        let settings = ("ReplicationSettingData", Value::Text(written.to_owned()));
        answer("ModifyReplicationSettings", &[machine("web01"), settings], HV1, &world)
    };
    for written in unreadable {
        let answer = modify(&written);
        assert_eq!(answer.code, ReturnCode::INCORRECT_DATA_TYPE, "{written}: {}", answer.why);
    }
    assert_eq!(modify(&history("uint16", "25")).code, ReturnCode::INVALID_PARAMETER);
    let long = property(&format!(
        "<PROPERTY NAME=\"CertificateThumbPrint\" TYPE=\"string\"><VALUE>{}</VALUE></PROPERTY>",
        "A".repeat(129)
    ));
    assert_eq!(modify(&long).code, ReturnCode::INVALID_PARAMETER);
}

/// Qualifiers, an XML declaration, entities and empty elements are read as WMI writes them.
#[test]
fn texts_as_wmi_writes_them() {
    let world = Fake::new();
    let written = r#"<?xml version="1.0"?>
        <DECLARATIONS/><INSTANCE CLASSNAME="msvm_replicationsettingdata">
        <QUALIFIER NAME="dynamic" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER>
        <PROPERTY NAME="RecoveryConnectionPoint" CLASSORIGIN="x" TYPE="string"><QUALIFIER NAME="MaxLen" TYPE="sint32">
        <VALUE>256</VALUE></QUALIFIER><VALUE>&#72;V2</VALUE></PROPERTY>
        <PROPERTY NAME="CompressionEnabled" TYPE="boolean"><VALUE>FALSE</VALUE></PROPERTY>
        <PROPERTY NAME="ElementName" TYPE="string"><VALUE><![CDATA[a <b>]]> &amp; c</VALUE></PROPERTY>
        <PROPERTY NAME="RecoveryHistory" TYPE="uint16"/></INSTANCE>"#;
    let parameters: BTreeMap<String, Value> = [
        ("ComputerSystem".to_owned(), Value::Text("db01".to_owned())),
        ("ReplicationSettingData".to_owned(), Value::Text(written.to_owned())),
    ]
    .into();
    let called = call("CreateReplicationRelationship", &parameters, HV1, &world);
    let Ok(Planned::Operate { operation, .. }) = called else { panic!("{called:?}") };
    let hvrsim_replica::operation::Operation::Enable { to, settings } = operation else { panic!("enable") };
    assert_eq!((to, settings.compression), (HV2, false));
}

#[test]
fn statistics_come_as_instances() {
    let world = Fake::new();
    let answer = answer("GetReplicationStatistics", &[machine("web01")], HV1, &world);
    assert_eq!(answer.code, ReturnCode::COMPLETED);
    let shown: Vec<String> = answer
        .out
        .into_iter()
        .map(|(name, value)| match value {
            Value::List(list) => {
                let list: Vec<_> = list.into_iter().map(text).collect();
                format!("{name}\n{}\n", list.join("\n").replace("><PROPERTY", ">\n<PROPERTY"))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_summary_has_what_was_asked_for() {
    let world = Fake::new();
    let wanted = [114, 115, 118, 122, 108, 9999].map(Value::Integer).to_vec();
    let asked = [("RequestedInformation", Value::List(wanted))];
    let all = answer("GetSummaryInformation", &asked, HV1, &world);
    let [("SummaryInformation", Value::List(machines))] = all.out.as_slice() else { panic!("{all:?}") };
    assert_eq!(machines.len(), 3);
    let Value::Map(web01) = &machines[0] else { panic!("an instance") };
    assert_eq!(web01["ReplicationMode"], Value::Integer(1));
    assert_eq!(web01["ReplicationStateEx"], Value::List(vec![Value::Integer(3)]));
    assert_eq!(web01["ReplicationHealth"], Value::Null, "not asked for");
    assert!(matches!(&web01["AsynchronousTasks"], Value::List(jobs) if jobs.len() == 1));
    assert!(matches!(&web01["Name"], Value::Text(_)), "always there");
    let one = [asked[0].clone(), ("SettingData", Value::List(vec![Value::Text("db01".to_owned())]))];
    let one = answer("GetSummaryInformation", &one, HV1, &world);
    assert!(matches!(one.out.as_slice(), [(_, Value::List(list))] if list.len() == 1));
}

#[test]
fn a_failed_job_says_why() {
    let mut world = Fake::new();
    let job = [("Job", Value::Integer(7))];
    assert_eq!(answer("GetError", &job, HV1, &world).out, [("Error", Value::Null)]);
    assert_eq!(answer("GetErrorEx", &job, HV1, &world).out, [("Errors", Value::Null)]);
    world.job.state = JobState::Exception;
    world.job.error = ReturnCode::NOT_AVAILABLE;
    world.job.error_text = "HV2 does not answer".to_owned();
    let error = text(answer("GetError", &job, HV1, &world).out.remove(0).1);
    assert!(error.contains("HV2 does not answer") && error.contains("32777"), "{error}");
    world.job.state = JobState::Terminated;
    (world.job.error, world.job.error_text) = (ReturnCode::COMPLETED, String::new());
    let Value::List(errors) = answer("GetErrorEx", &job, HV1, &world).out.remove(0).1 else {
        panic!("a list")
    };
    assert!(text(errors[0].clone()).contains("0x80004004"));
}
