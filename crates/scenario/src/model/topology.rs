//! Hosts, links between them, virtual machines, their disks, guests and relationships.
//!
//! The id of a host or machine is its place in the file.

use hvrsim_replica::operation::Settings;
use hvrsim_types::id::{HostId, VmId};
use hvrsim_types::network::Adapter;
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::Power;
use hvrsim_types::time::Span;

use crate::source::{At, Place};

/// Everything that is there when a scenario starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// Hosts; the index is the [`HostId`].
    pub hosts: Vec<Host>,
    /// Links.
    pub links: Vec<Link>,
    /// Failover clusters.
    pub clusters: Vec<Cluster>,
    /// Virtual machines; the index is the [`VmId`].
    pub vms: Vec<Vm>,
}

impl Topology {
    /// A host.
    ///
    /// # Panics
    /// On an id of another scenario.
    #[must_use]
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[usize::from(id.0)]
    }

    /// A virtual machine.
    ///
    /// # Panics
    /// On an id of another scenario.
    #[must_use]
    pub fn vm(&self, id: VmId) -> &Vm {
        &self.vms[id.index()]
    }
}

/// A Hyper-V host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// Its name.
    pub name: At<String>,
    /// `site`: where it stands, for reports.
    pub site: Option<String>,
    /// `disk-rate`: how fast its disks read and write; no limit if not given.
    pub disk_rate: Option<Rate>,
    /// `replica-server`: it accepts replication from the other hosts.
    pub replica_server: bool,
    /// `switches`: their names; every switch if not given.
    pub switches: Option<Vec<String>>,
}

/// A failover cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: At<String>,
    /// `nodes`: at least two hosts; they share their storage.
    pub nodes: Vec<HostId>,
    /// `broker`: the client access point of its Hyper-V Replica Broker.
    pub broker: Option<String>,
}

/// A link between two hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Where it is written.
    pub place: Place,
    /// The two hosts, as written.
    pub ends: (HostId, HostId),
    /// `rate` in each direction.
    pub rate: Rate,
    /// `latency`, one way.
    pub latency: Span,
}

impl Link {
    /// The rate of a link that gives none: 1 Gbit/s.
    pub const DEFAULT_RATE: Rate = Rate(125_000_000);
    /// The latency of a link that gives none: 1 ms.
    pub const DEFAULT_LATENCY: Span = Span(1_000_000);

    /// Whether it is between these two, in either order.
    #[must_use]
    pub fn joins(&self, a: HostId, b: HostId) -> bool {
        self.ends == (a, b) || self.ends == (b, a)
    }
}

/// A virtual machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vm {
    /// Its name.
    pub name: At<String>,
    /// The host that it runs on at the start.
    pub host: At<HostId>,
    /// Whether it runs at the start.
    pub power: Power,
    /// Its disks; at least one, at most 256.
    pub disks: Vec<Disk>,
    /// Its relationship.
    pub replica: Option<Replica>,
    /// What its guest writes by itself; nothing without it.
    pub guest: Option<Guest>,
    /// Its network adapters.
    pub adapters: Vec<Adapter>,
    /// `integration-services`: the guest can be told its addresses.
    pub integration_services: bool,
}

/// A virtual disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Where it is written.
    pub place: Place,
    /// What it holds at the start.
    pub source: DiskSource,
    /// The format of its file in a run folder.
    pub format: DiskFormat,
}

/// What a disk holds at the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskSource {
    /// A disk of that size, of which the first `used` bytes were written before the scenario.
    Blank {
        /// Virtual size.
        size: Bytes,
        /// Bytes written, from the disk's start.
        used: Bytes,
    },
    /// The content of a file, as written: relative to the scenario's file.
    Image(At<String>),
}

/// A file format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DiskFormat {
    /// Dynamic VHDX.
    Vhdx,
    /// Raw with holes.
    Raw,
}

/// A relationship to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    /// Where it is written.
    pub place: Place,
    /// The replica's host.
    pub host: At<HostId>,
    /// The relationship's settings.
    pub settings: Settings,
    /// How far it is when the first step begins.
    pub state: Preset,
}

/// What ordinary operations have been done before the first step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Preset {
    /// None: the steps enable replication themselves.
    None,
    /// Replication is enabled, nothing has been sent.
    Enabled,
    /// The initial replication is done.
    Replicating,
    /// Then replication was suspended.
    Suspended,
    /// Then the machine was stopped and a planned failover prepared.
    PreparedForFailover,
    /// Then it was failed over, and runs there if its `power` says so; not completed.
    FailedOverWaitingCompletion,
    /// Then the failover was completed.
    FailedOver,
    /// Failed over as planned and reversed: the other host is the primary now.
    Reversed,
}

/// What a guest writes by itself while it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guest {
    /// `churn`: bytes written per second.
    pub churn: Rate,
    /// `write-size` of one write, a multiple of 4 KiB.
    pub write_size: Bytes,
    /// `hot-spot`: writes go to that many bytes from the disk's start; the whole disk if not given.
    pub hot_spot: Option<Bytes>,
    /// `disk`: which disk.
    pub disk: u8,
}

impl Guest {
    /// The size of a guest's write when none is given.
    pub const DEFAULT_WRITE_SIZE: Bytes = Bytes(64 << 10);
}
