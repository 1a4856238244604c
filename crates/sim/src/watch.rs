//! What records tell of each machine's protection: where it runs, whether anything replicates it, how old the other
//! side's content is. Made of records alone, so that a run and a reader of its log agree.

use std::collections::{BTreeMap, BTreeSet};

use hvrsim_replica::exchange::Note;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::state::{Mode, Power, ReplicationState};
use hvrsim_types::time::{Instant, Span};

use crate::trace::{HostPower, Record, What};

/// One copy, as the records have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Power.
    pub power: Power,
    /// Mode.
    pub mode: Mode,
    /// State.
    pub state: ReplicationState,
}

/// One machine.
#[derive(Clone, Debug, Default)]
struct Machine {
    copies: BTreeMap<HostId, Seen>,
    /// It has been in a relationship.
    replicated: bool,
    /// The host that it ran on last.
    on: Option<HostId>,
    /// The moment whose content the other side has. It moves on while nothing runs, since nothing is written.
    safe: Option<Instant>,
    /// Since when nothing replicates it.
    unprotected: Option<Instant>,
}

/// Follows the records of a run.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    now: Instant,
    machines: BTreeMap<VmId, Machine>,
    down: BTreeSet<HostId>,
}

impl Watch {
    /// A copy that is there at the start.
    pub fn place(&mut self, copy: CopyId, power: Power) {
        let seen = Seen { power, mode: Mode::None, state: ReplicationState::Disabled };
        let machine = self.machines.entry(copy.vm).or_default();
        machine.copies.insert(copy.host, seen);
        machine.on = Some(copy.host);
    }

    /// Time has passed.
    pub fn advance(&mut self, now: Instant) {
        let passed = now - self.now;
        self.now = self.now.max(now);
        if passed == Span::ZERO {
            return;
        }
        for machine in self.machines.values_mut() {
            if machine.runs().next().is_none()
                && let Some(safe) = &mut machine.safe
            {
                *safe += passed;
            }
        }
    }

    /// The next record.
    pub fn take(&mut self, record: &Record) {
        self.advance(record.at);
        match (record.host, record.vm, &record.what) {
            (Some(host), None, What::Host(HostPower::Back)) => {
                self.down.remove(&host);
            }
            (Some(host), None, What::Host(_)) => {
                self.down.insert(host);
            }
            // What an extended relationship brings to a third host protects nothing that the second one does not.
            (Some(host), Some(vm), what) if !vm.is_extended() => self.copy(host, vm, what),
            _ => return,
        }
        let Self { now, machines, down } = self;
        for machine in machines.values_mut() {
            let protected = machine.protected(down);
            machine.unprotected =
                if protected || !machine.replicated { None } else { machine.unprotected.or(Some(*now)) };
        }
    }

    fn copy(&mut self, host: HostId, vm: VmId, what: &What) {
        let now = self.now;
        let machine = self.machines.entry(vm).or_default();
        let off = Seen { power: Power::Off, mode: Mode::None, state: ReplicationState::Disabled };
        if let What::Moved { from } = what {
            let seen = machine.copies.remove(from).unwrap_or(off);
            machine.copies.insert(host, seen);
            machine.on = if machine.on == Some(*from) { Some(host) } else { machine.on };
            return;
        }
        let seen = machine.copies.entry(host).or_insert(off);
        match what {
            What::Power(power) => {
                seen.power = *power;
                if *power == Power::Running && machine.on != Some(host) {
                    // What runs now begins with all that the other side could still give.
                    machine.on = Some(host);
                    machine.safe = Some(now);
                }
            }
            What::Note(Note::Rule { after: (mode, state), .. }) => {
                let before = std::mem::replace(seen, Seen { mode: *mode, state: *state, ..*seen });
                machine.replicated |= *mode != Mode::None;
                if *mode == Mode::Primary && *state == ReplicationState::Replicating && brought(before) {
                    machine.safe = machine.safe.max(Some(now));
                }
            }
            What::Note(Note::Delivered { latency, .. }) => {
                let taken = Instant(now.0.saturating_sub(latency.0));
                machine.safe = machine.safe.max(Some(taken));
            }
            _ => {}
        }
    }

    /// A copy as it is known.
    #[must_use]
    pub fn seen(&self, copy: CopyId) -> Option<Seen> {
        self.machines.get(&copy.vm)?.copies.get(&copy.host).copied()
    }

    /// The machines that have been in a relationship.
    pub fn replicated(&self) -> impl Iterator<Item = VmId> + '_ {
        self.machines.iter().filter(|(_, machine)| machine.replicated).map(|(vm, _)| *vm)
    }

    /// The hosts on which a machine runs.
    #[must_use]
    pub fn running(&self, vm: VmId) -> Vec<HostId> {
        self.machines.get(&vm).map_or_else(Vec::new, |machine| machine.runs().collect())
    }

    /// Whether a primary on a host that is up replicates the machine, or has sent everything for a planned failover and
    /// the machine runs nowhere since.
    #[must_use]
    pub fn protected(&self, vm: VmId) -> bool {
        self.machines.get(&vm).is_some_and(|machine| machine.protected(&self.down))
    }

    /// Since when a machine that was in a relationship has not been protected.
    #[must_use]
    pub fn unprotected_since(&self, vm: VmId) -> Option<Instant> {
        self.machines.get(&vm)?.unprotected
    }

    /// The moment whose content the other side has, while the machine runs and that grows old.
    #[must_use]
    pub fn safe_since(&self, vm: VmId) -> Option<Instant> {
        self.machines.get(&vm).filter(|machine| machine.runs().next().is_some())?.safe
    }

    /// How long a machine that was in a relationship has not been protected.
    #[must_use]
    pub fn unprotected_for(&self, vm: VmId) -> Option<Span> {
        self.unprotected_since(vm).map(|since| self.now - since)
    }

    /// The age of what the other side has: what would be lost with the running side now. `None` before anything
    /// has been brought over.
    #[must_use]
    pub fn rpo(&self, vm: VmId) -> Option<Span> {
        Some(self.now - self.machines.get(&vm)?.safe?)
    }
}

impl Machine {
    fn runs(&self) -> impl Iterator<Item = HostId> + '_ {
        self.copies.iter().filter(|(_, seen)| seen.power == Power::Running).map(|(host, _)| *host)
    }

    fn protected(&self, down: &BTreeSet<HostId>) -> bool {
        use ReplicationState::{Replicating, SyncedReplicationComplete};
        let runs = self.runs().next().is_some();
        self.copies.iter().any(|(host, seen)| {
            let replicates = match seen.state {
                Replicating => true,
                // What was sent is all there is, until the machine runs again somewhere.
                SyncedReplicationComplete => !runs,
                _ => false,
            };
            seen.mode == Mode::Primary && replicates && !down.contains(host)
        })
    }
}

/// Whether a copy that becomes a replicating primary has just had everything brought over, or the roles changed;
/// a pause that ends brings nothing.
fn brought(before: Seen) -> bool {
    use ReplicationState::{Resynchronizing, WaitingToCompleteInitialReplication};
    before.mode != Mode::Primary
        || matches!(before.state, WaitingToCompleteInitialReplication | Resynchronizing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64, host: u16, what: What) -> Record {
        Record {
            seq: 0,
            at: Instant::START + Span::seconds(at),
            host: Some(HostId(host)),
            vm: Some(VmId(0)),
            what,
        }
    }

    fn rule(mode: Mode, state: ReplicationState) -> What {
        let before = (Mode::None, ReplicationState::Disabled);
        What::Note(Note::Rule { rule: "X-1".to_owned(), before, after: (mode, state) })
    }

    #[test]
    fn protection_and_its_age_follow_the_records() {
        let vm = VmId(0);
        let mut watch = Watch::default();
        watch.place(CopyId { host: HostId(0), vm }, Power::Running);
        assert_eq!((watch.protected(vm), watch.unprotected_for(vm), watch.rpo(vm)), (false, None, None));
        watch.take(&record(
            10,
            0,
            rule(Mode::Primary, ReplicationState::WaitingToCompleteInitialReplication),
        ));
        watch.take(&record(60, 0, rule(Mode::Primary, ReplicationState::Replicating)));
        watch.advance(Instant::START + Span::seconds(90));
        assert_eq!((watch.protected(vm), watch.rpo(vm)), (true, Some(Span::seconds(30))));
        // A pause protects no longer; its end brings nothing over.
        watch.take(&record(100, 0, rule(Mode::Primary, ReplicationState::Suspended)));
        watch.advance(Instant::START + Span::seconds(130));
        assert_eq!(watch.unprotected_for(vm), Some(Span::seconds(30)));
        watch.take(&record(140, 0, rule(Mode::Primary, ReplicationState::Replicating)));
        assert_eq!((watch.unprotected_for(vm), watch.rpo(vm)), (None, Some(Span::seconds(80))));
        // Nothing runs, nothing is written, nothing grows old.
        watch.take(&record(150, 0, What::Power(Power::Off)));
        watch.advance(Instant::START + Span::seconds(500));
        assert_eq!(watch.rpo(vm), Some(Span::seconds(90)));
        watch.take(&record(510, 1, What::Power(Power::Running)));
        assert_eq!((watch.rpo(vm), watch.running(vm)), (Some(Span::ZERO), vec![HostId(1)]));
    }

    /// A machine that had moved as planned and was never reversed counted as protected for good.
    #[test]
    fn what_was_prepared_protects_until_the_machine_runs_again() {
        let vm = VmId(0);
        let mut watch = Watch::default();
        watch.place(CopyId { host: HostId(0), vm }, Power::Running);
        watch.take(&record(1, 0, rule(Mode::Primary, ReplicationState::Replicating)));
        watch.take(&record(2, 0, What::Power(Power::Off)));
        watch.take(&record(3, 0, rule(Mode::Primary, ReplicationState::SyncedReplicationComplete)));
        assert!(watch.protected(vm));
        watch.take(&record(4, 1, rule(Mode::Replica, ReplicationState::Recovered)));
        watch.take(&record(5, 1, What::Power(Power::Running)));
        watch.advance(Instant::START + Span::seconds(65));
        assert_eq!((watch.protected(vm), watch.unprotected_for(vm)), (false, Some(Span::seconds(60))));
    }

    #[test]
    fn a_host_without_power_protects_nothing() {
        let vm = VmId(0);
        let mut watch = Watch::default();
        watch.place(CopyId { host: HostId(0), vm }, Power::Running);
        watch.take(&record(1, 0, rule(Mode::Primary, ReplicationState::Replicating)));
        let lost = Record { vm: None, ..record(2, 0, What::Host(HostPower::Lost)) };
        watch.take(&lost);
        assert!(!watch.protected(vm));
        watch.take(&Record { vm: None, ..record(9, 0, What::Host(HostPower::Back)) });
        assert!(watch.protected(vm));
    }
}
