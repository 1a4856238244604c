//! All state of the simulated world but the disks: hosts, machines, links, what is under way.

use std::collections::{BTreeMap, VecDeque};

use hvrsim_replica::Service;
use hvrsim_replica::exchange::{Envelope, Log, Reply, Request, SessionSpec, TimerKind};
use hvrsim_replica::profile::Profile;
use hvrsim_replica::rule::Storage;
use hvrsim_types::id::{CopyId, EXTENDED_SUFFIX, ExchangeId, HostId, JobId, PointId, SessionId, VmId};
use hvrsim_types::network::Adapter;
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::Power;
use hvrsim_types::time::{Calendar, Instant, Span};
use hvrsim_types::vm_map::VmMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::guest::{GuestProfile, GuestState};
use crate::incident::{Ill, Struck, Target};
use crate::ledger::{Ledger, Position};
use crate::link::{FlowId, Link};
use crate::store::{BlockSet, DiskSpec, ResyncCounts, WriteNo};
use crate::trace::Finding;

/// How long it takes to notice that the other side does not answer (*assumed*).
pub const CONNECT_TIMEOUT: Span = Span::seconds(30);
/// What a request or an answer without a log weighs on a link, in bytes (*assumed*).
pub const MESSAGE_BYTES: u64 = 1024;

/// A host.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// It is up.
    pub up: bool,
    /// Counts starts: what was under way before the last one is void.
    pub boot: u32,
    /// What its disks read and write, in bytes a second.
    pub disk_rate: Rate,
    /// The names of its switches; `None`: it has every switch.
    pub switches: Option<Vec<String>>,
    /// Its replication service.
    pub service: Service,
    /// Its machines.
    pub machines: VmMap<Machine>,
}

/// A copy of a machine, as its host has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Power.
    pub power: Power,
    /// User checkpoints.
    pub checkpoints: u32,
    /// The guest's clock.
    pub guest: GuestState,
    /// Which content it has.
    pub content: Content,
    /// Blocks that never reached the other side, kept when it became a replica; `None` if unknown.
    pub unsent: Option<BlockSet>,
    /// Its base is being changed by a session, block by block.
    pub mixed: bool,
    /// Recovery points from before a disk was made smaller: they cannot be shown any more.
    pub cut: Vec<PointId>,
    /// What the newest user's checkpoint holds: the point of the store that keeps it, and its content.
    pub checkpoint: Option<(PointId, Position)>,
    /// Its network adapters.
    pub adapters: Vec<Adapter>,
    /// At its next start the guest is told the addresses after a failover.
    pub to_be_told: bool,
}

/// Contents of what belongs to a copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Content {
    /// What the guest sees.
    pub live: Position,
    /// What is under a failover disk; as `live` without one.
    pub base: Position,
    /// Closed logs, oldest first.
    pub closed: VecDeque<Position>,
    /// Closed logs of the extended relationship, oldest first.
    pub extended: VecDeque<Position>,
    /// Received logs, oldest first.
    pub received: VecDeque<Position>,
}

impl Content {
    /// One content throughout.
    #[must_use]
    pub fn of(position: Position) -> Self {
        let none = VecDeque::new;
        Self { live: position, base: position, closed: none(), extended: none(), received: none() }
    }

    /// The closed logs of the machine, or of its extended relationship.
    pub(crate) fn closed_of(&mut self, vm: VmId) -> &mut VecDeque<Position> {
        if vm.is_extended() { &mut self.extended } else { &mut self.closed }
    }

    /// The open log is closed: that of the machine leads to what the guest sees, that of its extended relationship to
    /// what is received and applied.
    pub(crate) fn close(&mut self, vm: VmId) {
        let content = if vm.is_extended() { self.base } else { self.live };
        self.closed_of(vm).push_back(content);
    }

    /// The base becomes this.
    pub(crate) fn set(&mut self, position: Position) {
        self.live = position;
        self.base = position;
    }
}

/// What all copies of a machine share.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VmInfo {
    /// Its name.
    pub name: String,
    /// Its GUID.
    pub guid: Uuid,
    /// Its disks as they were made.
    pub disks: Vec<DiskSpec>,
    /// Its guest.
    pub guest: Option<GuestProfile>,
    /// Its network adapters as they were made.
    pub adapters: Vec<Adapter>,
    /// The guest's integration services answer: it can be told its addresses.
    pub integration_services: bool,
}

/// What happens at a moment.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A copy's timer fires.
    Timer(CopyId, TimerKind),
    /// Flows of a link may be through.
    Flows {
        /// The link.
        link: LinkId,
        /// Of the link's flows, when this was computed.
        version: u64,
    },
    /// A message arrives.
    Arrive(Message),
    /// The requester notices that no answer will come.
    Broken {
        /// The requester's host.
        to: HostId,
        /// Its boot at the time of the request.
        boot: u32,
        /// The machine.
        vm: VmId,
        /// The request.
        exchange: ExchangeId,
    },
    /// A disk operation on a host has ended.
    Done {
        /// The copy.
        copy: CopyId,
        /// The host's boot when it began.
        boot: u32,
        /// What was done.
        work: DiskWork,
    },
    /// The session's disks have been read; its message can go.
    SessionRead {
        /// The session.
        session: SessionId,
        /// Its run.
        version: u32,
    },
    /// The session's message has arrived.
    SessionArrived {
        /// The session.
        session: SessionId,
        /// Its run.
        version: u32,
    },
    /// The leader notices that the session's connection broke.
    SessionBroken {
        /// The session.
        session: SessionId,
        /// Its run.
        version: u32,
    },
    /// A link's cut ends.
    LinkBack {
        /// The link.
        link: LinkId,
        /// Which cut.
        cuts: u32,
    },
    /// A host, or its service, starts again by itself.
    HostBack {
        /// The host.
        host: HostId,
        /// Its boot when it went down.
        boot: u32,
    },
    /// The other nodes of a cluster notice that one is silent.
    NodeSilent {
        /// The node.
        node: HostId,
        /// Its boot when it fell silent.
        boot: u32,
        /// The machines that ran on it.
        ran: Vec<VmId>,
    },
    /// A flapping link goes down for a while.
    Flap {
        /// The link.
        link: LinkId,
        /// Which strike.
        number: u64,
    },
    /// What was struck for a time is over; the number tells it from a later strike.
    Mended {
        /// What.
        ill: Ill,
        /// Where.
        target: Target,
        /// Which strike.
        number: u64,
    },
}

/// An index in the list of links.
pub type LinkId = u16;

/// Work of a host's disks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DiskWork {
    /// A received log is applied.
    Apply(Log),
    /// The failover disk is made, showing this point or the newest content.
    FailoverDisk(Option<PointId>),
    /// The test machine that this job makes, with this content.
    TestMachine(JobId, Position),
    /// Disks are merged.
    Merge,
    /// An initial replica is written to media.
    Export(SessionId),
    /// An initial replica is read from media.
    Import(SessionId),
}

/// An initial replica in a folder.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Media {
    /// The copy that it was exported from.
    pub source: CopyId,
    /// The export's session.
    pub session: SessionId,
    /// The moment that it holds.
    pub view: PointId,
    /// The content of that moment.
    pub content: Position,
    /// The export has ended.
    pub whole: bool,
}

/// A message between two services.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Message {
    // Boxed: every event in the queue is as large as the largest one.
    /// A request to a host.
    Request(HostId, Box<Envelope<Request>>),
    /// An answer to a host.
    Reply(HostId, Box<Envelope<Reply>>),
}

/// What a flow carries.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Load {
    /// A message.
    Message(Message),
    /// What a session has on its way, in this run of it.
    Session(SessionId, u32),
}

/// Bytes on their way over a link.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// The link.
    pub link: LinkId,
    /// The sender.
    pub from: HostId,
    /// The receiver.
    pub to: HostId,
    /// What it carries.
    pub load: Load,
}

/// A session of the resynchronization engine.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The copy that leads it.
    pub leader: CopyId,
    /// What it brings from where to where.
    pub spec: SessionSpec,
    /// Which content it brings.
    pub brings: Position,
    /// Its connection stands.
    pub running: bool,
    /// Counts interruptions: an event of an earlier run is void.
    pub version: u32,
}

/// A recovery point, wherever it is kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PointInfo {
    /// The machine.
    pub vm: VmId,
    /// Its content.
    pub content: Position,
}

/// The world.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct World {
    /// The scenario's seed.
    pub seed: u64,
    /// Its calendar.
    pub calendar: Calendar,
    /// Its readings.
    pub profile: Profile,
    /// The virtual time.
    pub now: Instant,
    /// Hosts by id.
    pub hosts: Vec<Host>,
    /// Machines by id.
    pub vms: Vec<VmInfo>,
    /// Test machines that are, or were, on some host.
    pub test_vms: BTreeMap<VmId, VmInfo>,
    /// Links.
    pub links: Vec<Link>,
    /// Failover clusters.
    pub clusters: Vec<Cluster>,
    /// Where a machine went that a host had, if it was moved.
    pub moves: BTreeMap<(HostId, VmId), HostId>,
    /// What was written.
    pub ledger: Ledger,
    /// Recovery points.
    pub points: BTreeMap<PointId, PointInfo>,
    /// Findings so far.
    pub findings: Vec<(Instant, HostId, VmId, Finding)>,
    /// What is broken at present.
    pub ills: BTreeMap<(Ill, Target), Struck>,
    /// Initial replicas on media, by their folders in lower case.
    pub media: BTreeMap<String, Media>,
    /// Counts of sessions, the present ones without what the store still counts.
    pub session_counts: BTreeMap<SessionId, ResyncCounts>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) queue: BTreeMap<(Instant, u64), Event>,
    pub(crate) timers: BTreeMap<(CopyId, TimerKind), (Instant, u64)>,
    pub(crate) flows: BTreeMap<FlowId, Flow>,
    pub(crate) exchanges: BTreeMap<ExchangeId, (HostId, HostId, VmId)>,
    pub(crate) sequence: u64,
    pub(crate) next_write: WriteNo,
}

impl World {
    /// A world without hosts.
    #[must_use]
    pub fn new(seed: u64, calendar: Calendar, profile: Profile) -> Self {
        Self {
            seed,
            calendar,
            profile,
            now: Instant::START,
            hosts: Vec::new(),
            vms: Vec::new(),
            test_vms: BTreeMap::new(),
            links: Vec::new(),
            clusters: Vec::new(),
            moves: BTreeMap::new(),
            ledger: Ledger::default(),
            points: BTreeMap::new(),
            findings: Vec::new(),
            ills: BTreeMap::new(),
            media: BTreeMap::new(),
            session_counts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            queue: BTreeMap::new(),
            timers: BTreeMap::new(),
            flows: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            sequence: 0,
            next_write: WriteNo::FIRST,
        }
    }

    /// A host by id.
    #[must_use]
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[usize::from(id.0)]
    }

    pub(crate) fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[usize::from(id.0)]
    }

    /// A machine's shared part.
    #[must_use]
    pub fn vm(&self, id: VmId) -> &VmInfo {
        if id.is_test()
            && let Some(info) = self.test_vms.get(&id)
        {
            return info;
        }
        &self.vms[id.index()]
    }

    /// What messages call a machine, or its extended relationship.
    #[must_use]
    pub fn label(&self, id: VmId) -> String {
        let of = if id.is_extended() { EXTENDED_SUFFIX } else { "" };
        format!("{}{of}", self.vm(id).name)
    }

    /// A copy as its host has it; of an extended relationship, the copy that it is of.
    #[must_use]
    pub fn machine(&self, copy: CopyId) -> Option<&Machine> {
        let vm = if copy.vm.is_extended() { copy.vm.machine() } else { copy.vm };
        self.hosts.get(usize::from(copy.host.0))?.machines.get(&vm)
    }

    pub(crate) fn machine_mut(&mut self, copy: CopyId) -> Option<&mut Machine> {
        let vm = if copy.vm.is_extended() { copy.vm.machine() } else { copy.vm };
        self.hosts.get_mut(usize::from(copy.host.0))?.machines.get_mut(&vm)
    }

    /// Every copy of every machine, by host.
    pub fn copies(&self) -> impl Iterator<Item = CopyId> + '_ {
        self.hosts.iter().enumerate().flat_map(|(index, host)| {
            let host_id = HostId(u16::try_from(index).unwrap_or(u16::MAX));
            host.machines.keys().map(move |vm| CopyId { host: host_id, vm })
        })
    }

    /// The link between two hosts.
    pub(crate) fn link_between(&self, a: HostId, b: HostId) -> Option<LinkId> {
        let index = self.links.iter().position(|link| link.joins(a, b))?;
        u16::try_from(index).ok()
    }

    /// Whether a message can be sent from one host to another now.
    pub(crate) fn reachable(&self, from: HostId, to: HostId) -> Option<LinkId> {
        let link = self.link_between(from, to)?;
        let open = !self.links[usize::from(link)].cut && self.host(from).up && self.host(to).up;
        open.then_some(link)
    }

    /// Whether this is broken there.
    #[must_use]
    pub fn has(&self, ill: Ill, target: Target) -> bool {
        self.ills.contains_key(&(ill, target))
    }

    /// Whether a message gets from one host to another: a request, which opens a connection, or an answer on it. `bulk`
    /// is what replication carries.
    pub(crate) fn carries(&self, from: HostId, to: HostId, request: bool, bulk: bool) -> Option<LinkId> {
        let link = self.reachable(from, to)?;
        if self.ills.is_empty() {
            return Some(link);
        }
        let ends = self.links[usize::from(link)].ends;
        let refused = request
            && [Ill::PortBlocked, Ill::NameUnresolved].iter().any(|ill| self.has(*ill, Target::Host(to)));
        let cut = bulk && self.has(Ill::ProxyCuts, Target::Link(ends));
        let one_way = from == ends.1 && self.has(Ill::HalfOpen, Target::Link(ends));
        (!refused && !cut && !one_way).then_some(link)
    }

    /// Whether a session of the resynchronization engine can run between a leader's host and the other one.
    pub(crate) fn carries_session(&self, leader: HostId, other: HostId) -> bool {
        self.carries(leader, other, true, true).is_some()
            && self.carries(other, leader, false, false).is_some()
    }

    /// What a host's volume takes.
    pub(crate) fn storage(&self, host: HostId) -> Storage {
        if self.has(Ill::StoreFull, Target::Host(host)) {
            Storage::Full
        } else if self.has(Ill::FilesLocked, Target::Host(host)) {
            Storage::Locked
        } else {
            Storage::Sound
        }
    }

    /// The calendar by the clock of a host whose clock was changed.
    pub(crate) fn own_calendar(&self, host: HostId) -> Option<Calendar> {
        let struck = self.ills.get(&(Ill::ClockAhead, Target::Host(host)))?;
        Some(self.calendar.ahead(struck.span))
    }

    /// Whether the machine that is the only domain controller runs nowhere.
    pub(crate) fn directory_down(&self) -> bool {
        self.ills.keys().any(|(ill, target)| match (ill, target) {
            (Ill::DirectoryWithin, Target::Copy(dc)) => !self.copies().any(|copy| {
                copy.vm == dc.vm && self.machine(copy).is_some_and(|m| m.power == Power::Running)
            }),
            _ => false,
        })
    }

    pub(crate) fn at(&mut self, when: Instant, event: Event) -> (Instant, u64) {
        self.sequence += 1;
        let key = (when.max(self.now), self.sequence);
        self.queue.insert(key, event);
        key
    }

    pub(crate) fn after(&mut self, span: Span, event: Event) {
        let when = self.now + span;
        self.at(when, event);
    }

    pub(crate) fn set_timer(&mut self, copy: CopyId, kind: TimerKind, when: Instant) {
        self.cancel_timer(copy, kind);
        let key = self.at(when, Event::Timer(copy, kind));
        self.timers.insert((copy, kind), key);
    }

    pub(crate) fn cancel_timer(&mut self, copy: CopyId, kind: TimerKind) {
        if let Some(key) = self.timers.remove(&(copy, kind)) {
            self.queue.remove(&key);
        }
    }

    /// Size of a machine's disk.
    #[must_use]
    pub fn disk_size(&self, vm: VmId, disk: u8) -> Option<Bytes> {
        self.vm(vm).disks.get(usize::from(disk)).map(|d| d.size)
    }
}
