//! What `Get-` and `Measure-` cmdlets print: PowerShell's tables with the documented default columns
//! (Hyper-V module, Get-VMReplication, Measure-VMReplication, Get-VMSnapshot).

use hvrsim_sim::look::{CopyView, Look};
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::state::Mode;

use crate::bind::Call;
use crate::check::host_named;
use crate::error::BindError;
use crate::object::{Class, Object, PropertyValue};
use crate::value::Value;

/// Pads the columns and underlines the heads; nothing at all for no rows.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |i: usize| {
        let cells = rows.iter().map(|row| row[i].chars().count());
        cells.chain([heads[i].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
        format!("{}\n", padded.join(" ").trim_end())
    };
    let head: Vec<_> = heads.iter().map(|h| (*h).to_owned()).collect();
    let rule: Vec<_> = heads.iter().map(|h| "-".repeat(h.chars().count())).collect();
    [line(&head), line(&rule)].into_iter().chain(rows.iter().map(|row| line(row))).collect()
}

/// Mebibytes with two decimals, as columns headed `(M)` show them.
fn mebibytes(bytes: u64) -> String {
    let hundredths = u128::from(bytes) * 100 / (1 << 20);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Whether the copy replicates and passes the filters of `Get-` and `Measure-VMReplication`.
fn passes(call: &Call, look: &dyn Look, view: &CopyView, object: &Object) -> bool {
    let hosts = look.host_names();
    let equal = |filter: &str| call.text(filter).is_none_or(|wanted| wanted == object.cell(filter));
    let server = |filter: &str| {
        let named = call.text(filter).and_then(|name| host_named(&hosts, name));
        named.is_none_or(|name| name == object.cell(filter))
    };
    view.mode != Mode::None
        && ["ReplicationState", "ReplicationHealth", "ReplicationMode", "ReplicationRelationshipType"]
            .into_iter()
            .all(equal)
        && ["PrimaryServerName", "ReplicaServerName"].into_iter().all(server)
}

fn rows(heads: &[&str], objects: &[Object]) -> Vec<Vec<String>> {
    objects.iter().map(|object| heads.iter().map(|head| object.cell(head)).collect()).collect()
}

/// The default columns of a class: properties by the spelling that the module prints.
const fn columns(class: Class) -> &'static [&'static str] {
    match class {
        Class::Replication => &[
            "VMName",
            "State",
            "Health",
            "Mode",
            "FrequencySec",
            "PrimaryServer",
            "ReplicaServer",
            "ReplicaPort",
            "AuthType",
            "Relationship",
        ],
        Class::Server => &["RepEnabled", "AuthType", "KerbAuthPort", "CertAuthPort"],
        Class::Entry => &["AllowedPS", "StorageLoc", "TrustGroup"],
        Class::Machine => &["Name", "State", "ReplicationMode", "ReplicationState", "ReplicationHealth"],
        Class::Snapshot => &["VMName", "SnapshotType", "CreationTime", "Point", "Id", "Name"],
        Class::AdapterFailover => {
            &["VMName", "Name", "IPv4Address", "IPv4SubnetMask", "IPv6Address", "IPv6SubnetPrefixLength"]
        }
        Class::Adapter => {
            &["VMName", "Name", "SwitchName", "IPAddresses", "TestReplicaSwitchName", "TestReplicaPoolName"]
        }
        Class::Health | Class::Disk => &[],
    }
}

/// Objects as PowerShell prints them where nobody says which properties.
pub(crate) fn objects(class: Class, objects: &[Object]) -> String {
    let heads = columns(class);
    table(heads, &rows(heads, objects))
}

/// `Get-VMReplication`.
pub(crate) fn replication(call: &Call, look: &dyn Look, copies: &[(CopyId, CopyView)]) -> String {
    let all = copies.iter().map(|(_, view)| (view, Object::of_copy(Class::Replication, view, look)));
    let shown: Vec<_> =
        all.filter(|(view, object)| passes(call, look, view, object)).map(|(_, object)| object).collect();
    objects(Class::Replication, &shown)
}

/// `Measure-VMReplication`; why the health is not normal stands below (`ReplicationHealthDetails`).
pub(crate) fn measure(call: &Call, look: &dyn Look, copies: &[(CopyId, CopyView)]) -> String {
    let heads = [
        "VMName",
        "State",
        "Health",
        "LReplTime",
        "PReplSize(M)",
        "AvgLatency",
        "AvgReplSize(M)",
        "Relationship",
    ];
    let all = copies.iter().map(|(_, view)| (view, Object::of_copy(Class::Health, view, look)));
    let shown: Vec<_> = all.filter(|(view, object)| passes(call, look, view, object)).collect();
    let size = |object: &Object, name: &str| match object.get(name) {
        Some(PropertyValue::Integer(bytes)) => mebibytes(*bytes),
        _ => String::new(),
    };
    let cell = |object: &Object, head: &str| match head {
        "LReplTime" => object.cell("LastReplicationTime"),
        "PReplSize(M)" => size(object, "PendingReplicationSize"),
        "AvgLatency" => object.cell("AverageReplicationLatency"),
        "AvgReplSize(M)" => size(object, "AverageReplicationSize"),
        name => object.cell(name),
    };
    let rows: Vec<_> =
        shown.iter().map(|(_, object)| heads.iter().map(|head| cell(object, head)).collect()).collect();
    let detail = |(view, _): &(&CopyView, Object)| -> String {
        let name = look.vm_name(view.copy.vm);
        view.health_details.iter().map(|why| format!("{name}: {why}\n")).collect()
    };
    table(&heads, &rows) + &shown.iter().map(detail).collect::<String>()
}

/// `Get-VMReplicationServer`.
pub(crate) fn servers(look: &dyn Look, host: HostId) -> String {
    objects(Class::Server, &[Object::of_host(Class::Server, host, look)])
}

/// `Get-VMReplicationAuthorizationEntry`: a replica server has the entry of every server.
pub(crate) fn entries(call: &Call, look: &dyn Look, host: HostId) -> String {
    if !look.is_replica_server(host) {
        return String::new();
    }
    let entry = Object::of_host(Class::Entry, host, look);
    let equal = |filter: &str| {
        call.text(filter).is_none_or(|wanted| wanted.eq_ignore_ascii_case(&entry.cell(filter)))
    };
    let shown = ["AllowedPrimaryServer", "ReplicaStorageLocation", "TrustGroup"].into_iter().all(equal);
    objects(Class::Entry, if shown { std::slice::from_ref(&entry) } else { &[] })
}

/// What `-Passthru` shows of a copy.
#[must_use]
pub fn returned(class: Class, on: CopyId, look: &dyn Look) -> String {
    let Some(view) = look.copy(on) else { return String::new() };
    if matches!(class, Class::Adapter | Class::AdapterFailover) {
        let adapters = look.adapters(on);
        let made: Vec<_> = adapters.iter().map(|one| Object::of_adapter(class, &view, one, look)).collect();
        return objects(class, &made);
    }
    let object = match class {
        Class::Snapshot => Object::of_checkpoint(&view, view.checkpoints, look),
        _ => Object::of_copy(class, &view, look),
    };
    objects(class, &[object])
}

/// `Get-VMNetworkAdapterFailoverConfiguration`.
pub(crate) fn adapters(
    call: &Call,
    look: &dyn Look,
    copies: &[(CopyId, CopyView)],
) -> Result<String, BindError> {
    let mut shown = Vec::new();
    for (copy, view) in copies {
        for (_, adapter) in crate::adapter::chosen(call, look, *copy)? {
            shown.push(Object::of_adapter(Class::AdapterFailover, view, &adapter, look));
        }
    }
    Ok(objects(Class::AdapterFailover, &shown))
}

/// `Get-VM`, with the replication properties in place of the host's counters, which are not simulated.
pub(crate) fn machines(call: &Call, look: &dyn Look, copies: &[(CopyId, CopyView)]) -> String {
    let wanted = |view: &CopyView| match call.value("Id") {
        Some(Value::Guid(guid)) => view.guid == *guid,
        _ => true,
    };
    let shown = copies.iter().filter(|(_, view)| wanted(view));
    let shown: Vec<_> = shown.map(|(_, view)| Object::of_copy(Class::Machine, view, look)).collect();
    objects(Class::Machine, &shown)
}

/// `Get-VMSnapshot`: user checkpoints and recovery points, oldest first. `Point` is what `-VMRecoverySnapshot` takes.
pub(crate) fn snapshots(call: &Call, look: &dyn Look, copies: &[(CopyId, CopyView)]) -> String {
    let id = match call.value("Id") {
        Some(Value::Guid(guid)) => Some(guid.to_string()),
        _ => None,
    };
    let wanted = |object: &Object| {
        let ty = call.text("SnapshotType").is_none_or(|ty| ty == object.cell("SnapshotType"));
        ty && id.as_ref().is_none_or(|id| *id == object.cell("Id"))
    };
    let mut shown = Vec::new();
    for (copy, view) in copies {
        shown.extend((1..=view.checkpoints).map(|n| Object::of_checkpoint(view, n, look)));
        shown.extend(look.points(*copy).iter().map(|point| Object::of_point(view, point, look)));
    }
    shown.retain(wanted);
    objects(Class::Snapshot, &shown)
}
