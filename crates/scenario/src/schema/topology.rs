//! `topology`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::scalar::{Count, DiskFormat, Flag, Frequency, PowerAtStart, Preset, Rate, Size, Time, TimeOfDay};

/// Hosts, links between them, virtual machines.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Topology {
    /// A file with hosts, links and machines that are there, too, relative to the scenario's file; or a list of them.
    pub include: Option<Include>,
    /// Hosts by name.
    pub hosts: Option<BTreeMap<String, Host>>,
    /// Links by the names of their two hosts: `HV1-HV2`.
    pub links: Option<BTreeMap<String, Link>>,
    /// Failover clusters by name.
    pub clusters: Option<BTreeMap<String, Cluster>>,
    /// Virtual machines by name.
    pub vms: Option<BTreeMap<String, Vm>>,
}

/// A file, or a list of them.
pub struct Include;

impl JsonSchema for Include {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Include".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A file with hosts, links and machines, relative to the scenario's; or a list of them.",
            "anyOf": [ { "type": "string" }, { "type": "array", "items": { "type": "string" } } ],
        })
    }
}

/// A Hyper-V host.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// Where it stands, for reports.
    pub site: Option<String>,
    /// How fast its disks read and write. Default: no limit.
    pub disk_rate: Option<Rate>,
    /// Whether it accepts replication from others. Default: true.
    pub replica_server: Option<Flag>,
    /// The names of its virtual switches. Default: every switch that a machine names.
    pub switches: Option<Vec<String>>,
}

/// A failover cluster, whose nodes share their storage.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cluster {
    /// Its nodes, at least two hosts.
    pub nodes: Vec<String>,
    /// The client access point of its Hyper-V Replica Broker. Default: none.
    pub broker: Option<String>,
}

/// A link between two hosts.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// In each direction, shared fairly. Default: 1Gbit.
    pub rate: Option<Rate>,
    /// One way. Default: 1ms.
    pub latency: Option<Time>,
}

/// A virtual machine.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Vm {
    /// The host that it is on at the start.
    pub host: String,
    /// Whether it runs at the start. Default: Running.
    pub power: Option<PowerAtStart>,
    /// Its disks, 1 to 256.
    pub disks: Vec<Disk>,
    /// Its replication relationship. Default: not replicated.
    pub replica: Option<Replica>,
    /// What its guest writes by itself while it runs. Default: nothing.
    pub guest: Option<Guest>,
    /// Its network adapters. Default: none.
    pub adapters: Option<Vec<Adapter>>,
    /// Whether the guest has integration services, so that it can be told its addresses. Default: true.
    pub integration_services: Option<Flag>,
}

/// A synthetic network adapter.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Adapter {
    /// Its name. Default: Network Adapter.
    pub name: Option<String>,
    /// The switch that it is connected to. Default: none.
    pub switch: Option<String>,
    /// The address in the guest's own configuration. Default: DHCP.
    pub address: Option<String>,
}

/// A virtual disk: `size`, or `image`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Disk {
    /// Its size, a multiple of 512 bytes, at most 64 TiB.
    pub size: Option<Size>,
    /// How much of it, from the start, was written before the scenario. Default: nothing.
    pub used: Option<Size>,
    /// A VHDX, VHD or raw file whose content it has, relative to the scenario's file; only read.
    pub image: Option<String>,
    /// The format of its file in the run folder. Default: vhdx.
    pub format: Option<DiskFormat>,
}

/// A replication relationship.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Replica {
    /// The replica server.
    pub host: String,
    /// How often changes are sent. Default: 5m.
    pub frequency: Option<Frequency>,
    /// Additional hourly recovery points, 0 to 24. Default: 0.
    pub recovery_points: Option<Count>,
    /// Whether changes are compressed on the link. Default: true.
    pub compression: Option<Flag>,
    /// The daily window of automatic resynchronization. Default: by hand only.
    pub auto_resync: Option<Window>,
    /// What ordinary operations have been done before the first step. Default: replicating.
    pub state: Option<Preset>,
}

/// A window of the day.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Window {
    /// Its start, local time of day.
    pub from: TimeOfDay,
    /// Its end; before the start, it goes past midnight.
    pub to: TimeOfDay,
}

/// What a guest writes by itself while it runs.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Guest {
    /// Bytes written a second, at random places.
    pub churn: Rate,
    /// Bytes of one write, a multiple of 4 KiB. Default: 64KiB.
    pub write_size: Option<Size>,
    /// Writes go into so much from the disk's start. Default: the whole disk.
    pub hot_spot: Option<Size>,
    /// Which disk, from 0. Default: 0.
    pub disk: Option<Count>,
}
