//! What must hold at every moment of a walk.

use std::collections::BTreeMap;

use hvrsim_replica::copy::{Copy, Phase};
use hvrsim_replica::exchange::Outcome;
use hvrsim_replica::operation::{InitialKind, Operation, PointChoice};
use hvrsim_sim::Look;
use hvrsim_sim::ledger::Position;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_types::id::{CopyId, PointId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::state::{Mode, NamedState, Power, ReplicationState as S, ReplicationType};
use hvrsim_types::time::Span;

use crate::walk::{leader, pair_of, phase};
use crate::world::*;

type Pair = ((Mode, S), (Mode, S));

/// The pairs of `tests/data/pairs.tsv`; whether each may stand for ever.
pub fn legal_pairs() -> BTreeMap<Pair, bool> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pairs.tsv"));
    let mode = |name: &str| match name {
        "Primary" => Mode::Primary,
        "Replica" => Mode::Replica,
        _ => Mode::None,
    };
    let state = |name: &str| NamedState::parse(name).expect("a state's name").state;
    let lines = text.lines().skip(2).map(|line| line.split('\t').collect::<Vec<_>>());
    lines.map(|c| (((mode(c[0]), state(c[1])), (mode(c[2]), state(c[3]))), c[4] == "rest")).collect()
}

/// Watches one walk.
pub struct Watch {
    pairs: BTreeMap<Pair, bool>,
    offered: BTreeMap<PointId, Position>,
    before: [(Mode, S); 2],
    /// What the last failback asked for; if it began from a completed one, the content it may return to.
    asked: [Option<(PointChoice, Option<Position>)>; 2],
}

impl Watch {
    pub fn new(sim: &Tested) -> Self {
        let before = [pair_of(sim, A), pair_of(sim, B)];
        Self { pairs: legal_pairs(), offered: BTreeMap::new(), before, asked: [None; 2] }
    }

    /// Time passes; no moment is too full of events.
    pub fn wait(&mut self, sim: &mut Tested, span: Span) {
        let limit = sim.world.now + span;
        let most = 5_000 + span.as_seconds();
        let mut events = 0;
        while sim.step(limit).expect("the store works") {
            events += 1;
            assert!(events < most, "{events} events in {span}\n{}", tail(sim));
            self.after_event(sim);
        }
    }

    /// A refusal changes nothing and says why; what is accepted says by which rule.
    pub fn after_call(&mut self, sim: &Tested, copy: CopyId, operation: &Operation, outcome: &Outcome) {
        assert_eq!(outcome.code.accepted(), outcome.refusal.is_none(), "{operation:?} {outcome:?}");
        if outcome.code.accepted() {
            let cancelled = matches!(operation, Operation::CancelJob(_));
            assert!(cancelled || outcome.rule.is_some(), "{operation:?} {outcome:?}");
            if let Operation::InitiateFailback { point, .. } = operation {
                let completed = self.before[usize::from(copy == B)].1 == S::FailbackComplete;
                self.asked[usize::from(copy == B)] = Some((*point, completed.then(|| content(sim, copy))));
            }
        } else {
            let now = pair_of(sim, copy);
            let old = self.before[usize::from(copy == B)];
            assert_eq!(now, old, "refused {operation:?} changed something\n{}", tail(sim));
        }
    }

    /// Cheap invariants, after every event.
    pub fn after_event(&mut self, sim: &Tested) {
        let now = [pair_of(sim, A), pair_of(sim, B)];
        if !self.legal(now).is_some_and(|rest| rest || under_way(sim)) {
            panic!("not a legal pair: {:?} {:?}\n{}", now[0], now[1], tail(sim));
        }
        for copy in [A, B] {
            jobs_are_kept(sim, copy);
            only_where_it_may_run(sim, copy);
            self.points_stay(sim, copy);
        }
        self.planned_loses_nothing(sim);
        for (index, copy) in [A, B].into_iter().enumerate() {
            let done = now[index].1 == S::FailbackComplete;
            if done && self.before[index].1 == S::FailbackInProgress {
                self.failback_done(sim, copy);
            }
        }
        self.before = now;
    }

    fn legal(&self, now: [(Mode, S); 2]) -> Option<bool> {
        let both = [(now[0], now[1]), (now[1], now[0])];
        both.iter().filter_map(|pair| self.pairs.get(pair)).copied().max()
    }

    /// A recovery point once offered keeps its content.
    fn points_stay(&mut self, sim: &Tested, copy: CopyId) {
        for point in sim.points(copy) {
            let content = sim.world.points[&point.id].content;
            let first = *self.offered.entry(point.id).or_insert(content);
            assert_eq!(first, content, "{point:?} changed");
        }
    }

    /// Failed over to the Planned point of a primary that is still prepared: equal to what it holds.
    fn planned_loses_nothing(&self, sim: &Tested) {
        for (p, r) in [(A, B), (B, A)] {
            let Some((Mode::Primary, Phase::Prepared(prepared))) = phase(sim, p) else { continue };
            let Some((Mode::Replica, Phase::Recovered { point })) = phase(sim, r) else { continue };
            let kind = sim.copy(r).expect("it is there").failed_over_type;
            if point == Some(prepared) {
                assert_eq!(kind, ReplicationType::Planned, "{}", tail(sim));
                let (here, there) = (sim.world.points[&prepared].content, content(sim, p));
                assert!(same(sim, here, there), "the Planned point is not the newest content\n{}", tail(sim));
            }
        }
    }

    fn failback_done(&self, sim: &Tested, copy: CopyId) {
        let from = if copy == A { B } else { A };
        let asked = self.asked[usize::from(copy == B)];
        let mut failbacks = sim.jobs(copy).into_iter().filter(|j| j.kind == JobType::InitiateFailback);
        let end = failbacks.next_back().map(|job| job.state);
        if let (Some((_, Some(before))), Some(JobState::Exception | JobState::Terminated)) = (asked, end) {
            assert!(same(sim, before, content(sim, copy)), "not what it was before\n{}", tail(sim));
            return;
        }
        assert_eq!(end, Some(JobState::Completed), "{}", tail(sim));
        let difference =
            |view| sim.store.difference((copy, View::Live), (from, view)).expect("the store works");
        match asked.map(|(point, _)| point) {
            Some(PointChoice::Id(id)) if sim.points(from).iter().any(|p| p.id == id) => {
                assert_eq!(difference(View::Point(id)), None, "{}", tail(sim));
            }
            Some(PointChoice::Latest) if state_of(sim, copy).failed_over_type == ReplicationType::Planned => {
                assert_eq!(difference(View::Live), None, "{}", tail(sim));
            }
            _ => {}
        }
    }

    /// The whole content, replayed from the ledger; and what a failover would show.
    pub fn contents(&self, sim: &Tested) {
        assert_contents(sim);
        for copy in [A, B] {
            failover_shows_a_prefix(sim, copy);
        }
    }

    /// Nothing is under way any more, but for jobs that wait.
    pub fn at_rest(&self, sim: &Tested) {
        let now = [pair_of(sim, A), pair_of(sim, B)];
        let jobs = [A, B].iter().any(|c| state(sim, *c).is_some_and(|c| c.job.is_some()));
        let legal = self.legal(now);
        assert!(legal.is_some_and(|rest| rest || jobs), "no rest: {:?} {:?}\n{}", now[0], now[1], tail(sim));
    }
}

fn state(sim: &Tested, copy: CopyId) -> Option<&Copy> {
    sim.world.host(copy.host).service.copies.get(&copy.vm)
}

fn state_of(sim: &Tested, copy: CopyId) -> &Copy {
    state(sim, copy).expect("the copy exists")
}

fn content(sim: &Tested, copy: CopyId) -> Position {
    sim.world.machine(copy).expect("it is there").content.live
}

fn same(sim: &Tested, a: Position, b: Position) -> bool {
    sim.world.ledger.contains(a, b) && sim.world.ledger.contains(b, a)
}

/// Something is on its way that will change the pair: a job, a message, a session, or a send to come.
fn under_way(sim: &Tested) -> bool {
    let faulty = sim.world.links.iter().any(|l| l.cut) || sim.world.hosts.iter().any(|h| !h.up);
    let busy = |c: &Copy| {
        let sends = c.mode == Mode::Primary && c.phase == Phase::Replicating;
        let session = matches!(c.phase, Phase::ResyncSuspended(_) | Phase::ResyncReceiving { .. });
        c.job.is_some() || c.asked.is_some() || c.sending.is_some() || c.merging || sends || session
    };
    faulty || [A, B].iter().any(|copy| state(sim, *copy).is_some_and(busy)) || sim.messages_under_way()
}

/// A replica runs only failed over or failed back; what is prepared for failover does not run.
pub fn only_where_it_may_run(sim: &Tested, copy: CopyId) {
    let Some(view) = sim.copy(copy) else { return };
    let (mode, state) = pair_of(sim, copy);
    let may = match mode {
        Mode::Replica | Mode::ExtendedReplica => {
            matches!(state, S::Recovered | S::Committed | S::FailbackComplete)
        }
        _ => state != S::SyncedReplicationComplete,
    };
    assert!(may || view.power != Power::Running, "{copy:?} runs in {mode} {state}\n{}", tail(sim));
}

/// Every job that has not ended is the copy's mutating job or its scheduled one, and the other way round.
pub fn jobs_are_kept(sim: &Tested, copy: CopyId) {
    let Some(c) = sim.world.host(copy.host).service.relationship(copy.vm) else { return };
    let open: Vec<_> = sim.jobs(copy).into_iter().filter(|j| !j.state.ended()).map(|j| j.id).collect();
    let mut known: Vec<_> = c.job.into_iter().chain(c.scheduled.map(|s| s.job)).collect();
    known.sort();
    assert_eq!(open, known, "jobs of {copy:?}\n{}", tail(sim));
    assert!(c.shown.is_none() || c.job.is_some(), "a state is shown for no job\n{}", tail(sim));
    let run = match &c.phase {
        // The job of an export ends with it, before the media are imported.
        Phase::Initial(_, InitialKind::Media) => None,
        Phase::Initial(run, _) | Phase::Resync(run) | Phase::ResyncSuspended(run) => Some(run.job),
        Phase::Failback(run) => Some(run.job),
        _ => None,
    };
    assert!(run.is_none() || run == c.job, "the run's job is another one\n{}", tail(sim));
}

/// What a failover would show, now and after it has been carried out, is a prefix of what its primary wrote.
fn failover_shows_a_prefix(sim: &Tested, copy: CopyId) {
    if !sim.world.host(copy.host).up || sim.copy(copy).is_none() {
        return;
    }
    let mut fork = sim.clone();
    let latest = Operation::Failover { point: PointChoice::Latest };
    let outcome = fork.operate(copy, "a fork", latest).expect("the store works");
    if !outcome.code.accepted() {
        return;
    }
    let of_primary = leader(sim).filter(|(_, r)| *r == copy).map(|(p, _)| content(sim, p));
    for point in sim.points(copy) {
        let at = sim.world.points[&point.id].content;
        if let Some(primary) = of_primary {
            assert!(sim.world.ledger.contains(primary, at), "{point:?} is no prefix\n{}", tail(sim));
        }
    }
    let limit = fork.world.now + Span::HOUR;
    while fork.copy(copy).map(|c| c.state) == Some(S::FailoverInProgress) {
        assert!(fork.step(limit).expect("the store works"), "a failover does not end\n{}", tail(&fork));
    }
    if pair_of(&fork, copy).1 == S::Recovered {
        assert_contents(&fork);
        if let Some(primary) = of_primary {
            let shown = content(&fork, copy);
            assert!(sim.world.ledger.contains(primary, shown), "a failover shows no prefix\n{}", tail(&fork));
        }
    }
}
