//! What `Get-` and `Measure-` cmdlets print: PowerShell's tables with the documented default columns
//! (Hyper-V module, Get-VMReplication, Measure-VMReplication, Get-VMSnapshot).

use hvrsim_sim::look::{CopyView, Look};
use hvrsim_types::id::CopyId;
use hvrsim_types::state::{Mode, ReplicationType};
use hvrsim_types::time::{Instant, Span};
use uuid::Uuid;

use crate::bind::Call;
use crate::check::host_named;
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

/// `hh:mm:ss`.
fn clock(span: Span) -> String {
    let s = span.as_seconds();
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

fn moment(look: &dyn Look, at: Option<Instant>) -> String {
    at.map_or_else(String::new, |at| look.calendar().show(at))
}

/// The servers of the relationship: primary, then replica.
fn servers(look: &dyn Look, id: CopyId, view: &CopyView) -> (String, String) {
    let here = look.host_name(id.host).to_owned();
    let peer = view.peer.map_or_else(String::new, |host| look.host_name(host).to_owned());
    if view.mode == Mode::Primary { (here, peer) } else { (peer, here) }
}

/// Whether the copy replicates and passes the filters of `Get-` and `Measure-VMReplication`.
fn passes(call: &Call, look: &dyn Look, id: CopyId, view: &CopyView) -> bool {
    let (primary, replica) = servers(look, id, view);
    let hosts = look.host_names();
    let equal = |filter: &str, shown: &str| call.text(filter).is_none_or(|wanted| wanted == shown);
    let server = |filter: &str, shown: &str| {
        call.text(filter).and_then(|name| host_named(&hosts, name)).is_none_or(|name| name == shown)
    };
    view.mode != Mode::None
        && equal("ReplicationState", view.state.powershell(view.mode))
        && equal("ReplicationHealth", view.health.label())
        && equal("ReplicationMode", view.mode.label())
        && server("PrimaryServerName", &primary)
        && server("ReplicaServerName", &replica)
}

/// `Get-VMReplication`. Port and authentication are the defaults of the module's examples: transport is not simulated.
pub(crate) fn replication(call: &Call, look: &dyn Look, copies: &[(CopyId, CopyView)]) -> String {
    let heads = [
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
    ];
    let rows: Vec<_> = copies
        .iter()
        .filter(|(id, view)| passes(call, look, *id, view))
        .map(|(id, view)| {
            let (primary, replica) = servers(look, *id, view);
            vec![
                look.vm_name(id.vm).to_owned(),
                view.state.powershell(view.mode).to_owned(),
                view.health.label().to_owned(),
                view.mode.label().to_owned(),
                view.settings.frequency.interval_s().to_string(),
                primary,
                replica,
                "80".to_owned(),
                "Kerberos".to_owned(),
                "Simple".to_owned(),
            ]
        })
        .collect();
    table(&heads, &rows)
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
    let shown: Vec<_> = copies.iter().filter(|(id, view)| passes(call, look, *id, view)).collect();
    let rows: Vec<_> = shown
        .iter()
        .map(|(id, view)| {
            let s = &view.statistics;
            let successes = u64::from(s.successes);
            let average = |total: u64| total.checked_div(successes).unwrap_or(0);
            vec![
                look.vm_name(id.vm).to_owned(),
                view.state.powershell(view.mode).to_owned(),
                view.health.label().to_owned(),
                moment(look, view.last_replication),
                mebibytes(s.pending_bytes),
                clock(Span(average(s.latency.0))),
                mebibytes(average(s.size_bytes)),
                "Simple".to_owned(),
            ]
        })
        .collect();
    let detail = |(id, view): &&(CopyId, CopyView)| -> String {
        let name = look.vm_name(id.vm);
        view.health_details.iter().map(|why| format!("{name}: {why}\n")).collect()
    };
    table(&heads, &rows) + &shown.iter().map(detail).collect::<String>()
}

/// `Get-VM`, with the replication properties in place of the host's counters, which are not simulated.
pub(crate) fn machines(call: &Call, look: &dyn Look, copies: &[(CopyId, CopyView)]) -> String {
    let heads = ["Name", "State", "ReplicationMode", "ReplicationState", "ReplicationHealth"];
    let wanted = |view: &CopyView| match call.value("Id") {
        Some(Value::Guid(guid)) => view.guid == *guid,
        _ => true,
    };
    let rows: Vec<_> = copies
        .iter()
        .filter(|(_, view)| wanted(view))
        .map(|(id, view)| {
            vec![
                look.vm_name(id.vm).to_owned(),
                view.power.label().to_owned(),
                view.mode.label().to_owned(),
                view.state.powershell(view.mode).to_owned(),
                view.health.label().to_owned(),
            ]
        })
        .collect();
    table(&heads, &rows)
}

/// The PowerShell type of a recovery point and the name that the module gives it.
const fn point_names(kind: ReplicationType) -> (&'static str, &'static str) {
    match kind {
        ReplicationType::None | ReplicationType::Regular => ("Replica", "Standard Replica"),
        ReplicationType::ApplicationConsistent => ("AppConsistentReplica", "Application-consistent Replica"),
        ReplicationType::Planned => ("SyncedReplica", "Synced Replica"),
    }
}

/// `Get-VMSnapshot`: user checkpoints and recovery points, oldest first. `Point` is what `-VMRecoverySnapshot` takes.
pub(crate) fn snapshots(call: &Call, look: &dyn Look, copies: &[(CopyId, CopyView)]) -> String {
    let heads = ["VMName", "SnapshotType", "CreationTime", "Point", "Id", "Name"];
    let id = match call.value("Id") {
        Some(Value::Guid(guid)) => Some(*guid),
        _ => None,
    };
    let wanted = |kind: &str| call.text("SnapshotType").is_none_or(|ty| ty == kind);
    let mut rows = Vec::new();
    for (copy, view) in copies {
        let name = look.vm_name(copy.vm);
        if wanted("Standard") && id.is_none() {
            let row = |n: u32| {
                let text = |t: &str| t.to_owned();
                vec![
                    text(name),
                    text("Standard"),
                    text(""),
                    text(""),
                    text(""),
                    format!("{name} - checkpoint {n}"),
                ]
            };
            rows.extend((1..=view.checkpoints).map(row));
        }
        rows.extend(
            points(look, *copy)
                .into_iter()
                .filter(|(kind, guid, _)| wanted(kind) && id.is_none_or(|wanted| wanted == *guid))
                .map(|(_, _, row)| row),
        );
    }
    table(&heads, &rows)
}

/// The rows of a copy's recovery points, each with its type and GUID.
fn points(look: &dyn Look, copy: CopyId) -> Vec<(&'static str, Uuid, Vec<String>)> {
    let (host, vm) = (look.host_name(copy.host), look.vm_name(copy.vm));
    let points = look.points(copy);
    let kept = points.len();
    let row = |(i, point): (usize, hvrsim_sim::look::PointView)| {
        let (kind, label) = point_names(point.kind);
        let taken = look.calendar().show(point.taken);
        let name = format!("{vm} - {label} - ({})", taken.replace(' ', " - "));
        let cells = vec![
            vm.to_owned(),
            kind.to_owned(),
            taken,
            format!("{host}/{vm}@-{}", kept - i),
            point.guid.to_string(),
            name,
        ];
        (kind, point.guid, cells)
    };
    points.into_iter().enumerate().map(row).collect()
}
