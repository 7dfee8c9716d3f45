//! The pool as a value that another program goes on with.

use super::deaths::Deaths;
use super::recycling::{Lifetime, Recycling};
use super::{Pool, Role, Settings, Worker};
use proto::spec::WorkersSpec;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use supervise::{Heartbeat, Monotonic, RunId, Unit};

/// A pool at rest: without a rollout under way, and not stopping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// All settings that any worker has, and whether there are listeners with them.
    settings: Vec<(WorkersSpec, bool)>,
    /// Which of them are in force.
    in_force: Option<u32>,
    generation: u64,
    target: u32,
    configured: u32,
    workers: Vec<SavedWorker>,
    recycling: Recycling,
    deaths: Deaths,
    started: bool,
    withdrawn: bool,
    first_generation: Option<u64>,
    ever_ready: bool,
    all_were_ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedWorker {
    slot: u32,
    generation: u64,
    role: Role,
    settings: u32,
    unit: Unit,
    last_run: Option<RunId>,
    status_text: Option<String>,
    heartbeat: Heartbeat,
    lifetime: Lifetime,
    look_at: Option<Monotonic>,
    owes_reopening: bool,
    superseded: bool,
}

/// Settings by their places in a list, each once.
#[derive(Default)]
struct Places<'a>(Vec<&'a Arc<Settings>>);

impl<'a> Places<'a> {
    fn of(&mut self, settings: &'a Arc<Settings>) -> u32 {
        let known = self.0.iter().position(|one| Arc::ptr_eq(one, settings));
        let place = known.unwrap_or_else(|| {
            self.0.push(settings);
            self.0.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}

impl Pool {
    /// All of it. What is asked of workers from outside at this moment is asked again.
    #[must_use]
    pub fn save(&self) -> Saved {
        let mut places = Places::default();
        let in_force = self.settings.as_ref().map(|settings| places.of(settings));
        let workers = self.workers.iter().map(|worker| SavedWorker {
            slot: worker.slot,
            generation: worker.generation,
            role: worker.role,
            settings: places.of(&worker.settings),
            unit: worker.unit.clone(),
            last_run: worker.last_run,
            status_text: worker.status_text.clone(),
            heartbeat: worker.heartbeat,
            lifetime: worker.lifetime,
            look_at: worker.look_at,
            owes_reopening: worker.owes_reopening,
            superseded: worker.superseded,
        });
        let workers = workers.collect();
        let settings = places.0.iter().map(|settings| (settings.spec.clone(), settings.has_listeners));
        Saved {
            in_force,
            generation: self.generation,
            target: self.target,
            configured: self.configured,
            workers,
            recycling: self.recycling.clone(),
            deaths: self.deaths.clone(),
            started: self.started,
            withdrawn: self.withdrawn,
            first_generation: self.first_generation,
            ever_ready: self.ever_ready,
            all_were_ready: self.all_were_ready,
            settings: settings.collect(),
        }
    }

    /// A pool that goes on as `saved`. `None`: it contradicts itself.
    #[must_use]
    pub fn restore(saved: Saved, now: Monotonic) -> Option<Self> {
        let settings = saved.settings.into_iter().map(|(spec, has)| Arc::new(Settings::new(spec, has)));
        let settings: Vec<Arc<Settings>> = settings.collect();
        let settings_at = |place: u32| settings.get(usize::try_from(place).ok()?).cloned();
        let mut pool = Self::new(None, false);
        pool.settings = match saved.in_force {
            Some(place) => Some(settings_at(place)?),
            None => None,
        };
        let worker = |saved: SavedWorker| {
            Some(Worker {
                slot: saved.slot,
                generation: saved.generation,
                role: saved.role,
                settings: settings_at(saved.settings)?,
                unit: saved.unit,
                last_run: saved.last_run,
                status_text: saved.status_text,
                heartbeat: saved.heartbeat,
                lifetime: saved.lifetime,
                look_at: saved.look_at,
                owes_reopening: saved.owes_reopening,
                superseded: saved.superseded,
                held: false,
                signalled: None,
            })
        };
        pool.workers = saved.workers.into_iter().map(worker).collect::<Option<_>>()?;
        pool.generation = saved.generation;
        pool.target = saved.target;
        pool.configured = saved.configured;
        pool.recycling = saved.recycling;
        pool.deaths = saved.deaths;
        pool.started = saved.started;
        pool.withdrawn = saved.withdrawn;
        pool.first_generation = saved.first_generation;
        pool.ever_ready = saved.ever_ready;
        pool.all_were_ready = saved.all_were_ready;
        (0..pool.workers.len()).for_each(|index| pool.follow_probes(now, index, None));
        Some(pool)
    }

    /// Whether all of it can be saved: no process is on its way into being, and no rollout under way.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let is_held = self.workers.iter().any(|worker| worker.held);
        self.rollout.is_none() && self.stopping.is_none() && !is_held
    }
}
