//! Machines on one host, each replicated to a second one.

use hvrsim_replica::exchange::Note;
use hvrsim_replica::operation::{InitialKind, Operation, Settings};
use hvrsim_replica::profile::Profile;
use hvrsim_sim::Sim;
use hvrsim_sim::guest::GuestProfile;
use hvrsim_sim::sim::NewVm;
use hvrsim_sim::store::{DiskFormat, DiskSpec, DiskStore, Initial, Stamps, StoreError};
use hvrsim_sim::trace::What;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::{Power, ReplicationState};
use hvrsim_types::time::{Calendar, Instant, Span};

const HV1: HostId = HostId(0);
const HV2: HostId = HostId(1);
/// Records are taken away after so many events, as the runner of scenarios does.
const BREATH: u64 = 4096;
/// How long initial replication may take.
const PATIENCE: Span = Span::DAY;

/// Why a workload came to no end.
#[derive(Debug, thiserror::Error)]
pub enum PairsError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A machine did not get where the workload begins.
    #[error("machine {vm} is not in state {wanted} after {PATIENCE}")]
    NotReady {
        /// The machine.
        vm: u32,
        /// The state.
        wanted: ReplicationState,
    },
}

/// What was done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Events of the world.
    pub events: u64,
    /// Replication cycles whose log was stored by the replica.
    pub cycles: u64,
    /// Recovery points taken, on either side.
    pub points: u64,
}

/// What machines hold, write, and keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Workload {
    /// In use on a disk of 1 TiB.
    pub used: Bytes,
    /// What a guest writes a second, in writes of 64 KiB.
    pub churn: Rate,
    /// Hourly recovery points.
    pub recovery_history: u8,
}

impl Workload {
    /// 1 GiB in use, 10 KiB/s, four points.
    pub const BUSY: Self = Self { used: Bytes(1 << 30), churn: Rate(10 << 10), recovery_history: 4 };
    /// Nothing in use, one write in an hour, all the points that there can be.
    pub const QUIET: Self = Self { used: Bytes(0), churn: Rate((64 << 10) / 3600), recovery_history: 24 };
    /// As quiet as a machine can be.
    pub const IDLE: Self = Self { churn: Rate(0), ..Self::QUIET };
}

/// Machines that are replicated every five minutes.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// The world.
    pub sim: Sim<Stamps>,
    /// What was done so far.
    pub figures: Figures,
}

impl Pairs {
    /// So many busy machines, running, with initial replication done.
    ///
    /// # Errors
    /// The store failed, or a machine is not replicated after a day.
    pub fn replicated(machines: u32) -> Result<Self, PairsError> {
        Self::with(machines, Workload::BUSY)
    }

    /// So many machines, running, with initial replication done. Guests write into a hot spot of 16 MiB; the hosts are
    /// joined by 10 Gbit/s.
    ///
    /// # Errors
    /// The store failed, or a machine is not replicated after a day.
    pub fn with(machines: u32, workload: Workload) -> Result<Self, PairsError> {
        let mut sim = Sim::new(7, Calendar::default(), Profile::default(), Stamps::default());
        sim.add_host("HV1", Rate(1 << 40), true);
        sim.add_host("HV2", Rate(1 << 40), true);
        sim.add_link(HV1, HV2, Rate(10_000_000_000 / 8), Span(1_000_000));
        for number in 0..machines {
            sim.add_vm(machine(number, workload))?;
        }
        let mut pairs = Self { sim, figures: Figures::default() };
        let settings = Settings { recovery_history: workload.recovery_history, ..Settings::default() };
        pairs.call_all(machines, "Enable-VMReplication", &Operation::Enable { to: HV2, settings })?;
        pairs.wait_for_all(machines, ReplicationState::ReadyForInitialReplication)?;
        let start = Operation::StartInitialReplication { kind: InitialKind::Network, at: None };
        pairs.call_all(machines, "Start-VMInitialReplication", &start)?;
        pairs.wait_for_all(machines, ReplicationState::Replicating)?;
        Ok(pairs)
    }

    fn call_all(&mut self, machines: u32, text: &str, operation: &Operation) -> Result<(), PairsError> {
        for vm in 0..machines {
            self.sim.operate(CopyId { host: HV1, vm: VmId(vm) }, text, operation.clone())?;
        }
        Ok(())
    }

    fn wait_for_all(&mut self, machines: u32, wanted: ReplicationState) -> Result<(), PairsError> {
        let limit = self.sim.now() + PATIENCE;
        for vm in 0..machines {
            while self.state(vm) != Some(wanted) {
                if !self.step(limit)? {
                    return Err(PairsError::NotReady { vm, wanted });
                }
            }
        }
        Ok(())
    }

    fn state(&self, vm: u32) -> Option<ReplicationState> {
        self.sim.world.host(HV1).service.copies.get(&VmId(vm)).map(hvrsim_replica::copy::Copy::state)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The store failed.
    pub fn pass(&mut self, span: Span) -> Result<(), StoreError> {
        let limit = self.sim.now() + span;
        while self.step(limit)? {}
        self.drain();
        Ok(())
    }

    fn step(&mut self, limit: Instant) -> Result<bool, StoreError> {
        let went_on = self.sim.step(limit)?;
        self.figures.events += u64::from(went_on);
        if self.figures.events.is_multiple_of(BREATH) {
            self.drain();
        }
        Ok(went_on)
    }

    fn drain(&mut self) {
        for record in self.sim.recorder.take() {
            match record.what {
                What::Note(Note::Delivered { .. }) => self.figures.cycles += 1,
                What::Note(Note::PointTaken { .. }) => self.figures.points += 1,
                _ => {}
            }
        }
    }

    /// Bytes present on all copies.
    #[must_use]
    pub fn present_bytes(&self) -> u64 {
        self.sim.world.copies().map(|copy| self.sim.store.present_bytes(copy)).sum()
    }
}

fn machine(number: u32, workload: Workload) -> NewVm {
    let guest = GuestProfile {
        churn: workload.churn,
        write_size: Bytes(64 << 10),
        hot_spot: Bytes(16 << 20),
        disk: 0,
    };
    let disk =
        DiskSpec { size: Bytes(1 << 40), format: DiskFormat::Vhdx, initial: Initial::Used(workload.used) };
    NewVm {
        name: format!("vm{number:04}"),
        host: HV1,
        disks: vec![disk],
        guest: Some(guest),
        power: Power::Running,
        adapters: Vec::new(),
        integration_services: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_replicates_every_five_minutes_and_keeps_hourly_points() {
        let mut pairs = Pairs::replicated(3).unwrap();
        let before = pairs.figures;
        pairs.pass(Span(6 * Span::HOUR.0)).unwrap();
        let cycles = pairs.figures.cycles - before.cycles;
        assert!((3 * 71..=3 * 73).contains(&cycles), "{cycles} cycles");
        for vm in 0..3 {
            let replica = CopyId { host: HV2, vm: VmId(vm) };
            assert_eq!(hvrsim_sim::Look::points(&pairs.sim, replica).len(), 4);
        }
        assert!(pairs.present_bytes() >= 6 << 30);
    }
}
