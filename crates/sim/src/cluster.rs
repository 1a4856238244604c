//! Failover clusters: which node has what, the Replica Broker, machines that move.
//!
//! A cluster's nodes share their storage: a machine that moves within it takes nothing along. The broker knows which node
//! has a replica; a primary that does not find it there any more asks (Why is the Hyper-V Replica Broker required,
//! 2012-03-27).

use hvrsim_replica::exchange::{Input, Note};
use hvrsim_replica::operation::Operation;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::state::{Mode, Power};
use hvrsim_types::time::Span;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::incident::{Ill, Target};
use crate::sim::Sim;
use crate::store::{DiskStore, StoreResult};
use crate::trace::What;
use crate::world::{Event, World};

/// How long the other nodes wait before they take over what a silent one had (*assumed*).
pub const NODE_SILENT: Span = Span::seconds(10);

/// A failover cluster.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its nodes, at least one; a host is in one cluster at most.
    pub nodes: Vec<HostId>,
    /// Its Hyper-V Replica Broker.
    pub broker: Option<Broker>,
}

/// The role *Hyper-V Replica Broker* of a cluster.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Broker {
    /// Its client access point: the name that primaries send to.
    pub name: String,
    /// The node that has the role.
    pub owner: HostId,
}

/// Why a machine cannot move.
pub type Impossible = &'static str;

impl World {
    /// The cluster that a host is a node of.
    #[must_use]
    pub fn cluster_of(&self, host: HostId) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.nodes.contains(&host))
    }

    /// The broker of a host's cluster, if it answers.
    fn broker_of(&self, host: HostId) -> Option<&Broker> {
        let cluster = self.cluster_of(host)?;
        let ill = |node: &HostId| {
            [Ill::BrokerOffline, Ill::BrokerAccount].iter().any(|ill| self.has(*ill, Target::Host(*node)))
        };
        let broker = cluster.broker.as_ref()?;
        (self.host(broker.owner).up && !cluster.nodes.iter().any(ill)).then_some(broker)
    }

    /// Whether new replicas can be placed where a host is: always, but for a cluster whose broker does not answer.
    pub(crate) fn takes_new(&self, host: HostId) -> bool {
        !self.is_clustered(host) || self.broker_of(host).is_some()
    }

    /// Whether a host is a node of a cluster with a broker.
    #[must_use]
    pub fn is_clustered(&self, host: HostId) -> bool {
        self.cluster_of(host).is_some_and(|cluster| cluster.broker.is_some())
    }

    /// Whether another node would take the machine.
    pub(crate) fn has_other_node(&self, copy: CopyId) -> bool {
        self.next_node(copy).is_some()
    }

    /// The node of a cluster that has the machine's replica, or replicated machine.
    fn node_with(&self, cluster: &Cluster, vm: VmId) -> Option<HostId> {
        let has = |node: &HostId| {
            self.host(*node).service.copies.get(&vm.machine()).is_some_and(|copy| copy.mode != Mode::None)
        };
        cluster.nodes.iter().copied().find(has)
    }

    /// What the broker says to somebody at `from` who looked for the machine on `node`.
    pub(crate) fn ask_broker(&self, from: HostId, node: HostId, vm: VmId) -> Option<HostId> {
        let broker = self.broker_of(node)?;
        self.reachable(from, broker.owner)?;
        self.node_with(self.cluster_of(node)?, vm).filter(|found| *found != node)
    }

    /// The node that a client access point stands for: the one that has the machine, else a healthy one drawn for it.
    #[must_use]
    pub fn node_behind(&self, access_point: &str, vm: VmId) -> Option<HostId> {
        let named = |cluster: &&Cluster| {
            cluster.broker.as_ref().is_some_and(|broker| broker.name.eq_ignore_ascii_case(access_point))
        };
        let cluster = self.clusters.iter().find(named)?;
        if let Some(node) = self.node_with(cluster, vm) {
            return Some(node);
        }
        let healthy: Vec<HostId> = cluster.nodes.iter().copied().filter(|n| self.host(*n).up).collect();
        let all = if healthy.is_empty() { &cluster.nodes } else { &healthy };
        let name = format!("hvrsim/broker/{}/{}/{}", self.seed, cluster.name, self.vm(vm).name);
        let mut rng = ChaCha8Rng::from_seed(*blake3::hash(name.as_bytes()).as_bytes());
        let count = u64::try_from(all.len()).unwrap_or(1).max(1);
        usize::try_from(rng.next_u64() % count).ok().and_then(|n| all.get(n)).copied()
    }

    /// Whether what was at `before` is at `now`, because it was moved.
    pub(crate) fn has_moved(&self, vm: VmId, before: HostId, now: HostId) -> bool {
        let mut at = before;
        for _ in 0..self.hosts.len() {
            match self.moves.get(&(at, vm.machine())) {
                Some(next) if *next == now => return true,
                Some(next) => at = *next,
                None => return false,
            }
        }
        false
    }

    /// Another node of the same cluster that is up and has no copy of the machine.
    fn next_node(&self, copy: CopyId) -> Option<HostId> {
        let nodes = &self.cluster_of(copy.host)?.nodes;
        let free = |node: &HostId| {
            let there = CopyId { host: *node, vm: copy.vm };
            *node != copy.host && self.host(*node).up && self.machine(there).is_none()
        };
        let after = nodes.iter().copied().filter(|node| *node > copy.host);
        after.chain(nodes.iter().copied()).find(free)
    }
}

impl<D: DiskStore> Sim<D> {
    /// Makes a cluster of hosts; the first node has the broker.
    pub fn add_cluster(&mut self, name: &str, nodes: Vec<HostId>, broker: Option<&str>) {
        let owner = nodes.first().copied().unwrap_or(HostId(0));
        let broker = broker.map(|name| Broker { name: name.to_owned(), owner });
        self.world.clusters.push(Cluster { name: name.to_owned(), nodes, broker });
    }

    /// Why a copy cannot move to a host.
    pub(crate) fn cannot_move(&self, copy: CopyId, to: HostId) -> Option<Impossible> {
        let there = CopyId { host: to, vm: copy.vm };
        let state = self.world.host(copy.host).service.copies.get(&copy.vm);
        if self.world.machine(copy).is_none() {
            Some("the host holds no copy of the machine")
        } else if to == copy.host || self.world.machine(there).is_some() {
            Some("the other host holds a copy of the machine")
        } else if !self.world.host(to).up {
            Some("the other host is down")
        } else if self.world.cluster_of(copy.host).is_none_or(|cluster| !cluster.nodes.contains(&to)) {
            Some("the hosts are not nodes of one cluster")
        } else if state.is_some_and(|state| state.job.is_some()) {
            Some("a job is under way")
        } else {
            None
        }
    }

    /// The cluster moves a copy to another of its nodes while it goes on.
    pub(crate) fn live_migrate(&mut self, copy: CopyId, to: HostId) -> StoreResult<()> {
        self.write_guest(copy)?;
        for part in self.parts(copy) {
            self.input(part, Input::ServiceDown)?;
        }
        self.hand_over(copy, to)
    }

    /// The copy and, where it has one, its extended relationship.
    fn parts(&self, copy: CopyId) -> Vec<CopyId> {
        let extended = self.world.host(copy.host).service.relationship(copy.vm.extended()).is_some();
        let extended = extended.then(|| copy.extended());
        extended.into_iter().chain([copy]).collect()
    }

    /// What a host has of a machine is another's from now on.
    fn hand_over(&mut self, copy: CopyId, to: HostId) -> StoreResult<()> {
        let there = CopyId { host: to, vm: copy.vm };
        if self.store.has_test(copy) && self.world.machine(copy.test()).is_some() {
            self.part_from_test(copy)?;
        }
        let parts = self.parts(copy);
        let timers: Vec<_> = self.world.timers.keys().filter(|(of, _)| parts.contains(of)).copied().collect();
        for (of, kind) in timers {
            self.world.cancel_timer(of, kind);
        }
        self.world.exchanges.retain(|_, (asker, _, vm)| *asker != copy.host || vm.machine() != copy.vm);
        self.break_sessions(|s| {
            s.leader.vm.machine() == copy.vm && (s.spec.source == copy.host || s.spec.target == copy.host)
        })?;
        for session in self.world.sessions.values_mut().filter(|s| s.leader.vm.machine() == copy.vm) {
            for host in [&mut session.leader.host, &mut session.spec.source, &mut session.spec.target] {
                if *host == copy.host {
                    *host = to;
                }
            }
        }
        self.store.relocate(copy, there)?;
        let from = self.world.host_mut(copy.host);
        let (machine, state) = (from.machines.remove(&copy.vm), from.service.copies.remove(&copy.vm));
        let host = self.world.host_mut(to);
        if let (Some(machine), Some(state)) = (machine, state) {
            host.machines.insert(copy.vm, machine);
            host.service.copies.insert(copy.vm, state);
        }
        self.world.moves.remove(&(to, copy.vm));
        self.world.moves.insert((copy.host, copy.vm), to);
        self.record(Some(to), Some(copy.vm), What::Moved { from: copy.host });
        for part in self.parts(there) {
            self.input(part, Input::HostUp)?;
        }
        Ok(())
    }

    /// The replica and its test machine are on two nodes from now on: neither knows the other.
    fn part_from_test(&mut self, replica: CopyId) -> StoreResult<()> {
        let test = replica.test();
        self.store.test_detach(replica, test)?;
        self.input(replica, Input::TestParted)
    }

    /// The cluster moves the test machine of a replica to another node.
    pub(crate) fn move_test(&mut self, replica: CopyId) -> StoreResult<Result<(), Impossible>> {
        let test = replica.test();
        if self.world.machine(test).is_none() || !self.store.has_test(replica) {
            return Ok(Err("the replica has no test machine"));
        }
        let Some(to) = self.world.next_node(test) else { return Ok(Err("no other node takes it")) };
        self.write_guest(test)?;
        self.part_from_test(replica)?;
        let there = CopyId { host: to, vm: test.vm };
        self.store.relocate(test, there)?;
        let from = self.world.host_mut(test.host);
        let (machine, state) = (from.machines.remove(&test.vm), from.service.copies.remove(&test.vm));
        if let (Some(machine), Some(state)) = (machine, state) {
            let host = self.world.host_mut(to);
            host.machines.insert(test.vm, machine);
            host.service.copies.insert(test.vm, state);
        }
        self.record(Some(to), Some(test.vm), What::Moved { from: test.host });
        Ok(Ok(()))
    }

    /// The cluster moves a copy to the next of its nodes.
    pub(crate) fn move_on(&mut self, copy: CopyId) -> StoreResult<Result<(), Impossible>> {
        let Some(to) = self.world.next_node(copy) else { return Ok(Err("no other node takes it")) };
        if let Some(why) = self.cannot_move(copy, to) {
            return Ok(Err(why));
        }
        self.live_migrate(copy, to).map(Ok)
    }

    /// A node is to shut down in order: what can move, moves before.
    pub(crate) fn drain(&mut self, node: HostId) -> StoreResult<()> {
        let copies: Vec<VmId> = self.world.host(node).machines.keys().filter(|vm| !vm.is_test()).collect();
        for vm in copies {
            // What cannot move goes down with its node.
            let _ = self.move_on(CopyId { host: node, vm })?;
        }
        self.move_broker(node);
        Ok(())
    }

    /// The machines that run on a node, which its cluster starts elsewhere if the node falls silent.
    pub(crate) fn watched(&self, node: HostId) -> Vec<VmId> {
        let runs = |vm: &VmId| {
            let machine = self.world.machine(CopyId { host: node, vm: *vm });
            !vm.is_test() && machine.is_some_and(|m| m.power == Power::Running)
        };
        self.world.host(node).machines.keys().filter(runs).collect()
    }

    /// A node has lost its power: the others notice later.
    pub(crate) fn node_lost(&mut self, node: HostId, ran: Vec<VmId>) {
        if self.world.cluster_of(node).is_some() {
            let boot = self.world.host(node).boot;
            self.world.after(NODE_SILENT, Event::NodeSilent { node, boot, ran });
        }
    }

    /// The other nodes take over what a silent one had, and start what ran there.
    pub(crate) fn node_silent(&mut self, node: HostId, boot: u32, ran: &[VmId]) -> StoreResult<()> {
        let state = self.world.host(node);
        if state.up || state.boot != boot {
            return Ok(());
        }
        self.move_broker(node);
        let copies: Vec<VmId> = self.world.host(node).machines.keys().filter(|vm| !vm.is_test()).collect();
        for vm in copies {
            let copy = CopyId { host: node, vm };
            let Some(to) = self.world.next_node(copy) else { continue };
            self.hand_over(copy, to)?;
            if ran.contains(&vm) {
                self.operate(CopyId { host: to, vm }, "started by the cluster", Operation::StartVm)?;
            }
        }
        Ok(())
    }

    /// The broker leaves a node.
    fn move_broker(&mut self, node: HostId) {
        let up = |world: &World, host: &HostId| *host != node && world.host(*host).up;
        let Some(at) = self.world.clusters.iter().position(|cluster| cluster.nodes.contains(&node)) else {
            return;
        };
        let next = self.world.clusters[at].nodes.iter().copied().find(|host| up(&self.world, host));
        let broker = self.world.clusters[at].broker.as_mut();
        if let (Some(broker), Some(next)) = (broker.filter(|broker| broker.owner == node), next) {
            broker.owner = next;
        }
    }

    /// What a primary is told that looked for a machine in vain.
    pub(crate) fn redirect(&mut self, copy: CopyId) -> Option<Input> {
        let peer = self.world.host(copy.host).service.relationship(copy.vm)?.peer?;
        let found = self.world.ask_broker(copy.host, peer, copy.vm)?;
        self.record(Some(copy.host), Some(copy.vm), What::Note(Note::Redirected { from: peer, to: found }));
        Some(Input::Located(found))
    }
}
