//! `topology`: hosts, links, virtual machines.

use hvrsim_replica::operation::{Frequency, RECOVERY_HISTORY_MAX, Settings};
use hvrsim_types::id::{HostId, TEST_SUFFIX};
use hvrsim_types::size::{Bytes, CELL};
use hvrsim_types::state::Power;
use hvrsim_types::time::Span;

use super::Reader;
use super::fields::Fields;
use super::words::find;
use crate::model::topology::{Cluster, Disk, DiskFormat, DiskSource, Guest, Host, Link, Preset, Replica, Vm};
use crate::source::{At, Place};
use crate::yaml::{Key, Kind, Node};

/// Largest virtual disk.
const MAX_DISK: Bytes = Bytes(64 << 40);
/// The sector of a virtual disk.
const SECTOR: u64 = 512;
/// Disk numbers are bytes.
const MAX_DISKS: usize = 256;

impl Reader<'_> {
    /// Reads the topology into `self.topology`; what cannot be read is left out and told.
    pub(super) fn topology(&mut self, node: &Node) {
        let Some(fields) = self.fields(node, "`topology`", &["hosts", "links", "clusters", "vms"]) else {
            return;
        };
        // All names first, so that an error inside of one thing does not make its name unknown elsewhere.
        let hosts = self.need(&fields, "hosts").and_then(|n| self.entries(n, "`hosts`")).unwrap_or(&[]);
        let vms = self.need(&fields, "vms").and_then(|n| self.entries(n, "`vms`")).unwrap_or(&[]);
        self.names.hosts = self.check_names(hosts, "host", &['/', '@', ' ']);
        self.names.vms = self.check_names(vms, "virtual machine", &['/', '@', '*', '?', '[', ']', '"', '\'']);
        self.names.tests = self.names.vms.iter().map(|name| format!("{name}{TEST_SUFFIX}")).collect();
        if hosts.is_empty() || hosts.len() > usize::from(u16::MAX) {
            self.error(fields.place, "a topology has at least one host, and at most 65535", None);
        }
        for (key, node) in hosts {
            let host = self.host_entry(key, node);
            self.topology.hosts.push(host);
        }
        if let Some(links) = fields.get("links").and_then(|n| self.entries(n, "`links`")) {
            for (key, node) in links {
                self.link_entry(key, node);
            }
        }
        if let Some(clusters) = fields.get("clusters").and_then(|n| self.entries(n, "`clusters`")) {
            for (key, node) in clusters {
                self.cluster_entry(key, node);
            }
        }
        for (key, node) in vms {
            self.sizes.push(Vec::new());
            if let Some(vm) = self.vm_entry(key, node) {
                self.topology.vms.push(vm);
            }
        }
    }

    fn check_names(&mut self, entries: &[(Key, Node)], kind: &str, refused: &[char]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (key, _) in entries {
            let name = &key.text;
            if let Some(c) = name.chars().find(|c| refused.contains(c) || c.is_control()) {
                self.error(
                    key.place,
                    format!("the name of a {kind} cannot hold `{}`", c.escape_default()),
                    None,
                );
            } else if name.trim().is_empty() || name.trim() != name {
                self.error(
                    key.place,
                    format!("the name of a {kind} is not empty and has no blanks at its ends"),
                    None,
                );
            } else if let Some(first) = find(&names, name) {
                let message =
                    format!("`{name}` and `{}` are the same name: case does not count", names[first]);
                self.error(key.place, message, None);
            }
            names.push(name.clone());
        }
        names
    }

    fn host_entry(&mut self, key: &Key, node: &Node) -> Host {
        let mut host = Host {
            name: At::new(key.text.clone(), key.place),
            site: None,
            disk_rate: None,
            replica_server: true,
            switches: None,
        };
        if let Some(fields) =
            self.fields(node, "a host", &["site", "disk-rate", "replica-server", "switches"])
        {
            host.site = self.optional(&fields, "site", Self::text).map(|at| at.value);
            host.disk_rate = self.optional(&fields, "disk-rate", Self::rate).map(|at| at.value);
            host.replica_server =
                self.optional(&fields, "replica-server", Self::boolean).is_none_or(|at| at.value);
            host.switches = self.optional(&fields, "switches", Self::switches);
        }
        host
    }

    fn cluster_entry(&mut self, key: &Key, node: &Node) {
        let Some(fields) = self.fields(node, "a cluster", &["nodes", "broker"]) else { return };
        let items = self.need(&fields, "nodes").and_then(|n| self.items(n, "`nodes`")).unwrap_or(&[]);
        let nodes: Vec<At<HostId>> = items.iter().filter_map(|item| self.host(item)).collect();
        if items.len() < 2 {
            self.error(key.place, "a cluster has at least two nodes", None);
        }
        for (index, node) in nodes.iter().enumerate() {
            let here = nodes[..index].iter().any(|other| other.value == node.value);
            if here || self.topology.clusters.iter().any(|cluster| cluster.nodes.contains(&node.value)) {
                self.error(node.place, "this host is a node of a cluster already", None);
            }
        }
        let broker = self.optional(&fields, "broker", Self::name);
        if let Some(name) = &broker {
            if find(&self.names.hosts, name).is_some() || find(&self.names.access_points, name).is_some() {
                self.error(name.place, "a host, or another broker, has this name already", None);
            }
            self.names.access_points.push(name.value.clone());
        }
        self.topology.clusters.push(Cluster {
            name: At::new(key.text.clone(), key.place),
            nodes: nodes.into_iter().map(|at| at.value).collect(),
            broker: broker.map(|at| at.value),
        });
    }

    fn link_entry(&mut self, key: &Key, node: &Node) {
        let fields = self.fields(node, "a link", &["rate", "latency"]);
        let Some(ends) = self.link_ends(&key.text, key.place) else { return };
        if self.topology.links.iter().any(|link| link.joins(ends.0, ends.1)) {
            self.error(key.place, "these two hosts have a link already", None);
            return;
        }
        let rate = fields.as_ref().and_then(|f| self.optional(f, "rate", Self::rate));
        let latency = fields.as_ref().and_then(|f| self.optional(f, "latency", Self::span));
        self.topology.links.push(Link {
            place: key.place,
            ends,
            rate: rate.map_or(Link::DEFAULT_RATE, |at| at.value),
            latency: latency.map_or(Link::DEFAULT_LATENCY, |at| at.value),
        });
    }

    fn vm_entry(&mut self, key: &Key, node: &Node) -> Option<Vm> {
        let keys = ["host", "power", "disks", "replica", "guest", "adapters", "integration-services"];
        let mut fields = self.fields(node, "a virtual machine", &keys)?;
        fields.place = key.place;
        let host = self.need(&fields, "host").and_then(|n| self.host(n));
        let power = self.optional(&fields, "power", |r, n| {
            r.word(n, "a power state to start with", &[("Off", Power::Off), ("Running", Power::Running)])
        });
        let disks = self.need(&fields, "disks").and_then(|n| self.disks(n));
        let replica = fields.get("replica").map(|n| self.replica(n, host));
        let guest = fields.get("guest").map(|n| self.guest(n));
        let adapters = self.optional(&fields, "adapters", Self::adapters);
        let integration = self.optional(&fields, "integration-services", Self::boolean);
        Some(Vm {
            name: At::new(key.text.clone(), key.place),
            host: host?,
            power: power.map_or(Power::Running, |at| at.value),
            disks: disks?,
            replica: match replica {
                Some(read) => Some(read?),
                None => None,
            },
            guest: match guest {
                Some(read) => Some(read?),
                None => None,
            },
            adapters: adapters.unwrap_or_default(),
            integration_services: integration.is_none_or(|at| at.value),
        })
    }

    /// The disks; their sizes also go to `self.sizes`, one entry for each that stands there.
    fn disks(&mut self, node: &Node) -> Option<Vec<Disk>> {
        let Kind::List(items) = &node.kind else {
            let help = Some("write `disks: [ { size: 40GiB } ]`".to_owned());
            self.error(node.place, format!("`disks` is a list, found {}", node.found()), help);
            return None;
        };
        if items.is_empty() || items.len() > MAX_DISKS {
            self.error(
                node.place,
                format!("a virtual machine has at least one disk, and at most {MAX_DISKS}"),
                None,
            );
            return None;
        }
        let disks: Vec<Option<Disk>> = items.iter().map(|item| self.disk(item)).collect();
        let size = |disk: &Option<Disk>| match disk.as_ref()?.source {
            DiskSource::Blank { size, .. } => Some(size.0),
            DiskSource::Image(_) => None,
        };
        if let Some(last) = self.sizes.last_mut() {
            *last = disks.iter().map(size).collect();
        }
        disks.into_iter().collect()
    }

    fn disk(&mut self, node: &Node) -> Option<Disk> {
        let fields = self.fields_or_bare(node, "a disk", &["size", "used", "image", "format"])?;
        let format = self.optional(&fields, "format", |r, n| {
            r.word(n, "a disk format", &[("vhdx", DiskFormat::Vhdx), ("raw", DiskFormat::Raw)])
        });
        let source = match (fields.get("size"), fields.key("image")) {
            (Some(size), None) => self.blank(&fields, size),
            (None, Some(_)) => self.image(&fields),
            (Some(_), Some(image)) => {
                let help = Some("an image has a size of its own: remove one of the two".to_owned());
                self.error(image.place, "a disk has either `size` or `image`", help);
                None
            }
            (None, None) => {
                self.error(fields.place, "a disk needs `size` or `image`", None);
                None
            }
        };
        Some(Disk {
            place: node.place,
            source: source?,
            format: format.map_or(DiskFormat::Vhdx, |at| at.value),
        })
    }

    fn image(&mut self, fields: &Fields<'_>) -> Option<DiskSource> {
        if let Some(used) = fields.key("used") {
            self.error(used.place, "`used` goes with `size`: an image has its own content", None);
        }
        let path = fields.get("image").and_then(|n| self.name(n))?;
        Some(DiskSource::Image(path))
    }

    fn blank(&mut self, fields: &Fields<'_>, node: &Node) -> Option<DiskSource> {
        let size = self.bytes(node);
        let used = self.optional(fields, "used", Self::bytes);
        let size = size?;
        if !size.0.is_multiple_of(SECTOR) || size.value == Bytes(0) {
            let message = format!(
                "a disk of {} bytes: the size must be a multiple of its {SECTOR}-byte sector",
                size.0
            );
            self.error(size.place, message, None);
            return None;
        }
        if size.value > MAX_DISK {
            self.error(size.place, "a virtual disk has at most 64 TiB", None);
            return None;
        }
        let used = used.unwrap_or(At::new(Bytes(0), size.place));
        if used.value > size.value {
            self.error(used.place, format!("{} used of a disk of {}", used.value, size.value), None);
        } else if !used.0.is_multiple_of(CELL) && used.value != size.value {
            self.error(used.place, "`used` must be a multiple of 4 KiB", None);
        }
        Some(DiskSource::Blank { size: size.value, used: used.value })
    }

    fn replica(&mut self, node: &Node, vm_host: Option<At<HostId>>) -> Option<Replica> {
        let keys = ["host", "frequency", "recovery-points", "compression", "auto-resync", "state"];
        let fields = self.fields_or_bare(node, "`replica`", &keys)?;
        let host = self.need(&fields, "host").and_then(|n| self.host(n));
        let settings = self.settings(&fields);
        let state = self.optional(&fields, "state", |r, n| {
            let words = [
                ("none", Preset::None),
                ("enabled", Preset::Enabled),
                ("replicating", Preset::Replicating),
                ("suspended", Preset::Suspended),
                ("prepared-for-failover", Preset::PreparedForFailover),
                ("failed-over-waiting-completion", Preset::FailedOverWaitingCompletion),
                ("failed-over", Preset::FailedOver),
                ("reversed", Preset::Reversed),
            ];
            r.word(n, "a state to start with", &words)
        });
        let state = state.map_or(Preset::Replicating, |at| at.value);
        let (host, from) = (host?, vm_host?);
        self.check_pair(from.value, host, state);
        Some(Replica { place: node.place, host, settings, state })
    }

    fn check_pair(&mut self, from: HostId, to: At<HostId>, state: Preset) {
        if from == to.value {
            self.error(
                to.place,
                "the replica's host is the machine's own host",
                Some("name another host".to_owned()),
            );
            return;
        }
        if state == Preset::None {
            return;
        }
        let (a, b) =
            (self.names.hosts[usize::from(from.0)].clone(), self.names.hosts[usize::from(to.0)].clone());
        if !self.topology.links.iter().any(|link| link.joins(from, to.value)) {
            let help =
                format!("add `{a}-{b}: {{ rate: 1Gbit }}` to `links`, or give the replica `state: none`");
            self.error(to.place, format!("there is no link between {a} and {b}"), Some(help));
        }
        if self.topology.hosts.get(usize::from(to.0)).is_some_and(|host| !host.replica_server) {
            let help =
                Some("remove its `replica-server: false`, or give the replica `state: none`".to_owned());
            self.error(to.place, format!("{b} is not a replica server"), help);
        }
    }

    fn settings(&mut self, fields: &Fields<'_>) -> Settings {
        let default = Settings::default();
        let frequency = self.optional(fields, "frequency", |r, n| {
            r.parsed(n, "30s, 5m or 15m", |text| {
                let interval = Span::parse(text).ok().map(Span::as_seconds);
                let known = interval.and_then(Frequency::from_interval_s);
                known.ok_or_else(|| format!("`{text}` is not a replication frequency: 30s, 5m or 15m"))
            })
        });
        let points = self.optional(fields, "recovery-points", |r, n| {
            r.parsed(n, "a number of recovery points", |text| {
                let number = text.parse().ok().filter(|n| *n <= RECOVERY_HISTORY_MAX);
                number.ok_or_else(|| {
                    format!("`{text}` is not a number of recovery points from 0 to {RECOVERY_HISTORY_MAX}")
                })
            })
        });
        let compression = self.optional(fields, "compression", Self::boolean);
        let window = self.optional(fields, "auto-resync", Self::window);
        Settings {
            frequency: frequency.map_or(default.frequency, |at| at.value),
            recovery_history: points.map_or(default.recovery_history, |at| at.value),
            compression: compression.map_or(default.compression, |at| at.value),
            auto_resync: window.is_some(),
            auto_resync_start: window.map_or(default.auto_resync_start, |(from, _)| from),
            auto_resync_end: window.map_or(default.auto_resync_end, |(_, to)| to),
            ..default
        }
    }

    fn window(&mut self, node: &Node) -> Option<(Span, Span)> {
        let fields = self.fields(node, "`auto-resync`", &["from", "to"])?;
        let from = self.need(&fields, "from").and_then(|n| self.time_of_day(n));
        let to = self.need(&fields, "to").and_then(|n| self.time_of_day(n));
        Some((from?, to?))
    }

    fn time_of_day(&mut self, node: &Node) -> Option<Span> {
        const EXPECTED: &str = "a time of day such as \"18:30\"";
        let read = self.parsed(node, EXPECTED, |text| {
            let part =
                |text: &str, below: u64| text.parse::<u64>().ok().filter(|n| text.len() == 2 && *n < below);
            let both = text.split_once(':').and_then(|(h, m)| Some((part(h, 24)?, part(m, 60)?)));
            let (hours, minutes) = both.ok_or_else(|| format!("`{text}` is not {EXPECTED}"))?;
            Ok(Span::minutes(hours * 60 + minutes))
        });
        read.map(|at| at.value)
    }

    fn guest(&mut self, node: &Node) -> Option<Guest> {
        let fields = self.fields_or_bare(node, "`guest`", &["churn", "write-size", "hot-spot", "disk"])?;
        let churn = self.need(&fields, "churn").and_then(|n| self.rate(n));
        let write_size = self.optional(&fields, "write-size", Self::bytes);
        let hot_spot = self.optional(&fields, "hot-spot", Self::bytes);
        let disk = self.optional(&fields, "disk", Self::disk_index);
        let index = disk.map_or(0, |at| at.value);
        let size = write_size.unwrap_or(At::new(Guest::DEFAULT_WRITE_SIZE, fields.place));
        if !size.0.is_multiple_of(CELL) || size.value == Bytes(0) {
            self.error(size.place, "`write-size` must be a multiple of 4 KiB", None);
        }
        self.check_disk(self.sizes.len().saturating_sub(1), index, disk.map_or(fields.place, |at| at.place));
        let disk_size = self.sizes.last().and_then(|disks| disks.get(usize::from(index)).copied().flatten());
        let area = hot_spot.map(|at| at.value).or(disk_size.map(Bytes));
        if area.is_some_and(|area| area < size.value) {
            self.error(
                hot_spot.map_or(size.place, |at| at.place),
                "there is no room for one write of `write-size`",
                None,
            );
        }
        if let (Some(spot), Some(disk_size)) = (hot_spot, disk_size)
            && spot.0 > disk_size
        {
            self.error(
                spot.place,
                format!("`hot-spot` is larger than the disk of {}", Bytes(disk_size)),
                None,
            );
        }
        Some(Guest {
            churn: churn?.value,
            write_size: size.value,
            hot_spot: hot_spot.map(|at| at.value),
            disk: index,
        })
    }

    /// Says so if a machine has no disk of that number. A machine whose disks could not be read has any.
    pub(super) fn check_disk(&mut self, vm: usize, disk: u8, place: Place) {
        let count = self.sizes.get(vm).map_or(0, Vec::len);
        if count > 0 && usize::from(disk) >= count {
            let (name, last) = (self.names.vms[vm].clone(), count - 1);
            let help = if last == 0 {
                "its only disk is 0".to_owned()
            } else {
                format!("its disks are 0 to {last}")
            };
            self.error(place, format!("{name} has no disk {disk}"), Some(help));
        }
    }
}
