//! Initial replicas on media. Between export and import the content stays with the exporting copy, as a recovery point
//! that is not listed: what a carried disk holds is what that copy had then.

use hvrsim_replica::exchange::Input;
use hvrsim_resync::Candidates;
use hvrsim_types::id::{CopyId, PointId, SessionId};

use crate::sim::Sim;
use crate::store::{DiskStore, ResyncSpec, StoreResult, View};
use crate::trace::What;
use crate::world::{DiskWork, Media, World};

impl World {
    /// The folder of a machine within the one that an export names: `<name>_<id>`.
    #[must_use]
    pub fn media_folder(&self, copy: CopyId, folder: &str) -> String {
        let info = self.vm(copy.vm.machine());
        let id = info.guid.to_string().to_uppercase();
        format!("{}\\{}_{id}", folder.trim_end_matches(['\\', '/']), info.name)
    }
}

impl<D: DiskStore> Sim<D> {
    pub(crate) fn export_media(&mut self, copy: CopyId, session: SessionId, view: PointId, folder: &str) {
        let source = CopyId { host: copy.host, vm: copy.vm.machine() };
        let Some(content) = self.world.points.get(&view).map(|point| point.content) else { return };
        let path = self.world.media_folder(copy, folder);
        let text = format!("the initial replica is exported to {path}");
        self.record(Some(copy.host), Some(copy.vm), What::Text(text));
        let media = Media { source, session, view, content, whole: false };
        self.world.media.insert(path.to_lowercase(), media);
        let bytes = self.store.present_bytes(source);
        self.disk_work(copy, bytes, DiskWork::Export(session));
    }

    pub(crate) fn import_media(&mut self, copy: CopyId, session: SessionId) {
        let source = self.world.media.values().find(|media| media.session == session).map(|m| m.source);
        let bytes = source.filter(|source| self.world.machine(*source).is_some());
        let bytes = bytes.map_or(0, |source| self.store.present_bytes(source));
        self.disk_work(copy, bytes, DiskWork::Import(session));
    }

    pub(crate) fn media_exported(&mut self, copy: CopyId, session: SessionId) -> StoreResult<()> {
        let state = self.world.host(copy.host).service.relationship(copy.vm);
        let of_session = |phase: &hvrsim_replica::copy::Phase| matches!(phase, hvrsim_replica::copy::Phase::Initial(run, _) if run.session == session);
        // One that was stopped meanwhile is left as it is, and cannot be imported.
        if state.is_some_and(|state| of_session(&state.phase)) {
            if let Some(media) = self.world.media.values_mut().find(|media| media.session == session) {
                media.whole = true;
            }
            self.input(copy, Input::Exported(session))?;
        }
        Ok(())
    }

    pub(crate) fn media_imported(&mut self, copy: CopyId, session: SessionId) -> StoreResult<()> {
        let state = self.world.host(copy.host).service.relationship(copy.vm);
        let Some(disks) = state.filter(|s| s.job.is_some()).map(|s| s.settings.disks) else { return Ok(()) };
        let there = |media: &&Media| {
            self.world.machine(media.source).is_some() && self.store.has_point(media.source, media.view)
        };
        let media = self.world.media.values().find(|media| media.session == session).filter(there).cloned();
        if let Some(media) = media {
            let candidates = Candidates::Everything;
            let (source, view) = (media.source, View::Point(media.view));
            let spec = ResyncSpec { source, view, target: copy, disks, candidates, full: false };
            self.store.resync_open(session, &spec)?;
            while self.store.resync_next(session)?.is_some() {
                self.store.resync_deliver(session)?;
            }
            self.store.resync_close(session)?;
            self.with(copy, |m| {
                m.content.set(media.content);
                m.mixed = false;
            });
        }
        self.input(copy, Input::MediaCopied(session))
    }
}
