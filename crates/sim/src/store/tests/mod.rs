//! Both stores against the model, by random sequences of all operations.

#![expect(clippy::cast_possible_truncation, reason = "the model's numbers are small")]

use hvrsim_resync::Candidates;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId, PointId, SessionId, VmId};
use hvrsim_types::size::Bytes;
use proptest::prelude::*;

use super::images::Images;
use super::stamps::Stamps;
use super::{
    BlockSet, DiskFormat, DiskSpec, DiskStore, Initial, LogStats, Move, ResyncCounts, ResyncSpec, StoreError,
    View, Write, WriteNo,
};

mod disks;
mod files;
mod model;
mod pairs;

/// One disk of more than a region, and one whose last cell is cut.
const SIZES: [u64; 2] = [(16 << 20) + 20 * 4096, 20 * 4096 + 1536];
const USED: u64 = 30 * 4096;

fn id(copy: usize) -> CopyId {
    CopyId { host: HostId(copy as u16), vm: VmId(0) }
}

/// Places where operations meet.
const SPOTS: usize = 24;

/// Cells at a disk's start and around the border of a region.
fn place(disk: usize, at: usize) -> usize {
    match (disk, at) {
        (0, at) if at >= SPOTS / 2 => 4096 - 22 + at,
        (0, at) => at * 2,
        (_, at) => at % 21,
    }
}

/// A copy, and whether the log of its extended relationship is meant.
type Log = (usize, bool);

fn log_id((copy, extended): Log) -> CopyId {
    if extended { id(copy).extended() } else { id(copy) }
}

/// An operation; it is left out where it is not allowed.
#[derive(Clone, Debug)]
enum Op {
    Write {
        copy: usize,
        disk: usize,
        at: usize,
        cells: usize,
    },
    LogStart(Log),
    LogStop(Log),
    LogSwitch(Log),
    LogDrop(Log),
    LogDeliver(Log),
    LogPromote(usize),
    LogApply(usize),
    LogForget(usize),
    LogAdd(Log, Vec<(usize, usize)>),
    PointTake(usize),
    PointDrop(usize, usize),
    PointRollback(usize, usize),
    FailoverCreate(usize, Option<usize>),
    FailoverDiscard(usize),
    FailoverCommit(usize),
    TestCreate(usize, Option<usize>),
    TestDiscard(usize),
    TestWrite {
        copy: usize,
        disk: usize,
        at: usize,
        cells: usize,
    },
    Resync {
        source: usize,
        point: Option<usize>,
        tracked: Option<Vec<(usize, usize)>>,
        full: bool,
        /// What is on its way for the n-th time is cut, when this share of it (of 8 parts) has crossed.
        lost: Vec<(usize, u64)>,
        /// Guest's writes at the source while the session runs, before these messages.
        writes: Vec<(usize, usize)>,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let copy = || 0..2usize;
    let log = || (0..2usize, any::<bool>());
    let spot = || (0..2usize, 0..SPOTS);
    let spots = || prop::collection::vec(spot(), 0..5);
    let op = prop_oneof![
        10 => (copy(), spot(), 1..20usize)
            .prop_map(|(copy, (disk, at), cells)| Op::Write { copy, disk, at, cells }),
        3 => log().prop_map(Op::LogStart),
        1 => log().prop_map(Op::LogStop),
        6 => log().prop_map(Op::LogSwitch),
        2 => log().prop_map(Op::LogDrop),
        5 => log().prop_map(Op::LogDeliver),
        2 => copy().prop_map(Op::LogPromote),
        5 => copy().prop_map(Op::LogApply),
        1 => copy().prop_map(Op::LogForget),
        1 => (log(), spots()).prop_map(|(log, spots)| Op::LogAdd(log, spots)),
        4 => copy().prop_map(Op::PointTake),
        3 => (copy(), 0..9usize).prop_map(|(copy, at)| Op::PointDrop(copy, at)),
        1 => (copy(), 0..9usize).prop_map(|(copy, at)| Op::PointRollback(copy, at)),
        3 => (copy(), prop::option::of(0..9usize)).prop_map(|(copy, at)| Op::FailoverCreate(copy, at)),
        1 => copy().prop_map(Op::FailoverDiscard),
        1 => copy().prop_map(Op::FailoverCommit),
        3 => (copy(), prop::option::of(0..9usize)).prop_map(|(copy, at)| Op::TestCreate(copy, at)),
        1 => copy().prop_map(Op::TestDiscard),
        3 => (copy(), spot(), 1..20usize)
            .prop_map(|(copy, (disk, at), cells)| Op::TestWrite { copy, disk, at, cells }),
        3 => (
            copy(),
            prop::option::of(0..9usize),
            prop::option::of(spots()),
            prop::bool::weighted(0.2),
            prop::collection::vec((0..12usize, 0..9u64), 0..3),
            prop::collection::vec((0..8usize, 0..SPOTS), 0..3),
        ).prop_map(|(source, point, tracked, full, lost, mut writes)| {
            writes.sort_by_key(|(step, _)| *step);
            Op::Resync { source, point, tracked, full, lost, writes }
        }),
    ];
    prop::collection::vec(op, 20..80)
}

/// What an operation answered: the part that the model knows, and the messages of a session.
#[derive(PartialEq, Debug, Default)]
struct Answer {
    stats: Option<LogStats>,
    merged: Option<u64>,
    counts: Option<ResyncCounts>,
    moves: Vec<Move>,
}

/// Both copies of the model, and the numbers given so far.
struct Model {
    copies: [model::Copy; 2],
    writes: u64,
    points: u64,
}

impl Model {
    fn new() -> Self {
        let copies = [USED, 0].map(|used| model::Copy::new(SIZES.to_vec(), used));
        Self { copies, writes: 1, points: 0 }
    }

    fn next_write(&mut self, disk: usize, at: usize, cells: usize) -> Write {
        self.writes += 1;
        let start = place(disk, at);
        let cells = cells.min(self.copies[0].base[disk].len() - start);
        let len = self.copies[0].bytes(disk, start, cells);
        Write { no: WriteNo(self.writes), disk: disk as u8, offset: start as u64 * 4096, len }
    }

    fn allows(&self, op: &Op) -> bool {
        let copy = |at: usize| &self.copies[at];
        let logs = |(at, extended): Log| if extended { &copy(at).extended } else { &copy(at).logs };
        let closed = |log: Log| logs(log).as_ref().is_some_and(|logs| logs.len() > 1);
        match op {
            Op::Write { .. } | Op::LogStart(_) | Op::LogStop(_) | Op::PointTake(_) | Op::LogForget(_) => true,
            Op::LogSwitch(log) | Op::LogAdd(log, _) => logs(*log).is_some(),
            Op::LogDrop(log) | Op::LogDeliver(log) => closed(*log),
            Op::LogPromote(at) => {
                copy(*at).logs.as_ref().is_some_and(|logs| logs.len() == 1) && copy(*at).extended.is_some()
            }
            Op::LogApply(at) => !copy(*at).received.is_empty(),
            Op::PointDrop(at, _) | Op::PointRollback(at, _) => !copy(*at).points.is_empty(),
            Op::FailoverCreate(at, point) => {
                copy(*at).failover.is_none() && (point.is_none() || !copy(*at).points.is_empty())
            }
            Op::FailoverDiscard(at) | Op::FailoverCommit(at) => copy(*at).failover.is_some(),
            Op::TestCreate(at, point) => {
                copy(*at).test.is_none() && (point.is_none() || !copy(*at).points.is_empty())
            }
            Op::TestDiscard(copy) | Op::TestWrite { copy, .. } => self.copies[*copy].test.is_some(),
            Op::Resync { source, point, .. } => {
                copy(1 - source).failover.is_none() && (point.is_none() || !copy(*source).points.is_empty())
            }
        }
    }
}

impl Op {
    /// The operation with a point that exists, where it names one.
    fn aimed(mut self, model: &Model) -> Self {
        let aim = |copy: usize, point: &mut usize| *point %= model.copies[copy].points.len().max(1);
        match &mut self {
            Self::PointDrop(copy, point) | Self::PointRollback(copy, point) => aim(*copy, point),
            Self::FailoverCreate(copy, Some(point)) | Self::TestCreate(copy, Some(point)) => {
                aim(*copy, point);
            }
            Self::Resync { source, point: Some(point), .. } => aim(*source, point),
            _ => {}
        }
        self
    }
}

fn block_set(spots: &[(usize, usize)]) -> BlockSet {
    model::blocks(spots.iter().map(|(disk, at)| (*disk, place(*disk, *at))))
}

/// Does an allowed operation on the model and gives what the stores are to do.
fn on_model(model: &mut Model, op: &Op) -> (Answer, Vec<Write>, PointId) {
    let (mut answer, mut writes) = (Answer::default(), Vec::new());
    let mut point_id = PointId(0);
    match op {
        Op::Write { copy, disk, at, cells } => {
            let write = model.next_write(*disk, *at, *cells);
            model.copies[*copy].write(&write);
            writes.push(write);
        }
        Op::LogStart((at, extended)) => model.copies[*at].log_start(*extended),
        Op::LogStop((at, extended)) => *model.copies[*at].logs_of(*extended) = None,
        Op::LogSwitch((at, extended)) => {
            let copy = &mut model.copies[*at];
            let open = copy.logs_of(*extended).as_ref().unwrap().last().unwrap().clone();
            answer.stats = Some(copy.stats(&open));
            copy.logs_of(*extended).as_mut().unwrap().push(vec![]);
        }
        Op::LogDrop((at, extended)) => {
            drop(model.copies[*at].logs_of(*extended).as_mut().unwrap().remove(0));
        }
        Op::LogDeliver((at, extended)) => {
            let log = model.copies[*at].logs_of(*extended).as_ref().unwrap()[0].clone();
            model.copies[1 - at].received.push_back(log);
        }
        Op::LogPromote(at) => model.copies[*at].log_promote(),
        Op::LogApply(at) => model.copies[*at].log_apply(),
        Op::LogForget(at) => model.copies[*at].received.clear(),
        Op::LogAdd((at, extended), spots) => model.copies[*at].log_add(*extended, &block_set(spots)),
        Op::PointTake(at) => {
            model.points += 1;
            point_id = PointId(model.points);
            model.copies[*at].take_point(point_id);
        }
        Op::PointDrop(at, point) => point_id = model.copies[*at].points.remove(*point).0,
        Op::PointRollback(at, point) => {
            point_id = model.copies[*at].points[*point].0;
            model.copies[*at].roll_back(*point);
        }
        Op::FailoverCreate(at, point) => {
            point_id = point.map_or(point_id, |point| model.copies[*at].points[point].0);
            model.copies[*at].create_failover(*point);
        }
        Op::TestCreate(at, point) => {
            point_id = point.map_or(point_id, |point| model.copies[*at].points[point].0);
            model.copies[*at].create_test(*point);
        }
        Op::TestDiscard(at) => model.copies[*at].test = None,
        Op::TestWrite { copy, disk, at, cells } => {
            let write = model.next_write(*disk, *at, *cells);
            model.copies[*copy].write_test(&write);
            writes.push(write);
        }
        Op::FailoverDiscard(at) => model.copies[*at].failover = None,
        Op::FailoverCommit(at) => answer.merged = Some(model.copies[*at].commit()),
        Op::Resync { source, point, tracked, full, writes: during, .. } => {
            point_id = point.map_or(point_id, |point| model.copies[*source].points[point].0);
            let from = model.copies[*source].view(*point).clone();
            let set = tracked.as_ref().map(|spots| block_set(spots));
            answer.counts = Some(model::resync(&from, &mut model.copies[1 - source], set.as_ref(), *full));
            for (_, at) in during.iter().filter(|_| point.is_some()) {
                let write = model.next_write(0, *at, 3);
                model.copies[*source].write(&write);
                writes.push(write);
            }
        }
    }
    (answer, writes, point_id)
}

fn on_store<S: DiskStore>(
    store: &mut S,
    op: &Op,
    writes: &[Write],
    point_id: PointId,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::default();
    let view = |point: &Option<usize>| point.map_or(View::Live, |_| View::Point(point_id));
    match op {
        Op::Write { copy, .. } => store.write(id(*copy), &writes[0])?,
        Op::LogStart(log) => store.log_start(log_id(*log))?,
        Op::LogStop(log) => store.log_stop(log_id(*log))?,
        Op::LogSwitch(log) => answer.stats = Some(store.log_switch(log_id(*log))?),
        Op::LogDrop(log) => store.log_drop_oldest(log_id(*log))?,
        Op::LogDeliver(log) => store.log_deliver(log_id(*log), id(1 - log.0))?,
        Op::LogPromote(at) => store.log_promote(id(*at))?,
        Op::LogApply(at) => store.log_apply(id(*at))?,
        Op::LogForget(at) => store.log_forget_received(id(*at))?,
        Op::LogAdd(log, spots) => store.log_add(log_id(*log), &block_set(spots))?,
        Op::PointTake(at) => store.point_take(id(*at), point_id)?,
        Op::PointDrop(at, _) => store.point_drop(id(*at), point_id)?,
        Op::PointRollback(at, _) => store.point_rollback(id(*at), point_id)?,
        Op::FailoverCreate(at, point) => store.failover_create(id(*at), view(point))?,
        Op::TestCreate(at, point) => store.test_create(id(*at), view(point))?,
        Op::TestDiscard(at) => store.test_discard(id(*at))?,
        Op::TestWrite { copy, .. } => store.write(id(*copy).test(), &writes[0])?,
        Op::FailoverDiscard(at) => store.failover_discard(id(*at))?,
        Op::FailoverCommit(at) => answer.merged = Some(store.failover_commit(id(*at))?),
        Op::Resync { source, point, tracked, full, lost, writes: during, .. } => {
            let set = tracked.as_ref().map(|spots| block_set(spots));
            let spec = ResyncSpec {
                source: id(*source),
                view: view(point),
                target: id(1 - source),
                disks: DiskSet::ALL,
                candidates: set.map_or(Candidates::Everything, |set| Candidates::tracked(&set)),
                full: *full,
            };
            let session = SessionId(1);
            store.resync_open(session, &spec)?;
            let mut writes = during.iter().map(|(step, _)| *step).zip(writes).collect::<Vec<_>>();
            while let Some(message) = store.resync_next(session)? {
                let step = answer.moves.len();
                answer.moves.push(message);
                assert_eq!(store.resync_next(session)?, Some(message));
                for (_, write) in writes.extract_if(.., |(at, _)| *at <= step) {
                    store.write(id(*source), write)?;
                }
                if let Some((_, part)) = lost.iter().find(|(at, _)| *at == step) {
                    store.resync_interrupt(session, message.link_bytes * part / 8)?;
                } else {
                    store.resync_deliver(session)?;
                }
            }
            for (_, write) in writes {
                store.write(id(*source), write)?;
            }
            answer.counts = Some(store.resync_counts(session));
            store.resync_close(session)?;
        }
    }
    Ok(answer)
}

/// Compares everything that can be asked with the model.
fn look<S: DiskStore>(store: &S, model: &Model) -> Result<(), TestCaseError> {
    let mut views = Vec::new();
    for (at, copy) in model.copies.iter().enumerate() {
        let id = id(at);
        prop_assert_eq!(store.sizes(id), SIZES.map(Bytes).to_vec());
        for (id, logs) in [(id, &copy.logs), (id.extended(), &copy.extended)] {
            prop_assert_eq!(store.log_is_on(id), logs.is_some());
            prop_assert_eq!(store.log_pending(id), copy.pending(logs));
            prop_assert_eq!(store.log_blocks(id), model::Copy::log_blocks(logs));
        }
        prop_assert_eq!(store.has_failover(id), copy.failover.is_some());
        prop_assert_eq!(store.present_bytes(id), copy.present());
        prop_assert_eq!(store.has_test(id), copy.test.is_some());
        views.push(((id, View::Live), copy.live()));
        if let Some(test) = &copy.test {
            let present = test.iter().flatten().filter(|value| **value != 0).count() as u64;
            prop_assert_eq!(store.present_bytes(id.test()), 4096 * present);
            views.push(((id.test(), View::Live), test));
        }
        for (place, (point, content, _)) in copy.points.iter().enumerate() {
            let changed = copy.changed(place);
            prop_assert_eq!(store.point_undo_bytes(id, *point), 4096 * changed.len() as u64);
            prop_assert_eq!(store.point_changes(id, *point), model::blocks(changed.into_iter()));
            views.push(((id, View::Point(*point)), content));
        }
    }
    for pair in views.windows(2).chain([&[views[0], *views.last().unwrap()][..]]) {
        let [(a, x), (b, y)] = pair else { continue };
        prop_assert_eq!(store.difference(*a, *b).unwrap(), model::difference(x, y));
    }
    Ok(())
}

/// What a session counted, against an undisturbed one.
fn counts_fit(found: &ResyncCounts, expected: &ResyncCounts, disturbed: bool) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.sent_bytes - found.resent_bytes, expected.sent_bytes);
    prop_assert_eq!(found.blocks_total, expected.blocks_total);
    prop_assert_eq!(found.blocks_done, expected.blocks_total);
    prop_assert!(found.compared_bytes >= expected.compared_bytes);
    if !disturbed {
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

fn specs(used: u64, format: DiskFormat) -> Vec<DiskSpec> {
    let initial = if used == 0 { Initial::Blank } else { Initial::Used(Bytes(used)) };
    SIZES.map(|size| DiskSpec { size: Bytes(size), format, initial: initial.clone() }).to_vec()
}

fn create<S: DiskStore>(store: &mut S, format: DiskFormat) {
    store.create(id(0), &specs(USED, format)).unwrap();
    store.create(id(1), &specs(0, format)).unwrap();
}

fn step<S: DiskStore>(
    store: &mut S,
    model: &Model,
    op: &Op,
    (expected, writes, point): &(Answer, Vec<Write>, PointId),
) -> Result<Answer, TestCaseError> {
    let found = on_store(store, op, writes, *point).unwrap();
    prop_assert_eq!(found.stats, expected.stats);
    prop_assert_eq!(found.merged, expected.merged);
    prop_assert_eq!(found.counts.is_some(), expected.counts.is_some());
    if let (Some(found), Some(expected), Op::Resync { lost, .. }) = (&found.counts, &expected.counts, op) {
        counts_fit(found, expected, !lost.is_empty())?;
    }
    look(store, model)?;
    Ok(found)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn stamps_do_what_the_model_does(ops in ops()) {
        let (mut model, mut store) = (Model::new(), Stamps::new());
        create(&mut store, DiskFormat::Vhdx);
        for op in ops {
            let op = op.aimed(&model);
            if model.allows(&op) {
                let expected = on_model(&mut model, &op);
                step(&mut store, &model, &op, &expected)?;
            }
        }
        for (at, copy) in model.copies.iter().enumerate() {
            for (disk, cells) in (0..).zip(copy.live()) {
                for (cell, &no) in (0..).zip(cells) {
                    prop_assert_eq!(store.stamp(id(at), disk, cell), no, "disk {}, cell {}", disk, cell);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn images_answer_as_stamps_do(ops in ops(), raw: bool) {
        let folder = tempfile::tempdir().unwrap();
        let format = if raw { DiskFormat::Raw } else { DiskFormat::Vhdx };
        let (mut model, mut stamps) = (Model::new(), Stamps::new());
        let mut images = files::store(folder.path());
        create(&mut stamps, format);
        create(&mut images, format);
        for op in ops {
            let op = op.aimed(&model);
            if model.allows(&op) {
                let expected = on_model(&mut model, &op);
                let answer = step(&mut stamps, &model, &op, &expected)?;
                prop_assert_eq!(step(&mut images, &model, &op, &expected)?, answer);
            }
        }
        for (at, copy) in model.copies.iter().enumerate() {
            files::check_content(&images, id(at), copy.live())?;
        }
        images.finish().unwrap();
    }
}
