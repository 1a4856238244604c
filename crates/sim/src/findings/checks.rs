//! How each finding is noticed: a question about one copy at one moment.

use hvrsim_replica::service::Trust;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::network::Adapter;
use hvrsim_types::state::{Health, Mode, Power, ReplicationState as S};
use hvrsim_types::time::Span;

use super::Place;
use crate::store::DiskFormat;

/// Older than this is a finding.
const OLD: Span = Span::HOUR;
/// A test failover should be done as often as this.
const MONTH: Span = Span(31 * Span::DAY.0);
/// Working hours.
const DAY_FROM: Span = Span(8 * Span::HOUR.0);
const DAY_TO: Span = Span(18 * Span::HOUR.0);

fn failed_over(place: &Place<'_>) -> bool {
    place.state.mode == Mode::Replica && matches!(place.state.state(), S::Recovered | S::Committed)
}

fn replicating(place: &Place<'_>, mode: Mode) -> bool {
    place.state.mode == mode && place.state.state() == S::Replicating
}

fn runs(place: &Place<'_>) -> bool {
    place.machine.power == Power::Running
}

pub(super) fn split_brain_risk(place: &Place<'_>) -> bool {
    let free = |other: &hvrsim_replica::copy::Copy| {
        other.mode == Mode::Primary && other.state() != S::SyncedReplicationComplete
    };
    failed_over(place) && place.peer().is_some_and(free)
}

pub(super) fn disk_left_out(place: &Place<'_>) -> bool {
    let disks = DiskSet::first(place.disks);
    place.state.mode == Mode::Primary && !disks.without(place.state.settings.disks).is_empty()
}

pub(super) fn unprotected(place: &Place<'_>) -> bool {
    let vm = place.copy.vm;
    runs(place) && place.watch.unprotected_since(vm).is_some() && !place.watch.protected(vm)
}

pub(super) fn old_content(place: &Place<'_>) -> bool {
    let behind = place.watch.rpo(place.copy.vm).is_some_and(|rpo| rpo > OLD);
    place.state.mode == Mode::Primary && runs(place) && behind
}

pub(super) fn healthy_and_stuck(place: &Place<'_>) -> bool {
    let waits = place.state.received.front().is_some_and(|log| place.world.now - log.closed > OLD);
    replicating(place, Mode::Replica) && place.state.health(place.world.now).0 == Health::Normal && waits
}

pub(super) fn test_left(place: &Place<'_>) -> bool {
    place.has_test
}

pub(super) fn inconsistent(place: &Place<'_>) -> bool {
    place.state.inconsistent
}

pub(super) fn not_enabled(place: &Place<'_>) -> bool {
    place.state.mode == Mode::Replica && !place.world.host(place.copy.host).service.accepts
}

pub(super) fn not_compressed(place: &Place<'_>) -> bool {
    place.state.mode == Mode::Primary && !place.state.settings.compression
}

pub(super) fn resync_by_day(place: &Place<'_>) -> bool {
    let s = &place.state.settings;
    let (from, to) = (s.auto_resync_start, s.auto_resync_end);
    let by_day = if from <= to { from < DAY_TO && to > DAY_FROM } else { from < DAY_TO || to > DAY_FROM };
    place.state.mode == Mode::Primary && s.auto_resync && by_day
}

pub(super) fn bad_certificate(place: &Place<'_>) -> bool {
    place.world.host(place.copy.host).service.trust == Trust::Certificate && place.state.mode != Mode::None
}

pub(super) fn paused(place: &Place<'_>) -> bool {
    matches!(place.state.state(), S::Suspended | S::ResynchronizeSuspended)
}

pub(super) fn never_tested(place: &Place<'_>) -> bool {
    replicating(place, Mode::Replica) && place.tested.is_none()
}

pub(super) fn test_overdue(place: &Place<'_>) -> bool {
    replicating(place, Mode::Replica) && place.tested.is_some_and(|at| place.world.now - at > MONTH)
}

pub(super) fn no_vhdx(place: &Place<'_>) -> bool {
    let other = |disk: &crate::store::DiskSpec| disk.format != DiskFormat::Vhdx;
    place.state.mode == Mode::Replica
        && place.state.settings.recovery_history > 0
        && place.world.vm(place.copy.vm).disks.iter().any(other)
}

pub(super) fn not_completed(place: &Place<'_>) -> bool {
    place.state.mode == Mode::Replica && place.state.state() == S::Recovered
}

pub(super) fn no_points(place: &Place<'_>) -> bool {
    failed_over(place) && place.state.settings.recovery_history == 0
}

fn told(adapter: &Adapter) -> bool {
    adapter.failover.as_ref().is_some_and(|addresses| !addresses.is_empty())
}

pub(super) fn test_in_production(place: &Place<'_>) -> bool {
    let switch = |adapter: &Adapter| adapter.switch.clone();
    let test = place.world.machine(place.copy.test()).map(|m| &m.adapters[..]).unwrap_or_default();
    let there: Vec<_> = place.machine.adapters.iter().filter_map(switch).collect();
    test.iter().filter_map(switch).any(|switch| there.contains(&switch))
}

pub(super) fn not_connected(place: &Place<'_>) -> bool {
    place.state.mode == Mode::Replica && place.machine.adapters.iter().any(|a| a.switch.is_none())
}

pub(super) fn address_here_only(place: &Place<'_>) -> bool {
    let there = place.peer_machine().map(|m| &m.adapters[..]).unwrap_or_default();
    place.machine.adapters.iter().zip(there).any(|(here, there)| told(here) && !told(there))
}

pub(super) fn cannot_be_told(place: &Place<'_>) -> bool {
    !place.world.vm(place.copy.vm).integration_services && place.machine.adapters.iter().any(told)
}

pub(super) fn no_failover_address(place: &Place<'_>) -> bool {
    let fixed = place.peer_machine().map(|m| &m.adapters[..]).unwrap_or_default();
    let lacks = |(here, there): (&Adapter, &Adapter)| there.address.is_some() && !told(here);
    replicating(place, Mode::Replica) && place.machine.adapters.iter().zip(fixed).any(lacks)
}

pub(super) fn no_broker(place: &Place<'_>) -> bool {
    let cluster = place.world.cluster_of(place.copy.host);
    place.state.mode != Mode::None && cluster.is_some_and(|cluster| cluster.broker.is_none())
}
